"""The start of each reading of a watched channel: to cover missed events, and to prove the rest.

A catch-up begins where the proven ids end. That finds every message that was posted, and no edit or
deletion of one that had been read before. So where events may have been missed, it begins earlier:
at what was posted in the hours before the bot stopped hearing, in which nearly all changes happen.
Older messages that changed meanwhile are found by verification, a seal, or a forced import.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest_pipeline.domain.guild import Channel, ReadingState
from ingest_pipeline.domain.snowflake import created_at, first_id_at
from ingest_pipeline.history.scan_plans import Stretch
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.watched_channels import WatchedChannel, coverage_bounds, list_watched
from ingest_pipeline.storage.messages.coverage import proven_until
from ingest_pipeline.storage.runs.scan_runs import RunKind, RunStatus, ScanRun, unfinished_runs

_UNDER_WAY = {RunStatus.QUEUED, RunStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What is to be read now.

    Attributes:
        stretches: Where; each up to what its channel holds when it is read.
        idle: Channels in which nothing can have been missed, as nothing was posted in time.
    """

    stretches: tuple[Stretch, ...]
    idle: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a channel that is watched."""

    channel: Channel
    watched: WatchedChannel
    bounds: tuple[int, int] | None
    running: ScanRun | None
    is_monitored: bool


def plan_watch(
    connection: Connection,
    channels: Sequence[Channel],
    *,
    monitored: Iterable[int],
    lookback: timedelta,
    overlap: timedelta,
) -> WatchPlan:
    """Plan the reading of the watched channels that need it.

    A channel needs it when something may have been missed there, or when messages were posted after
    the last one proven.

    Args:
        channels: Watched channels as the catalogue knows them now.
        monitored: Those that are expected whole, of which every gap above the first proof is read.
        lookback: How long before the bot stopped hearing messages are read again.
        overlap: How much of what is proven is read again when nothing was missed.
    """
    watched, bounds = list_watched(connection), coverage_bounds(connection)
    imports = unfinished_runs(connection, RunKind.IMPORT)
    whole = set(monitored)
    stretches: list[Stretch] = []
    idle: list[int] = []
    for channel in channels:
        channel_id = channel.channel_id
        if channel_id not in watched or channel.reading_state is not ReadingState.READABLE:
            continue
        running = imports.get(channel_id)
        known = _Known(
            channel,
            watched[channel_id],
            bounds.get(channel_id),
            running if running and running.status in _UNDER_WAY else None,
            channel_id in whole,
        )
        low = _begin_at(connection, known, lookback, overlap)
        if low is not None:
            stretches.append(Stretch(channel_id, channel.guild_id, low))
        elif known.watched.missed_since is not None:
            idle.append(channel_id)
    return WatchPlan(tuple(stretches), tuple(idle))


def _begin_at(connection: Connection, known: _Known, lookback: timedelta, overlap: timedelta) -> int | None:
    """Return the id after which to read a channel, or None when there is nothing to read."""
    newest = known.channel.last_message_id or 0
    missed = known.watched.missed_since
    if missed is None and newest <= (known.bounds[1] if known.bounds else 0):
        return None
    base = _base(known, lookback)
    proven = proven_until(connection, known.channel.channel_id, base)
    low = proven
    if missed is not None:
        low = min(proven, _before(missed - lookback))
    elif proven > base:
        low = max(base, _before(created_at(proven) - overlap))
    return low if newest > low else None


def _base(known: _Known, lookback: timedelta) -> int:
    """Return the id above which a channel is the bot's to read.

    What an import that is under way will read is left to it.
    """
    base = _before(known.watched.watched_from - lookback)
    if known.is_monitored and known.bounds:
        base = min(base, known.bounds[0])
    if known.running:
        base = max(base, known.running.head_id or _before(known.running.queued_at))
    return base


def _before(moment: datetime) -> int:
    """Return the highest id that was made before a time."""
    return max(first_id_at(moment) - 1, 0)
