"""What things are: snowflakes, windows, sessions, messages. Standard library, pandas and msgspec only."""
