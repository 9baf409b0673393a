"""The scan of one channel's history, shared by imports, catch-ups, repairs and seals.

Pages are merged in batches. A batch is one transaction: its rows, the messages found deleted, what they
say, the proof of its ids and the cursor of its run. So a crash at any moment repeats at most one batch, which
changes nothing, and what is proven is there.

A message is taken as deleted when a complete reading of its ids, which the bot had permission for,
and a second one right after lack it, and it was last read before the first of them began.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.content.rules import ContentRules, CurrentRules
from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound, IngestError, TokenRejected
from ingest_pipeline.events import Event
from ingest_pipeline.history.page_documents import SOURCE, page_document
from ingest_pipeline.ingestion.batch_events import Batch, record_failure
from ingest_pipeline.ingestion.deleted_words import delete_messages
from ingest_pipeline.ingestion.ingest import ingest_documents
from ingest_pipeline.ingestion.raw_landing import answers_of
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.discovery import reading_state_now
from ingest_pipeline.sources.discord.history import Newest, Page, absent, batched, find_newest, read_history
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import set_reading_state
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import Proof, record_proof
from ingest_pipeline.storage.messages.deletions import Tombstone
from ingest_pipeline.storage.messages.queries import live_between, newest_read_before
from ingest_pipeline.storage.runs.scan_runs import (
    RunStatus,
    ScanRun,
    advance_run,
    count_matched,
    find_run,
    finish_run,
    start_run,
)

Result = TypeVar("Result")

BATCH_ROWS = 2_000
"""Messages merged in one transaction, or compared at a time."""
DEFAULT_CONCURRENCY = 4
RunProgress = Callable[[ScanRun], None]
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scanner:
    """The context that all scans of one use case share.

    Attributes:
        rules: What the messages' content is read by; None to leave it as it is.
        batch_rows: Messages merged in one transaction, which bounds memory for each channel read at
            the same time.
        progress: Called after each batch with the run as it then is.
        merging: One batch is merged at a time; the others are read meanwhile.
    """

    services: Services
    rest: DiscordRest
    rules: ContentRules | None = None
    batch_rows: int = BATCH_ROWS
    progress: Callable[[ScanRun], None] | None = None
    merging: asyncio.Lock = field(default_factory=asyncio.Lock)


async def build_scanner(
    services: Services,
    rest: DiscordRest,
    *,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ScanRun], None] | None = None,
) -> Scanner:
    """Read what scans need to know and return a scanner."""
    rules = CurrentRules(services.settings).get()
    return Scanner(services, rest, rules, batch_rows, progress)


def run_proof(run: ScanRun, high: int, asked: datetime, policy: ChannelPolicy) -> Proof:
    """Return what a run proves: until it is read to its end one growing interval, as of its beginning."""
    return Proof(
        channel_id=run.channel_id,
        low=run.lower_id,
        high=high,
        source=SOURCE,
        observed_at=run.started_at or asked,
        correlation_id=run.correlation_id,
        keeps_media=policy.keep_media_only,
    )


async def write(scanner: Scanner, work: Callable[[Connection], Result]) -> Result:
    """Do work in one transaction when it is this one's turn."""
    async with scanner.merging:
        return await asyncio.to_thread(scanner.services.database.run, work)


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
    """Complete a run if there is nothing to read, or return None."""
    asked, head = newest.requested_at, _head(scanner, run, newest, connection)
    cursor = find_run(connection, run.scan_run_id).cursor_id
    if cursor < min(newest.message_id, head):
        return None
    # A live row beyond the cursor may have been deleted on Discord: only reading shows that.
    if live_between(connection, run.channel_id, cursor, head, observed_before=asked):
        return None
    started = start_run(connection, run.scan_run_id, head_id=head, now=asked)
    if cursor < head:
        policies = scanner.services.policies(connection, [run.channel_id])
        record_proof(connection, run_proof(started, head, asked, policies[run.channel_id]))
        advance_run(connection, run.scan_run_id, cursor_id=head, messages_read=0)
    set_reading_state(connection, run.channel_id, ChannelAccess.READABLE, now=asked)
    return finish_run(connection, run.scan_run_id, RunStatus.COMPLETED, now=datetime.now(UTC))


async def run_scans(
    services: Services,
    rest: DiscordRest,
    runs: Sequence[ScanRun],
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    batch_rows: int = BATCH_ROWS,
    progress: RunProgress | None = None,
) -> list[ScanRun]:
    """Read the ids `(low, high]` of queued runs and merge them; return the runs as they ended.

    Imports, catch-ups, repairs and seals all read this way. A run that ends early leaves the others alone.

    Args:
        runs: What to read; see `queue_ranges`.
        concurrency: How many channels are read at the same time.
        batch_rows: Messages merged in one transaction.
        progress: Called after each batch with its run as it then is.

    Raises:
        TokenRejected: Discord does not accept the bot any more; every scan can go on later.
        DatabaseBusy: Another process held the database for too long; the same holds.
        DatabaseUnavailable: The database cannot be reached; the same holds.
    """
    scanner = await build_scanner(services, rest, batch_rows=batch_rows, progress=progress)
    turns = asyncio.Semaphore(concurrency)

    async def scan_in_turn(run: ScanRun) -> ScanRun:
        async with turns:
            return await scan_channel(scanner, run)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(scan_in_turn(run)) for run in runs]
    except* IngestError as stopped:
        raise stopped.exceptions[0] from None
    return [task.result() for task in tasks]


