"""Messages: the merge that every reading ends in, deletions, and what is asked of the table.

A *reading* is one message as read at one time: a row of `STAGING_SCHEMA`. Its version is (edit
time to the millisecond, or before all others without one; `observed_at`; `content_digest`).
After any readings, in any order, however batched and however often repeated, the table is the
same function of the set of them:

- a message's content is that of its highest version;
- the row is that content's *first* reading (lowest `observed_at`, then `source`, then
  `correlation_id`), so what is read again and again keeps the source and correlation that brought
  it; `first_observed_at` says when that was and `observed_at` when the content was last read;
- `session_id` and `channel_id` are the lowest seen, nulls apart, whatever the version;
- `deleted_at` is the tombstone's, whether it came before or after;
- every other content is in `message_revisions`, as first read.

Only `created_at`, `updated_at` and `recorded_at` tell when things happened here. This needs two
things of the normaliser: that equal digests mean equal edit times to the millisecond, and that a
reading is told apart by its id, digest, `observed_at`, `source` and `correlation_id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.columns import column
from ingest_pipeline.storage.database import Connection
from ingest_pipeline.storage.schema import DECIDING_COLUMNS, staged


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """What became of the staged rows; the four add up to their number.

    Attributes:
        created: Messages that were not in the table.
        updated: Messages whose content was replaced by a newer one.
        unchanged: Rows with the content that was there already, or that another row brought.
        stale: Rows with a content older than what the table has now.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0

    def __add__(self, other: MergeCounts) -> MergeCounts:
        """Add the counts of two merges."""
        return MergeCounts(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.stale + other.stale,
        )


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


def merge_messages(connection: Connection, rows: pa.Table, *, now: datetime) -> MergeCounts:
    """Merge readings into `messages` and `message_revisions`.

    Args:
        connection: An open write transaction.
        rows: Readings, of `STAGING_SCHEMA`; may be empty and may hold an id several times.
        now: Time of the merge, aware UTC: `created_at` of new rows, `updated_at` of changed ones.

    Returns:
        What became of each row.
    """
    if not rows.num_rows:
        return MergeCounts()
    readings = staged(rows)
    connection.stage("staged_readings", readings.select(DECIDING_COLUMNS))
    connection.execute("lock_staged")
    connection.execute("fold_staged")
    counts = connection.fetch_one("count_fates") or {}
    found = connection.fetch_one("count_changes") or {}
    if found["changes"]:
        # Most of what is polled was there already: its texts need not travel.
        wanted = readings if found["staged"] == len(readings) else _wanted(connection, readings)
        _write_changes(connection, wanted, now)
    connection.execute("touch_messages")
    connection.execute("drop_contents")
    return MergeCounts(**counts)


def _wanted(connection: Connection, readings: pa.Table) -> pa.Table:
    listed = [row["staging_row"] for row in connection.fetch_all("list_wanted")]
    return readings.take(column(listed, pa.int32()))


def _write_changes(connection: Connection, readings: pa.Table, now: datetime) -> None:
    """Put the contents that are new, or no longer or again the message's, where they belong."""
    connection.stage("staged_messages", readings)
    connection.execute("keep_revisions", now=now)
    connection.execute("upsert_messages", now=now)
    connection.execute("release_revisions")


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
    connection.execute("lock_ids", discord_ids=ids)
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
        connection: An open transaction.
        session_id: The session.
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
