"""What the bot reads from Discord's history, on both engines."""
