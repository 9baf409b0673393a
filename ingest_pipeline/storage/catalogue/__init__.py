"""Guilds, channels, users and their settings."""
