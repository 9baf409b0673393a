"""Tables of the bot: watched channels, messages to read again, changed windows."""
