"""Assets and checks from raw exports to the table of messages."""
