"""Messages that are gone or were not taken: tombstones, deletion of sessions, skipped messages.

Whether a message is taken may be known late: its text may be read after the edit that emptied it, and a
policy may change. So what is not taken is kept in `skipped_messages`, each content with its first and last
reading, until a reading that is taken comes; then those contents become readings of the message like any
other. An id is in `messages` or here, never in both, and after any readings in any order both are the same
function of the set of them. A deletion is in `tombstones`, for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ingest_pipeline.domain.erasures import NOTHING_ERASED, Origin
from ingest_pipeline.domain.messages.details import DETAIL_COLUMNS
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.columns import as_flags, as_numpy, counting, positions, repeated
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import erasures_in
from ingest_pipeline.storage.messages.changes import ChangeKind, record_changes
from ingest_pipeline.storage.messages.membership import share_sessions
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA

# What the table does not keep, or what no longer holds when a message is taken.
_AT_RELEASE = {"is_highlight_candidate": False, "skip_reason": None, **dict.fromkeys(DETAIL_COLUMNS)}
_KEPT = [name for name in STAGING_SCHEMA.names if name not in _AT_RELEASE]


@dataclass(frozen=True, slots=True)
class Admission:
    """Which rows of a batch are merged.

    Attributes:
        rows: Those of messages that are known or taken; the very table that was given when these are all.
        skipped: How many are of messages that no policy has taken, by reason.
    """

    rows: pa.Table
    skipped: Counter[str] = field(default_factory=Counter)


def admit(connection: Connection, rows: pa.Table, *, now: datetime) -> Admission:
    """Keep the rows of messages that are not taken in `skipped_messages` and return the others.

    Args:
        connection: An open write transaction, with the rows staged in `staged_readings` and their turn taken.
        rows: Readings, of `STAGING_SCHEMA`.
        now: `recorded_at` of what is kept, aware UTC.
    """
    reasons = rows["skip_reason"]
    if reasons.null_count == len(rows):
        return Admission(rows)
    ids = as_numpy(rows["discord_id"])
    is_taken = as_flags(reasons.is_null())
    left_out = np.setdiff1d(ids[~is_taken], ids[is_taken])
    if len(left_out):
        found = connection.fetch_all("known_among", discord_ids=left_out.tolist())
        left_out = np.setdiff1d(left_out, np.array([row["discord_id"] for row in found], np.int64))
    if not len(left_out):
        return Admission(rows)
    is_left_out = np.isin(ids, left_out)
    some = rows.take(positions(np.flatnonzero(is_left_out)))
    _keep(connection, some, now)
    skipped = Counter(some["skip_reason"].to_pylist())
    return Admission(rows.take(positions(np.flatnonzero(~is_left_out))), skipped)


def release(connection: Connection) -> pa.Table | None:
    """Take the contents of the messages in `staged_readings` out of `skipped_messages`.

    Returns:
        Their first and last readings, of `STAGING_SCHEMA`; None when there are none.
    """
    waiting = connection.fetch_one("count_waiting")
    if not waiting or not waiting["n"]:
        return None
    kept = connection.fetch_arrow("read_skipped")
    connection.execute("release_skipped")
    return _taken(pa.concat_tables([_first_readings(kept), kept]))


def list_skipped_with_words(connection: Connection, start: datetime, end: datetime) -> list[tuple[int, int]]:
    """Return the messages posted in `[start, end)`, aware, whose words an earlier version left out.

    Returns:
        Message and channel, by message; a message that was seen in two channels comes twice.
    """
    rows = connection.fetch_all("list_skipped_with_words", start=start, end=end)
    return [(row["discord_id"], row["channel_id"]) for row in rows]


def skipped_readings(connection: Connection, message_ids: Collection[int]) -> pa.Table:
    """Return the first readings of the contents kept of some messages, of `STAGING_SCHEMA`, as taken ones."""
    kept = connection.fetch_arrow("read_skipped_among", discord_ids=sorted(message_ids))
    return _taken(_first_readings(kept))


def _first_readings(kept: pa.Table) -> pa.Table:
    column = kept.schema.get_field_index("observed_at")
    return kept.set_column(column, "observed_at", kept["first_observed_at"])


def _taken(kept: pa.Table) -> pa.Table:
    arrays = [
        kept[each.name] if each.name in _KEPT else repeated(_AT_RELEASE[each.name], each.type, len(kept))
        for each in STAGING_SCHEMA
    ]
    return pa.table(arrays, names=STAGING_SCHEMA.names).cast(STAGING_SCHEMA)


def skipped_among(connection: Connection, discord_ids: Collection[int]) -> dict[int, datetime]:
    """Return which of some messages are in `skipped_messages`, with when each was first read (aware UTC).

    Those of which no reading's time is known are left out.
    """
    if not discord_ids:
        return {}
    rows = connection.fetch_all("skipped_among", discord_ids=sorted(discord_ids))
    return {row["discord_id"]: row["first_observed_at"] for row in rows}


def _keep(connection: Connection, rows: pa.Table, now: datetime) -> None:
    numbered = rows.select([*_KEPT, "skip_reason"]).append_column("staging_row", counting(len(rows)))
    connection.stage("staged_skipped", numbered)
    connection.execute("update_skipped_last_seen")
    connection.execute("keep_skipped", now=now)


def lock_messages(connection: Connection, message_ids: Collection[int]) -> None:
    """Take turns, until the transaction ends, with every writer of messages near these.

    A batch that deletes and merges takes all its turns at once: taken one after the other they could
    cross those of another batch.
    """
    if message_ids:
        # First, as by every merge: taken the other way round the two could wait for each other.
        share_sessions(connection)
        connection.execute("lock_ids", discord_ids=sorted(message_ids))


def known_among(connection: Connection, message_ids: Collection[int]) -> set[int]:
    """Return which of some messages are in the table, deleted ones too."""
    if not message_ids:
        return set()
    rows = connection.fetch_all("known_among", discord_ids=sorted(message_ids))
    return {row["discord_id"] for row in rows}


def gateway_readings_among(connection: Connection, message_ids: Collection[int]) -> dict[int, set[datetime]]:
    """Return when the first readings of contents of some messages were received, of those by the gateway."""
    found: dict[int, set[datetime]] = {}
    if message_ids:
        for row in connection.fetch_all("gateway_readings_among", discord_ids=sorted(message_ids)):
            found.setdefault(row["discord_id"], set()).add(row["received_at"])
    return found


def note_activities(connection: Connection, newest: Mapping[int, int]) -> None:
    """Note the newest message posted in each of some channels, whether it is stored or not.

    Args:
        newest: Channel id → message id.
    """
    if newest:
        connection.execute(
            "note_activities",
            channel_ids=list(newest),
            message_ids=list(newest.values()),
            posted_ats=[created_at(message_id) for message_id in newest.values()],
        )


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deletion, of a message that may or may not have been seen.

    Attributes:
        discord_id: The message.
        channel_id: Its channel.
        guild_id: Its guild, when known.
        deleted_at: When it was deleted, as near as is known, aware UTC.
        source: What reported it: `gateway`, or `history` and the like when it was found missing.
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
    tombstones = _of_known(connection, tombstones)
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
    live = [row["discord_id"] for row in connection.fetch_all("live_among", discord_ids=ids)]
    connection.execute("mark_deleted", discord_ids=ids)
    record_changes(connection, ChangeKind.DELETED, live, now=datetime.now(UTC))
    return unknown


def _of_known(connection: Connection, tombstones: Sequence[Tombstone]) -> Sequence[Tombstone]:
    """Leave out messages that were erased: nothing of them is stored, nor that they are deleted."""
    erasures = erasures_in(connection) if tombstones else NOTHING_ERASED
    erased = erasures.erased(
        [Origin(each.discord_id, None, each.channel_id, each.guild_id) for each in tombstones]
    )
    return [each for each, is_erased in zip(tombstones, erased, strict=True) if not is_erased]


def count_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> int:
    """Count the live messages of some channels posted in a window."""
    return _number(
        connection, "count_in_window", channel_ids=list(channel_ids), start=window.start, end=window.end
    )


def count_by_part(
    connection: Connection, channel_ids: Sequence[int], window: Window, length: timedelta
) -> dict[int, int]:
    """Count the live messages of some channels in a window by its parts, numbered from 0.

    Empty parts are left out.

    Args:
        length: Of each part, in whole seconds.
    """
    rows = connection.fetch_all(
        "count_by_part",
        channel_ids=list(channel_ids),
        start=window.start,
        end=window.end,
        part_seconds=length // timedelta(seconds=1),
    )
    return {row["part"]: row["n"] for row in rows}


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
        limit: Only the newest N messages.

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
