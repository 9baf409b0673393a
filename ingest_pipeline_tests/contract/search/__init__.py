"""Search, on both engines."""
