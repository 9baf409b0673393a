"""Queries of content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.content.tables import ContentTable
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import quoted

Rows = list[dict[str, Any]]


def radio_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return team radio, oldest first.

    Returns:
        `discord_id`, `channel_id`, `posted_at` (aware UTC), `driver` as written, `driver_code` and
        `driver_name` (null for an unknown driver), `driver_team` (null also for one without a car on that
        day) and `radio_text`.
    """
    return _in_window(connection, "radio_in_window", channel_ids, window)


def content_in_window(
    connection: Connection,
    table: ContentTable,
    channel_ids: Sequence[int],
    window: Window,
    *,
    query: str | None = None,
) -> Rows:
    """Return the rows of a content table of some channels and a window, with more of their messages.

    Args:
        query: The statement that reads them; by default one that adds `posted_at` (aware UTC),
            `channel_id` and `author_name`, oldest first.
    """
    if query is not None:
        return _in_window(connection, query, channel_ids, window)
    return connection.fetch_all(
        "content_in_window", table.names, channel_ids=list(channel_ids), start=window.start, end=window.end
    )


@dataclass(frozen=True, slots=True)
class ContentFilter:
    """The messages whose content is wanted.

    Attributes:
        maximum: How many at most, the newest.
        session_id: Of this session, or None for all.
        channel_id: Of this channel, or None for all.
        since: Posted since, aware UTC, or None.
        until: Posted before, aware UTC, or None.
        before_id: With a lower id, or None.
        guild_id: Of this guild, or None for all.
        author_id: Of this author, or None for all.
    """

    maximum: int
    session_id: str | None = None
    channel_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    before_id: int | None = None
    guild_id: int | None = None
    author_id: int | None = None


def search_content(connection: Connection, table: ContentTable, wanted: ContentFilter) -> Rows:
    """Return the rows of a content table for the live messages that match, newest message first."""
    parameters = {name: getattr(wanted, name) for name in ContentFilter.__slots__}
    return connection.fetch_all("search_content", table.names, **parameters)


def count_content(connection: Connection, table: ContentTable, session_id: str) -> int:
    """Count the live messages of a session that have rows in a content table."""
    found = connection.fetch_one("count_content", {"table": quoted(table.name)}, session_id=session_id)
    return int(found["n"]) if found else 0


def count_strays(connection: Connection, table: ContentTable) -> int:
    """Count the rows of a content table whose message is deleted or unknown."""
    found = connection.fetch_one("count_strays", {"table": quoted(table.name)})
    return int(found["n"]) if found else 0


def setups_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return trade setups with their `posted_at` (aware UTC), oldest first; prices are decimals."""
    return _in_window(connection, "setups_in_window", channel_ids, window)


def unparsed_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return unparsed lines with their `posted_at` (aware UTC), oldest first."""
    return _in_window(connection, "unparsed_in_window", channel_ids, window)


def count_cut_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> int:
    """Count the messages that have more words than are kept."""
    [row] = _in_window(connection, "count_cut_in_window", channel_ids, window)
    return int(row["n"])


def clips_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return clips, oldest first.

    Returns:
        The columns of `clips`, `posted_at` and `channel_id` of their messages, and `sha256` and `problem`
        of their files, both null for one that was never fetched. Times are aware UTC.
    """
    return _in_window(connection, "clips_in_window", channel_ids, window)


def highlights_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return the messages that some signal speaks for, candidates or not, highest score first.

    Returns:
        `discord_id`, `guild_id`, `channel_id`, `posted_at` (aware UTC), `author_name`, `driver` as
        written, `driver_name` as known, `message_text`, `score`, `is_candidate` and `reasons` (JSON text).
    """
    return _in_window(connection, "highlights_in_window", channel_ids, window)


def arrivals_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return `posted_at` and `created_at` (aware UTC) and `source` of live messages, oldest first."""
    return _in_window(connection, "arrivals_in_window", channel_ids, window)


def last_changes(connection: Connection, session_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when the messages of sessions, what they say or whose they are last changed, aware UTC.

    Sessions that have no messages and never had any are left out.
    """
    rows = connection.fetch_all("last_changes", session_ids=list(session_ids))
    return {row["session_id"]: row["changed_at"] for row in rows}


def _in_window(connection: Connection, query: str, channel_ids: Sequence[int], window: Window) -> Rows:
    return connection.fetch_all(query, channel_ids=list(channel_ids), start=window.start, end=window.end)
