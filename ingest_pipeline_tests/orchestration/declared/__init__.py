"""Channels, sessions and content kinds that a project declares."""
