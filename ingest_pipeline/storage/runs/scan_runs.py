"""Scan runs: readings of one channel's history, with a cursor to continue from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ingest_pipeline.storage.engine.database import Connection


class RunKind(StrEnum):
    """What a channel is read for.

    Attributes:
        IMPORT: All of its history.
        CATCH_UP: What came since it was last read.
        REPAIR: A gap.
        SEAL: A session that is over, once more.
    """

    IMPORT = "import"
    CATCH_UP = "catch_up"
    REPAIR = "repair"
    SEAL = "seal"


class RunStatus(StrEnum):
    """How far a reading has come.

    Attributes:
        QUEUED: Not begun.
        RUNNING: Begun, and going on or cut off by a crash: its cursor tells from where to go on.
        COMPLETED: Read to its head.
        FAILED: Ended by something that may pass; can go on.
        BLOCKED: Ended since the bot may not read the channel (any more); can go on when it may.
        ABANDONED: Given up for another one.
    """

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class ScanRun:
    """The reading of ids in `(lower_id, head_id]` of a channel.

    Attributes:
        scan_run_id: Its id.
        guild_id: The channel's guild.
        channel_id: The channel or thread.
        kind: What for.
        lower_id: Where it begins.
        correlation_id: The journey of its rows.
        queued_at: When it was planned, aware UTC.
        head_id: Where it ends; None until it has begun.
        cursor_id: Up to where it is read and stored.
        status: How far it has come.
        messages_read: Messages received from Discord.
        rows_changed: Contents and deletions that came by it; counted at its end.
        error: Why it ended early, or None.
        started_at: When it first began, aware UTC, or None.
        finished_at: When it ended, aware UTC, or None.
    """

    scan_run_id: str
    guild_id: int
    channel_id: int
    kind: RunKind
    lower_id: int
    correlation_id: str
    queued_at: datetime
    head_id: int | None = None
    cursor_id: int = 0
    status: RunStatus = RunStatus.QUEUED
    messages_read: int = 0
    rows_changed: int = 0
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


def queue_run(connection: Connection, run: ScanRun) -> None:
    """Plan a reading, from its lower end; one that is planned already stays as it is."""
    connection.execute(
        "queue_run",
        scan_run_id=run.scan_run_id,
        guild_id=run.guild_id,
        channel_id=run.channel_id,
        kind=run.kind.value,
        lower_id=run.lower_id,
        head_id=run.head_id,
        correlation_id=run.correlation_id,
        queued_at=run.queued_at,
    )


def start_run(connection: Connection, scan_run_id: str, *, head_id: int, now: datetime) -> ScanRun:
    """Begin a reading, or go on with it: head and start stay those of the first time."""
    connection.execute("start_run", scan_run_id=scan_run_id, head_id=head_id, started_at=now)
    return find_run(connection, scan_run_id)


def advance_run(connection: Connection, scan_run_id: str, *, cursor_id: int, messages_read: int) -> None:
    """Note how far a reading has come, in the transaction of its rows; a cursor never goes back."""
    connection.execute(
        "advance_run", scan_run_id=scan_run_id, cursor_id=cursor_id, messages_read=messages_read
    )


def finish_run(
    connection: Connection, scan_run_id: str, status: RunStatus, *, error: str | None = None, now: datetime
) -> ScanRun:
    """End a reading."""
    connection.execute(
        "finish_run", scan_run_id=scan_run_id, status=status.value, error=error, finished_at=now
    )
    return find_run(connection, scan_run_id)


def abandon_runs(connection: Connection, kind: RunKind, channel_ids: Sequence[int], *, now: datetime) -> None:
    """Give up the unfinished readings of some channels."""
    connection.execute("abandon_runs", kind=kind.value, channel_ids=list(channel_ids), finished_at=now)


def find_run(connection: Connection, scan_run_id: str) -> ScanRun:
    """Return one reading.

    Raises:
        LookupError: There is none with this id.
    """
    row = connection.fetch_one("find_run", scan_run_id=scan_run_id)
    if row is None:
        raise LookupError(f"no scan run is called {scan_run_id!r}")
    return run_from(row)


def unfinished_runs(connection: Connection, kind: RunKind) -> dict[int, ScanRun]:
    """Return the latest unfinished reading of a kind for each channel that has one."""
    found: dict[int, ScanRun] = {}
    for row in connection.fetch_all("unfinished_runs", kind=kind.value):
        found.setdefault(row["channel_id"], run_from(row))
    return found


def list_runs(connection: Connection, guild_id: int | None = None, *, limit: int = 100) -> list[ScanRun]:
    """Return the latest readings of a guild or of all, newest first."""
    return [run_from(row) for row in connection.fetch_all("list_runs", guild_id=guild_id, maximum=limit)]


def runs_of_journey(connection: Connection, correlation_id: str) -> list[ScanRun]:
    """Return the readings of one journey, the first planned first."""
    return [run_from(row) for row in connection.fetch_all("runs_of_journey", correlation_id=correlation_id)]


def imported_channels(connection: Connection) -> dict[int, int]:
    """Return the channels that an import was begun for, with their guilds."""
    return {row["channel_id"]: row["guild_id"] for row in connection.fetch_all("imported_channels")}


def run_from(row: dict[str, object]) -> ScanRun:
    """Return the reading that a row of the table describes."""
    known = {**row, "kind": RunKind(str(row["kind"])), "status": RunStatus(str(row["status"]))}
    return ScanRun(**known)  # type: ignore[arg-type]
