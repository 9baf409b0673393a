"""Queries of content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.database import Connection

Rows = list[dict[str, Any]]


def radio_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return team radio, oldest first.

    Returns:
        `discord_id`, `channel_id`, `posted_at` (aware UTC), `driver` as written, `driver_code` and
        `driver_name` (null for an unknown driver), `driver_team` (null also for one without a car on that
        day) and `radio_text`.
    """
    return _in_window(connection, "radio_in_window", channel_ids, window)


def setups_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return trade setups with their `posted_at` (aware UTC), oldest first; prices are decimals."""
    return _in_window(connection, "setups_in_window", channel_ids, window)


def biases_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return biases with their `posted_at` (aware UTC), oldest first."""
    return _in_window(connection, "biases_in_window", channel_ids, window)


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


def setup_tickers(connection: Connection, discord_ids: Sequence[int]) -> Rows:
    """Return how many `setups` each `ticker` has in each message (`discord_id`), in their order."""
    return connection.fetch_all("setup_tickers", discord_ids=list(discord_ids))


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
