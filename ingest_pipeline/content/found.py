"""Reading of what was found: the rows of a kind's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ingest_pipeline.content.kind import Found, Kind
from ingest_pipeline.content.registry import BUILT_IN
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.content.kinds import known_versions
from ingest_pipeline.storage.content.queries import (
    ContentFilter,
    content_in_window,
    count_strays,
    search_content,
)
from ingest_pipeline.storage.content.tables import ContentTable
from ingest_pipeline.storage.engine.database import Connection

Rows = list[dict[str, Any]]


def rows_in_window(connection: Connection, kind: Kind, channel_ids: Sequence[int], window: Window) -> Found:
    """Return the rows of a kind's tables whose messages were posted in some channels and a window.

    Returns:
        By table, the columns of its rows and `posted_at` (aware UTC) of their messages, oldest first.
    """
    if not is_known(connection, kind):
        return {table.name: [] for table in kind.tables}
    return {table.name: _rows(connection, kind, table, channel_ids, window) for table in kind.tables}


def is_known(connection: Connection, kind: Kind) -> bool:
    """Return whether the database has the kind's tables: others' are made when messages are first read."""
    return kind in BUILT_IN or kind.name in known_versions(connection)


def stray_rows(connection: Connection, kind: Kind) -> int:
    """Count the rows of a kind's tables whose message is deleted or unknown."""
    known = is_known(connection, kind) and not kind.is_view
    return sum(count_strays(connection, table) for table in kind.tables) if known else 0


def find_content(connection: Connection, kind: Kind, wanted: ContentFilter) -> Rows:
    """Return the rows of a kind's first table that match, newest message first.

    Returns:
        The columns of its rows, and `posted_at` (aware UTC), `session_id`, `channel_id` and `author_name`.
    """
    return search_content(connection, kind.table, wanted) if is_known(connection, kind) else []


def _rows(
    connection: Connection, kind: Kind, table: ContentTable, channel_ids: Sequence[int], window: Window
) -> Rows:
    return content_in_window(connection, table, channel_ids, window, query=kind.queries.get(table.name))


def unpacked(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a kind's first table for an answer in JSON: what is JSON in it is no text."""
    documents = kind.table.documents
    return {
        name: msgspec.json.decode(value) if name in documents and value is not None else value
        for name, value in row.items()
    }
