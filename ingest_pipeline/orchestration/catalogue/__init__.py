"""Guilds, channels and history as assets and jobs."""
