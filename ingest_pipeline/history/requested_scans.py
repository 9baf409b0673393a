"""Requested scans: scan runs that the HTTP interface has queued."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from ingest_pipeline.history.channel_scan import scan_channels
from ingest_pipeline.history.history_import import DEFAULT_CONCURRENCY, RunProgress
from ingest_pipeline.history.scanner import build_scanner
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.runs.scan_requests import drop_requests, requested_runs
from ingest_pipeline.storage.runs.scan_runs import ScanRun


def read_requested_now(services: Services, *, progress: RunProgress | None = None) -> list[ScanRun]:
    """Log in, read, log out; see `read_requested`."""

    async def work() -> list[ScanRun]:
        async with open_rest(services.settings.discord_bot_token) as rest:
            return await read_requested(services, rest, progress=progress)

    return asyncio.run(work())


async def read_requested(
    services: Services,
    rest: DiscordRest,
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    progress: RunProgress | None = None,
) -> list[ScanRun]:
    """Read every scan run that was asked for, from its cursor, and return them as they ended.

    A request is answered when its run has ended, whichever way; one that is cut off is read on later.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
        DatabaseBusy: Another process held the database for too long; nothing is forgotten.
    """
    wanted = await asyncio.to_thread(_wanted, services)
    scanner = await build_scanner(services, rest, progress=progress)
    ended = await scan_channels(scanner, wanted, concurrency=concurrency)
    answered = [run.scan_run_id for run in ended]
    await asyncio.to_thread(services.database.run, partial(drop_requests, scan_run_ids=answered))
    return ended


def _wanted(services: Services) -> Sequence[ScanRun]:
    with services.database.read() as connection:
        return requested_runs(connection)
