"""The beginning of a reading, which for a channel where nothing happened is also its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from ingest_pipeline.domain.guild import ReadingState
from ingest_pipeline.errors import IngestError, TokenRejected
from ingest_pipeline.history.scanner import Scanner, run_proof, write
from ingest_pipeline.sources.discord.history import Newest, find_newest
from ingest_pipeline.storage.catalogue.guilds import set_reading_state
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import record_proof
from ingest_pipeline.storage.messages.stored_versions import live_between, newest_read_before
from ingest_pipeline.storage.runs.scan_runs import (
    RunStatus,
    ScanRun,
    advance_run,
    find_run,
    finish_run,
    start_run,
)


async def finish_quiet(scanner: Scanner, runs: Sequence[ScanRun], *, concurrency: int) -> dict[str, ScanRun]:
    """Complete the runs of channels in which nothing happened, all in one transaction.

    Most channels of a catch-up are such; the others are left to `scan_channels`.

    Returns:
        The completed runs by their ids.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
    """
    turns = asyncio.Semaphore(concurrency)

    async def ask(run: ScanRun) -> tuple[ScanRun, Newest | None]:
        async with turns:
            try:
                return run, await find_newest(scanner.rest, run.channel_id)
            except TokenRejected:
                raise
            except IngestError:
                # The scan that is left to it finds out why.
                return run, None

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(run)) for run in runs]
    except* TokenRejected as stopped:
        raise stopped.exceptions[0] from None
    asked = [task.result() for task in tasks]

    def work(connection: Connection) -> dict[str, ScanRun]:
        ended = [_complete_quiet(scanner, run, newest, connection) for run, newest in asked if newest]
        return {run.scan_run_id: run for run in ended if run}

    return await write(scanner, work)


def start(scanner: Scanner, run: ScanRun, newest: Newest, connection: Connection) -> ScanRun:
    """Begin a run and pin its head; complete it when there is nothing to read."""
    ended = _complete_quiet(scanner, run, newest, connection)
    if ended:
        return ended
    head = _head(scanner, run, newest, connection)
    return start_run(connection, run.scan_run_id, head_id=head, now=newest.requested_at)


def _head(scanner: Scanner, run: ScanRun, newest: Newest, connection: Connection) -> int:
    """Return where a run ends: where it was pinned to, or up to what is known of the channel."""
    if run.head_id is not None:
        return run.head_id
    # Messages that were there before and are not now are known as well: they are deleted.
    known = newest_read_before(connection, run.channel_id, newest.requested_at)
    return max(newest.head(scanner.services.settings.settle), known)


def _complete_quiet(scanner: Scanner, run: ScanRun, newest: Newest, connection: Connection) -> ScanRun | None:
    """Complete a run when there is nothing to read, or return None.

    That is so when its cursor has passed the channel's newest message and the table has none beyond
    that could be deleted.
    """
    asked, head = newest.requested_at, _head(scanner, run, newest, connection)
    cursor = find_run(connection, run.scan_run_id).cursor_id
    if cursor < min(newest.message_id, head):
        return None
    if live_between(connection, run.channel_id, cursor, head, observed_before=asked):
        return None
    started = start_run(connection, run.scan_run_id, head_id=head, now=asked)
    if cursor < head:
        record_proof(connection, run_proof(started, head, asked))
        advance_run(connection, run.scan_run_id, cursor_id=head, messages_read=0)
    set_reading_state(connection, run.channel_id, ReadingState.READABLE, now=asked)
    return finish_run(connection, run.scan_run_id, RunStatus.COMPLETED, now=datetime.now(UTC))
