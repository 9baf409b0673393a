"""Damaged input and damaged files."""