async def scan_channel(scanner: Scanner, run: ScanRun) -> ScanRun:
    """Read a channel from a run's cursor to its head, and return the run as it ended.

    The run must be queued already. Without a head it gets one: what the channel holds now.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
    """
    try:
        newest = await find_newest(scanner.rest, run.channel_id)
        started = await write(scanner, partial(start, scanner, run, newest))
        if started.status is RunStatus.RUNNING:
            await _read_to_head(scanner, started, newest)
    except TokenRejected as error:
        await _record_failure(scanner, run, error)
        raise
    except (ChannelForbidden, ChannelNotFound) as error:
        state = await _state_now(scanner, run.channel_id)
        status = RunStatus.FAILED if state is ChannelAccess.READABLE else RunStatus.BLOCKED
        return await _end(scanner, run, status, error, state)
    except IngestError as error:
        return await _end(scanner, run, RunStatus.FAILED, error)
    if started.status is not RunStatus.RUNNING:
        return started
    return await _end(scanner, run, RunStatus.COMPLETED, None, ChannelAccess.READABLE)


async def _state_now(scanner: Scanner, channel_id: int) -> ChannelAccess:
    try:
        return await reading_state_now(scanner.rest, channel_id)
    except IngestError:
        return ChannelAccess.UNKNOWN


async def _read_to_head(scanner: Scanner, run: ScanRun, newest: Newest) -> None:
    pages = read_history(scanner.rest, run.channel_id, run.cursor_id, run.head_id or run.cursor_id, newest)
    read = run.messages_read
    async for batch in batched(pages, scanner.batch_rows):
        if await _is_cancelled(scanner, run):
            return
        await _store(scanner, run, batch)
        read += sum(len(page.messages) for page in batch)
        if scanner.progress:
            scanner.progress(replace(run, cursor_id=batch[-1].high, messages_read=read))


async def _is_cancelled(scanner: Scanner, run: ScanRun) -> bool:
    def read() -> RunStatus:
        with scanner.services.database.read() as connection:
            return find_run(connection, run.scan_run_id).status

    return await asyncio.to_thread(read) is RunStatus.CANCELLED


async def _store(scanner: Scanner, run: ScanRun, pages: Sequence[Page]) -> None:
    """Merge adjoining pages, with what they show to be deleted, prove their ids and move the cursor."""
    gone = await _find_deleted(scanner, run, pages)
    high = pages[-1].high
    tombstones = [
        Tombstone(discord_id, run.channel_id, run.guild_id, deleted_at, SOURCE, run.correlation_id)
        for discord_id, deleted_at in gone.items()
    ]
    policies: dict[int, ChannelPolicy] = {}

    def before_merge(connection: Connection) -> None:
        policies.update(scanner.services.policies(connection, [run.channel_id]))
        delete_messages(scanner.services, connection, tombstones)
        policy = policies[run.channel_id]
        record_proof(connection, run_proof(run, high, pages[0].requested_at, policy))
        read = sum(len(page.messages) for page in pages)
        advance_run(connection, run.scan_run_id, cursor_id=high, messages_read=read)

    def on_rows_merged(connection: Connection, changed_ids: Sequence[int]) -> None:
        if scanner.rules:
            extract_for(connection, changed_ids, scanner.rules)

    def after_merge(connection: Connection) -> list[Event]:
        on_rows_merged(connection, [*gone])
        count_matched(connection, run, pages[0].low, high)
        return []

    documents = [
        page_document(
            run.channel_id, run.guild_id, page, policies=policies, correlation_id=run.correlation_id
        )
        for page in pages
        if page.messages
    ]
    seen = [(payload, page.requested_at) for page in pages for payload in page.messages]
    answers = answers_of(seen, gone, SOURCE, run.correlation_id)
    channel = (run.guild_id, run.channel_id)
    async with scanner.merging:
        await asyncio.to_thread(scanner.services.raw.land, {channel: answers}, run.correlation_id)
        await asyncio.to_thread(
            ingest_documents,
            scanner.services.database,
            documents,
            correlation_id=run.correlation_id,
            settle=scanner.services.settings.settle,
            batch_rows=scanner.services.settings.batch_rows,
            before_merge=before_merge,
            after_merge=after_merge,
            on_rows_merged=on_rows_merged,
        )


async def _find_deleted(scanner: Scanner, run: ScanRun, pages: Sequence[Page]) -> dict[int, datetime]:
    """Return the stored messages that two readings lack, with the time by which each was gone."""
    low, high = pages[0].low, pages[-1].high
    latest = max(page.requested_at for page in pages)

    def read() -> dict[int, datetime]:
        with scanner.services.database.read() as connection:
            return live_between(connection, run.channel_id, low, high, observed_before=latest)

    stored = await asyncio.to_thread(read)
    missed = {
        discord_id
        for page in pages
        for discord_id in {each for each in stored if page.low < each <= page.high} - page.ids
        if stored[discord_id] < page.requested_at
    }
    if not missed:
        return {}
    return await absent(scanner.rest, run.channel_id, min(missed) - 1, missed)


async def _end(
    scanner: Scanner,
    run: ScanRun,
    status: RunStatus,
    error: IngestError | None,
    state: ChannelAccess = ChannelAccess.UNKNOWN,
) -> ScanRun:
    now = datetime.now(UTC)
    if error:
        _logger.warning("channel %s was not read to its end: %s", run.channel_id, error)
        await _record_failure(scanner, run, error)

    def finish(connection: Connection) -> ScanRun:
        if state is not ChannelAccess.UNKNOWN:
            set_reading_state(connection, run.channel_id, state, now=now)
        reason = str(error) if error else None
        return finish_run(connection, run.scan_run_id, status, error=reason, now=now)

    return await write(scanner, finish)


async def _record_failure(scanner: Scanner, run: ScanRun, error: IngestError) -> None:
    batch = Batch(run.correlation_id, SOURCE, None, (run.channel_id,), run.started_at or run.queued_at)
    async with scanner.merging:
        await asyncio.to_thread(record_failure, scanner.services.database, batch, error, datetime.now(UTC))
