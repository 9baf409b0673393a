"""Values and rules: snowflakes, windows, sessions, messages. Standard library, pandas and msgspec only."""
