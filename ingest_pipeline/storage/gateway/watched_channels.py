"""Watched channels, and since when events of each may have been missed.

What may have been missed is remembered until a complete reading has made up for it, so that a crash
between the two forgets nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection


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
