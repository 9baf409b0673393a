"""Commands that show messages, what was found in them, and events."""
