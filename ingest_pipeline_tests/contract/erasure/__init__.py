"""Erasure on both engines."""
