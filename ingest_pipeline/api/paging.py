"""Cursors of the pages of messages: where a page ended, in a form that nobody needs to understand."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime

from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput
from ingest_pipeline.storage.message_search import Place


def cursor_of(place: Place) -> str:
    """Return the cursor for the page after a message."""
    text = json.dumps([place[0].isoformat(), str(place[1])])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """Return the place that a cursor is for.

    Raises:
        BadInput: It is not one that `cursor_of` made.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        posted_at, discord_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        moment, message_id = datetime.fromisoformat(posted_at), parse_snowflake(discord_id)
        if moment.tzinfo is not None and message_id is not None:
            return moment, message_id
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass
    raise BadInput("this cursor is none of ours: send next_cursor of the page before, or none")
