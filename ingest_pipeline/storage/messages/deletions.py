"""Deletions of messages, and counts; readings are merged in `merge.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.batches import lock_messages


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deletion, of a message that may or may not have been seen.

    Attributes:
        discord_id: The message.
        channel_id: Its channel.
        guild_id: Its guild, when known.
        deleted_at: When it was deleted, as near as is known, aware UTC.
        source: What told: `gateway`, or `history` and the like when it was found missing.
        correlation_id: The journey the deletion arrived with.
    """

    discord_id: int
    channel_id: int
    guild_id: int | None
    deleted_at: datetime
    source: str
    correlation_id: str


def tombstone_messages(connection: Connection, tombstones: Sequence[Tombstone]) -> int:
    """Record deletions; the earliest of each message stays, and a message that comes later is deleted too.

    Args:
        connection: An open write transaction. When it merges as well, delete first.
        tombstones: The deletions.

    Returns:
        How many of the messages were not known to be deleted.
    """
    if not tombstones:
        return 0
    ids = [tombstone.discord_id for tombstone in tombstones]
    lock_messages(connection, ids)
    unknown = _number(connection, "count_unknown_tombstones", discord_ids=ids)
    connection.execute(
        "keep_tombstones",
        discord_ids=ids,
        channel_ids=[tombstone.channel_id for tombstone in tombstones],
        guild_ids=[tombstone.guild_id for tombstone in tombstones],
        deleted_at=[tombstone.deleted_at for tombstone in tombstones],
        sources=[tombstone.source for tombstone in tombstones],
        correlation_ids=[tombstone.correlation_id for tombstone in tombstones],
    )
    connection.execute("mark_deleted", discord_ids=ids)
    return unknown


def count_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> int:
    """Count the live messages of some channels posted in a window."""
    return _number(
        connection, "count_in_window", channel_ids=list(channel_ids), start=window.start, end=window.end
    )


def ids_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> set[int]:
    """Return the ids of the live messages of some channels posted in a window."""
    found = connection.fetch_arrow(
        "ids_in_window", channel_ids=list(channel_ids), start=window.start, end=window.end
    )
    return set(found["discord_id"].to_pylist())


def list_messages(
    connection: Connection, session_id: str, *, driver: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return the live messages of a session, newest last.

    Args:
        driver: Only this driver's, whatever the case of its letters.
        limit: At most so many, the newest.

    Returns:
        Every column of `messages`, ordered by `(posted_at, discord_id)`.
    """
    rows = connection.fetch_all("list_messages", session_id=session_id, driver=driver, maximum=limit)
    return rows[::-1]


def table_summary(connection: Connection) -> dict[str, Any]:
    """Return `rows`, `live_rows`, `first_posted_at`, `last_posted_at` (null when empty) and `channels`."""
    return connection.fetch_one("table_summary") or {}


def messages_per_minute(
    connection: Connection, channel_ids: Sequence[int], window: Window
) -> list[tuple[datetime, int]]:
    """Count the live messages of some channels in a window by UTC minute; minutes without are left out."""
    rows = connection.fetch_all(
        "messages_per_minute", channel_ids=list(channel_ids), start=window.start, end=window.end
    )
    return [(row["minute"], row["n"]) for row in rows]


def _number(connection: Connection, query: str, **parameters: object) -> int:
    row = connection.fetch_one(query, **parameters)
    return int(row["n"]) if row else 0
