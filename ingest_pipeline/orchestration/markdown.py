"""Escaping of foreign text for Dagster's Markdown.

Messages, channel names, addresses and what the exporter says are written by anybody: as Markdown they could
load a picture from elsewhere, link to it, or look like words of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

_MARKDOWN = frozenset("\\`*_[]<>#!|~")
_LONGEST_TEXT = 120


def as_code(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a text as inline code in one line, in which nothing means anything, cut to a length."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line[:longest]}…`" if len(line) > longest else f"`{line or ' '}`"


def escaped(text: str) -> str:
    """Return a text in one line, with a backslash before whatever means something in Markdown."""
    return "".join(f"\\{each}" if each in _MARKDOWN else each for each in " ".join(text.split()))


def listed(lines: Sequence[str], shown: int) -> dg.MarkdownMetadataValue:
    """Return a list of the first lines, which are Markdown already, and how many more there are."""
    rest = [f"- and {len(lines) - shown} more"] if len(lines) > shown else []
    return dg.MetadataValue.md("\n".join([f"- {line}" for line in lines[:shown]] + rest))
