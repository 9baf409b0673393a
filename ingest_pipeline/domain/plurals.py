"""Numbers with their nouns, as messages and pages show them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number and its noun: `1 session`, `12,000 sessions`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
