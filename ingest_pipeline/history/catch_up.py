"""Catching up: what came to channels since each was last read completely, whatever was lost meanwhile.

The bot does so at every READY and whenever it regains a permission: how long it was away does not
matter, since the coverage ledger knows from where on to read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.events import Event, EventType, log_events
from ingest_pipeline.history.channel_scan import scan_channels
from ingest_pipeline.history.history_import import DEFAULT_CONCURRENCY, RunProgress
from ingest_pipeline.history.scan_plans import plan_catch_up
from ingest_pipeline.history.scan_start import finish_quiet
from ingest_pipeline.history.scanner import SOURCE, build_scanner
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline.storage.runs.scan_runs import ScanRun


async def catch_up(
    services: Services,
    rest: DiscordRest,
    channels: Sequence[Channel],
    *,
    horizon: datetime | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    progress: RunProgress | None = None,
) -> list[ScanRun]:
    """Read what came to some channels since each was last read completely.

    A little of what is proven is read again (`Settings.overlap_seconds`), for messages that became
    visible out of order.

    Args:
        services: The working parts.
        rest: Discord.
        channels: Channels and threads; those without messages of their own are left aside. Whether
            they can be read is found out anew.
        horizon: Leave what was posted before this time, aware UTC, to an import; None for nothing.
        concurrency: How many channels are read at the same time.
        progress: Called after each batch with its run as it then is.

    Returns:
        The run of each channel as it ended: `completed`, `failed`, or `blocked` where the bot may not
        read.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
    """
    holders = [channel for channel in channels if channel.holds_messages]
    if not holders:
        return []
    correlation_id, began = new_correlation_id(), datetime.now(UTC)
    told = {"channel_ids": [str(channel.channel_id) for channel in holders]}
    started = Event(EventType.CATCH_UP_STARTED, correlation_id, SOURCE, began, data=told)

    def plan(connection: Connection) -> list[ScanRun]:
        publish(connection, [started])
        return plan_catch_up(
            connection, holders, correlation_id, horizon=horizon, overlap=services.settings.overlap, now=began
        )

    runs = await asyncio.to_thread(services.database.run, plan)
    log_events([started])
    scanner = await build_scanner(services, rest, progress=progress)
    quiet = await finish_quiet(scanner, runs, concurrency=concurrency)
    busy = [run for run in runs if run.scan_run_id not in quiet]
    read = {run.scan_run_id: run for run in await scan_channels(scanner, busy, concurrency=concurrency)}
    ended = [(quiet | read)[run.scan_run_id] for run in runs]
    await asyncio.to_thread(_tell_of_end, services, correlation_id, ended)
    return ended


def _tell_of_end(services: Services, correlation_id: str, runs: Sequence[ScanRun]) -> None:
    """Publish how a catch-up ended."""
    statuses = Counter(run.status.value for run in runs)
    told = {"messages_read": sum(run.messages_read for run in runs), "channels": dict(statuses)}
    event = Event(EventType.CATCH_UP_COMPLETED, correlation_id, SOURCE, datetime.now(UTC), data=told)
    services.database.run(lambda connection: publish(connection, [event]))
    log_events([event])
