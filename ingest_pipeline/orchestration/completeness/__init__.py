"""Seals and verification as assets, checks and jobs."""
