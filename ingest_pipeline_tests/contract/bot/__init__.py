"""The real-time bot and what it keeps, on both engines."""
