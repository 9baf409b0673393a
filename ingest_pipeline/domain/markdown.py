"""Texts that anybody may have written, as Markdown."""

from __future__ import annotations

_LONGEST_TEXT = 120


def as_code(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a text as inline code in one line, in which nothing means anything, cut to a length."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line[:longest]}…`" if len(line) > longest else f"`{line or ' '}`"
