"""Commands that bring messages in."""
