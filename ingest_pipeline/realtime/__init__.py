"""Messages as they happen: the gateway bot, its events, and how they reach the table."""
