"""The table of messages, what proves it, and whose messages they are."""
