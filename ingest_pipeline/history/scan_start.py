"""The start of a scan, which for a channel without news is also its end."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest_pipeline.domain.guild import ReadingState
from ingest_pipeline.history.scanner import Scanner, run_proof
from ingest_pipeline.sources.discord.history import Newest
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
