"""Channels, sessions and content kinds that a Dagster project declares in its own files."""
