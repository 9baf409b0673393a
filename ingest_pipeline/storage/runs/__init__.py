"""Scans, imports, events and state."""
