"""Scan plans: the ranges of ids that imports, catch-ups and repairs read.

Plans are made from the coverage ledger and from readings that were cut off; nothing else remembers
what is missing. A plan is queued as scan runs in the transaction that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.snowflake import created_at, first_id_at
from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.storage.catalogue.guilds import find_channel
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import proven_until
from ingest_pipeline.storage.runs.scan_runs import (
    RunKind,
    RunStatus,
    ScanRun,
    abandon_runs,
    find_import,
    find_run,
    mark_import_started,
    queue_run,
    request_scan,
    unfinished_runs,
)

_SCANS = UUID("6f1c1f0e-6f0a-5f0e-9c38-2f5b8f2f7a51")


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The readings of an import.

    Attributes:
        correlation_id: The journey of the import; a reading taken up from another keeps its own.
        runs: One for each channel.
    """

    correlation_id: str
    runs: tuple[ScanRun, ...]


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids in `(low, high]` of a channel; without `high` up to what the channel holds when it is read."""

    channel_id: int
    guild_id: int
    low: int
    high: int | None = None


def plan_import(
    connection: Connection,
    guild_id: int,
    channels: Sequence[Channel],
    *,
    force: bool,
    is_whole: bool,
    overlap: timedelta,
) -> ImportPlan:
    """Queue the readings of an import, or take up those that were cut off.

    Args:
        channels: What to import.
        force: Begin at the first message, whatever is proven or was begun.
        is_whole: Whether this is the import of the guild, which is noted, or one of some channels.
        overlap: How much of what is proven to read again.
    """
    now = datetime.now(UTC)
    before = find_import(connection, guild_id)
    correlation_id = new_correlation_id()
    if is_whole and not force and before and not before.import_completed:
        correlation_id = before.correlation_id
    elif is_whole:
        mark_import_started(connection, guild_id, correlation_id=correlation_id, now=now)
    if force:
        abandon_runs(connection, RunKind.IMPORT, [channel.channel_id for channel in channels], now=now)
    unfinished = unfinished_runs(connection, RunKind.IMPORT)
    runs = []
    for channel in channels:
        run = unfinished.get(channel.channel_id)
        if run is None:
            low = 0 if force else _resume_at(connection, channel.channel_id, 0, overlap)
            id_range = IdRange(channel.channel_id, channel.guild_id, low)
            [run] = queue_ranges(connection, RunKind.IMPORT, [id_range], correlation_id)
        runs.append(run)
    return ImportPlan(correlation_id, tuple(runs))


def plan_catch_up(
    connection: Connection,
    channels: Sequence[Channel],
    correlation_id: str,
    *,
    overlap: timedelta,
    now: datetime,
) -> list[ScanRun]:
    """Queue the reading of what came to some channels since each was last read completely.

    What an import that is under way will read is left to it.

    Args:
        channels: Channels and threads that hold messages.
        correlation_id: The journey of the catch-up.
        overlap: How much of what is proven to read again.
    """
    imports = unfinished_runs(connection, RunKind.IMPORT)
    abandon_runs(connection, RunKind.CATCH_UP, [channel.channel_id for channel in channels], now=now)
    ranges = []
    for channel in channels:
        floor = 0
        running = imports.get(channel.channel_id)
        if running and running.status in {RunStatus.QUEUED, RunStatus.RUNNING}:
            floor = running.head_id or first_id_at(running.queued_at) - 1
        low = _resume_at(connection, channel.channel_id, floor, overlap)
        ranges.append(IdRange(channel.channel_id, channel.guild_id, low))
    return queue_ranges(connection, RunKind.CATCH_UP, ranges, correlation_id)


def plan_requested(
    connection: Connection,
    channel_id: int,
    kind: Literal["import", "catch_up"],
    *,
    overlap: timedelta,
    now: datetime,
) -> ScanRun:
    """Queue the reading of a channel that somebody asks for; an import that is under way is taken up.

    Args:
        kind: All of its history, or only newer messages than the last reading.
        overlap: How much of what is proven to read again.

    Raises:
        NothingFound: The channel is not in the catalogue.
        BadInput: It holds no messages itself.
    """
    channel = find_channel(connection, channel_id)
    if not channel.holds_messages:
        raise BadInput(f"channel {channel_id} is a {channel.channel_type}, which holds no messages itself")
    if kind == "catch_up":
        [run] = plan_catch_up(connection, [channel], new_correlation_id(), overlap=overlap, now=now)
    else:
        plan = plan_import(
            connection, channel.guild_id, [channel], force=False, is_whole=False, overlap=overlap
        )
        [run] = plan.runs
    request_scan(connection, run.scan_run_id, now=now)
    return run


def queue_ranges(
    connection: Connection, kind: RunKind, ranges: Iterable[IdRange], correlation_id: str
) -> list[ScanRun]:
    """Queue the reading of ranges; one that its journey has planned already is returned as it is."""
    now, runs = datetime.now(UTC), []
    for each in ranges:
        run = ScanRun(
            # The same journey plans the same run again.
            scan_run_id=str(uuid5(_SCANS, f"{correlation_id}-{each.channel_id}-{each.low}")),
            guild_id=each.guild_id,
            channel_id=each.channel_id,
            kind=kind,
            lower_id=each.low,
            head_id=each.high,
            correlation_id=correlation_id,
            queued_at=now,
        )
        queue_run(connection, run)
        runs.append(find_run(connection, run.scan_run_id))
    return runs


def _resume_at(connection: Connection, channel_id: int, floor: int, overlap: timedelta) -> int:
    """Return where to begin so that the last range of what is proven above `floor` is read again."""
    proven = proven_until(connection, channel_id, floor)
    if proven <= floor:
        return floor
    return max(floor, first_id_at(created_at(proven) - overlap) - 1)
