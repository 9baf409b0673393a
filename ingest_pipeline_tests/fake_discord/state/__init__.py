"""The state of guilds, channels and messages, and how it is written in JSON."""
