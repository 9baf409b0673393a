"""The bot's memory of what to read: watched channels with possible gaps, and single messages to read again.

What may have been missed is remembered until a complete reading has made up for it, so that a crash
between the two forgets nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest_pipeline.storage.engine.database import Connection

PATIENCE = timedelta(seconds=10)
"""A message waits no longer than this after the first event about it, however many follow."""

_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True, order=True)
class PartialUpdate:
    """A message of which an event brought only a part.

    Attributes:
        channel_id: Its channel or thread.
        message_id: Its id.
        guild_id: Its guild; 0 when the event did not name it.
    """

    channel_id: int
    message_id: int
    guild_id: int = 0


@dataclass(frozen=True, slots=True)
class PendingRefetch:
    """A message that is to be read now.

    Attributes:
        message_id: Its id.
        channel_id: Its channel or thread.
        guild_id: Its guild, or None.
        last_event_at: When the latest event about it was received, aware UTC: a reading that was
            asked for later contains what the event brought.
        attempts: How often reading it has failed.
    """

    message_id: int
    channel_id: int
    guild_id: int | None
    last_event_at: datetime
    attempts: int


def queue_refetches(
    connection: Connection, partial_updates: Collection[PartialUpdate], event_at: datetime, quiet: timedelta
) -> None:
    """Queue messages to be read again.

    Args:
        connection: The write transaction of the batch that the events came in.
        partial_updates: The messages.
        event_at: When the latest of the events was received, aware UTC.
        quiet: A message is read when nothing more has come about it for this time.
    """
    if not partial_updates:
        return
    ordered = sorted({each.message_id: each for each in partial_updates}.values())
    connection.execute(
        "queue_refetches",
        message_ids=[each.message_id for each in ordered],
        channel_ids=[each.channel_id for each in ordered],
        guild_ids=[each.guild_id or None for each in ordered],
        event_at=event_at,
        due_at=event_at + quiet,
        patience_seconds=int(PATIENCE.total_seconds()),
    )


def due_refetches(connection: Connection, now: datetime, *, limit: int) -> list[PendingRefetch]:
    """Return messages whose time has come, the longest due first, then put in order of channel and id."""
    return [PendingRefetch(**row) for row in connection.fetch_all("due_refetches", now=now, maximum=limit)]


def next_refetch_due(connection: Connection) -> datetime | None:
    """Return when the next message is to be read, aware UTC; None when none waits."""
    row = connection.fetch_one("next_refetch_due")
    return row["due_at"] if row else None


def complete_refetches(connection: Connection, message_ids: Sequence[int], asked_at: datetime) -> int:
    """Forget messages that Discord was asked for after their last event; return how many."""
    return connection.execute("complete_refetches", message_ids=list(message_ids), asked_at=asked_at)


def postpone_refetches(
    connection: Connection, message_ids: Sequence[int], *, asked_at: datetime, due_at: datetime, error: str
) -> None:
    """Try messages again later, those apart of which an event has come since they were asked for."""
    connection.execute(
        "postpone_refetches",
        message_ids=list(message_ids),
        asked_at=asked_at,
        due_at=due_at,
        error=error[:_LONGEST_ERROR],
    )


def hasten_refetches(connection: Connection, channel_ids: Collection[int], *, now: datetime) -> None:
    """Read those messages of some channels now that could not be read before."""
    if channel_ids:
        connection.execute("hasten_refetches", channel_ids=sorted(channel_ids), now=now)


def count_pending_refetches(connection: Connection) -> int:
    """Count the messages that wait."""
    row = connection.fetch_one("count_pending_refetches")
    return int(row["n"]) if row else 0


@dataclass(frozen=True, slots=True)
class WatchedChannel:
    """A channel whose events are taken.

    Attributes:
        channel_id: The channel or thread.
        guild_id: Its guild.
        watched_from: Since when it is watched, aware UTC.
        missed_since: Changes since then may have been missed, aware UTC; None when none can have been.
        noted_at: When it was last found that some may have been, aware UTC, or None.
    """

    channel_id: int
    guild_id: int
    watched_from: datetime
    missed_since: datetime | None = None
    noted_at: datetime | None = None


def watch_channels(connection: Connection, channels: Sequence[WatchedChannel], *, now: datetime) -> int:
    """Watch channels; everything since they are watched counts as missed until it is read.

    Channels that are watched already stay as they are.

    Args:
        channels: The channels; their last two attributes are not used.

    Returns:
        How many were not watched yet.
    """
    if not channels:
        return 0
    return connection.execute(
        "watch_channels",
        channel_ids=[channel.channel_id for channel in channels],
        guild_ids=[channel.guild_id for channel in channels],
        watched_from=[channel.watched_from for channel in channels],
        now=now,
    )


def record_gap(
    connection: Connection, channel_ids: Collection[int], *, since: datetime, now: datetime
) -> None:
    """Note that changes in some channels may have been missed since a time; the earliest time stays."""
    if channel_ids:
        connection.execute("record_gap", channel_ids=sorted(channel_ids), since=since, now=now)


def clear_gap(connection: Connection, channel_ids: Collection[int], *, begun_at: datetime) -> None:
    """Note that channels were read completely, by readings that began at a time.

    Where it was noted later that something may have been missed, that still stands.
    """
    if channel_ids:
        connection.execute("clear_gap", channel_ids=sorted(channel_ids), begun_at=begun_at)


def list_watched(connection: Connection) -> dict[int, WatchedChannel]:
    """Return every channel that is or was watched, by id."""
    return {row["channel_id"]: WatchedChannel(**row) for row in connection.fetch_all("list_watched")}


def coverage_bounds(connection: Connection) -> dict[int, tuple[int, int]]:
    """Return the first and last id that any reading of each channel proves."""
    return {row["channel_id"]: (row["low"], row["high"]) for row in connection.fetch_all("coverage_bounds")}
