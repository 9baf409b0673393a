"""Cursors of message pages: opaque encodings of the position where a page ended."""

from __future__ import annotations

import base64
import binascii

from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput

_FORM = "1:"


def cursor_of(message_id: int) -> str:
    """Return the cursor for the page after a message."""
    return base64.urlsafe_b64encode(f"{_FORM}{message_id}".encode()).decode().rstrip("=")


def message_of(cursor: str) -> int:
    """Return the message that a cursor comes after.

    Raises:
        BadInput: It is not one that `cursor_of` made.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    found = parse_snowflake(text.removeprefix(_FORM)) if text.startswith(_FORM) else None
    if found is None:
        raise BadInput("this cursor is none of ours: send next_cursor of the page before, or none")
    return found
