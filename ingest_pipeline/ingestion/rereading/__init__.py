"""Merging of what has landed again, without Discord."""
