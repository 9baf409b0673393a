"""Tables of the bot: what it watches, what it has to read again, which windows changed."""
