"""Catch-up: reads ranges in which events may have been missed, and proves received ones.

Until a channel is read completely, what may have been missed there stays noted; so a reading that
fails or is cut off is done again, from the same place.

A catch-up begins where the proven ids end. That finds every message that was posted, and no edit or
deletion of one that had been read before. So where events may have been missed, it begins earlier:
at what was posted in the hours before the bot stopped hearing, in which nearly all changes happen.
Older messages that changed meanwhile are found by verification, a seal, or a forced import.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest_pipeline.bot.watchlist import Watchlist
from ingest_pipeline.domain.guild import Channel, ChannelAccess
from ingest_pipeline.domain.snowflake import created_at, first_id_at
from ingest_pipeline.events import Event, EventType, log_events
from ingest_pipeline.history.channel_scan import run_scans
from ingest_pipeline.history.scan_plans import IdRange, queue_ranges
from ingest_pipeline.ingestion.batch_events import bot_event
from ingest_pipeline.ingestion.gateway_events import sessions_of, windows_at
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import list_channels
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.dirty_windows import mark_windows_dirty, posted_by_journey
from ingest_pipeline.storage.gateway.refetch_queue import (
    WatchedChannel,
    clear_gap,
    coverage_bounds,
    list_watched,
)
from ingest_pipeline.storage.messages.coverage import proven_until
from ingest_pipeline.storage.messages.membership import parents_of
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline.storage.runs.scan_runs import RunKind, RunStatus, ScanRun, abandon_runs, unfinished_runs

_UNDER_WAY = {RunStatus.QUEUED, RunStatus.RUNNING}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """The readings to make now.

    Attributes:
        id_ranges: Where; each up to what its channel holds when it is read.
        idle: Channels in which nothing can have been missed, as nothing was posted in time.
    """

    id_ranges: tuple[IdRange, ...]
    idle: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """The state of a watched channel."""

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
    id_ranges: list[IdRange] = []
    idle: list[int] = []
    for channel in channels:
        channel_id = channel.channel_id
        if channel_id not in watched or channel.reading_state is not ChannelAccess.READABLE:
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
            id_ranges.append(IdRange(channel_id, channel.guild_id, low))
        elif known.watched.missed_since is not None:
            idle.append(channel_id)
    return WatchPlan(tuple(id_ranges), tuple(idle))


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
    """Return the id above which the bot reads a channel."""
    base = _before(known.watched.watched_from - lookback)
    if known.is_monitored and known.bounds:
        base = min(base, known.bounds[0])
    if known.running:
        # A running import reads everything below its head itself.
        base = max(base, known.running.head_id or _before(known.running.queued_at))
    return base


def _before(moment: datetime) -> int:
    """Return the highest id that was made before a time."""
    return max(first_id_at(moment) - 1, 0)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The context of a catch-up.

    Attributes:
        watchlist: What is watched.
        lookback: How long before the bot stopped hearing messages are read again.
        concurrency: How many channels are read at the same time.
    """

    services: Services
    rest: DiscordRest
    watchlist: Watchlist
    lookback: timedelta
    concurrency: int = 4

    async def run(self, begun_at: datetime) -> list[ScanRun]:
        """Read every watched channel that needs it, and return the readings as they ended.

        Args:
            begun_at: When what was noted as missed was looked up, aware UTC: every event received
                before must be in the table, and the catalogue must be of a later time. What is noted
                as missed later is not made up for.

        Raises:
            TokenRejected: Discord does not accept the bot any more.
            DatabaseBusy: Another process held the database for too long; nothing is forgotten.
            DatabaseUnavailable: The database cannot be reached; nothing is forgotten.
        """
        runs = await asyncio.to_thread(self.services.database.run, lambda c: self._queue(c, begun_at))
        if not runs:
            return []
        ended = await run_scans(self.services, self.rest, runs, concurrency=self.concurrency)
        await asyncio.to_thread(self._finish, ended, begun_at)
        return ended

    def _queue(self, connection: Connection, begun_at: datetime) -> list[ScanRun]:
        plan = self._plan(connection)
        clear_gap(connection, plan.idle, begun_at=begun_at)
        if not plan.id_ranges:
            return []
        correlation_id, now = new_correlation_id(), datetime.now(UTC)
        channel_ids = [id_range.channel_id for id_range in plan.id_ranges]
        abandon_runs(connection, RunKind.CATCH_UP, channel_ids, now=now)
        data = {"channel_ids": [str(channel_id) for channel_id in channel_ids]}
        publish(connection, [bot_event(EventType.CATCH_UP_STARTED, correlation_id, now, data)])
        return queue_ranges(connection, RunKind.CATCH_UP, plan.id_ranges, correlation_id)

    def _plan(self, connection: Connection) -> WatchPlan:
        wanted = [
            channel
            for channel in list_channels(connection)
            if channel.holds_messages and self.watchlist.wants(channel.channel_id)
        ]
        return plan_watch(
            connection,
            wanted,
            monitored=[each.channel_id for each in wanted if self.watchlist.is_monitored(each.channel_id)],
            lookback=self.lookback,
            overlap=self.services.settings.overlap,
        )

    def _finish(self, ended: Sequence[ScanRun], begun_at: datetime) -> None:
        """Note what was made up for, and which windows were written to."""
        complete = [run for run in ended if run.status is RunStatus.COMPLETED]
        event = _completed_event(ended)

        def work(connection: Connection) -> None:
            clear_gap(connection, [run.channel_id for run in complete], begun_at=begun_at)
            for run in ended:
                self._touch(connection, run)
            publish(connection, [event])

        self.services.database.run(work)
        log_events([event])
        _log_failures(ended)

    def _touch(self, connection: Connection, run: ScanRun) -> None:
        sessions = self.watchlist.sessions
        parents = parents_of(connection, [run.channel_id])
        if not run.rows_changed or not sessions_of(run.channel_id, parents.get(run.channel_id), sessions):
            return
        posted = posted_by_journey(
            connection, run.correlation_id, run.channel_id, posted_from=created_at(run.lower_id)
        )
        windows = windows_at({run.channel_id: posted}, parents, sessions, self.services.grid)
        mark_windows_dirty(connection, windows, now=datetime.now(UTC))


def _log_failures(ended: Sequence[ScanRun]) -> None:
    """Say what was found, if anything; most readings only prove what was heard."""
    for run in ended:
        if run.status is not RunStatus.COMPLETED:
            _logger.warning("channel %s was not read to its end: %s", run.channel_id, run.error)
    changed = sum(run.rows_changed for run in ended)
    if changed:
        read = sum(run.messages_read for run in ended)
        _logger.info("caught up: %d messages in %d channels read, %d changed", read, len(ended), changed)


def _completed_event(ended: Sequence[ScanRun]) -> Event:
    statuses = Counter(run.status.value for run in ended)
    data = {
        "messages_read": sum(run.messages_read for run in ended),
        "rows_changed": sum(run.rows_changed for run in ended),
        "channels": dict(statuses),
    }
    return bot_event(EventType.CATCH_UP_COMPLETED, ended[0].correlation_id, datetime.now(UTC), data)
