"""Parsers from message text to typed facts."""
