"""Processes killed at any step, and what they work on."""
