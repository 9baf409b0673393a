"""Whole stacks, started as users start them."""
