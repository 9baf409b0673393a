"""Reads that are shared, bounded in time and cached."""
