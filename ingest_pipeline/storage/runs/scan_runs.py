"""Scan runs, the requests for them, and the imports they belong to.

Table and questions are those of the notes "Concurrent Import & Real-Time Tracking". They show which run
reads a message; that none is lost or doubled between import and gateway is the work of the merge
and the coverage ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ingest_pipeline.storage.engine.database import Connection


class RunKind(StrEnum):
    """The purpose of a scan run.

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
    """The state of a scan run.

    Attributes:
        QUEUED: Not begun.
        RUNNING: Begun, and going on or cut off by a crash: its cursor is where to go on.
        COMPLETED: Read to its head.
        FAILED: Ended by something that may pass; can go on.
        BLOCKED: Ended since the bot may not read the channel (any more); can go on when it may.
        ABANDONED: Given up for another one.
        CANCELLED: Ended because somebody asked for it; what it had read stays.
    """

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"


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
        messages_matched: How many of them are in the table: the channel's policy takes them.
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
    messages_matched: int | None = 0
    rows_changed: int = 0
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def progress(self) -> float | None:
        """How much of its time is read, from 0 to 1; None until it has begun."""
        if self.status is RunStatus.COMPLETED:
            return 1.0
        if self.head_id is None or self.head_id <= self.lower_id:
            return None
        # A channel's own messages have higher ids than it has; only what was moved into it is older.
        low = max(self.lower_id, self.channel_id if self.channel_id < self.head_id else 0)
        return min(max(self.cursor_id - low, 0) / (self.head_id - low), 1.0)


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


def count_matched(connection: Connection, run: ScanRun, low: int, high: int) -> None:
    """Add to a reading's matches the stored messages in `(low, high]`, which it has just read."""
    connection.execute(
        "count_matched", scan_run_id=run.scan_run_id, channel_id=run.channel_id, low=low, high=high
    )


def cancel_run(connection: Connection, scan_run_id: str, *, now: datetime) -> ScanRun:
    """Cancel a reading that is not over; what it has read stays, and one that runs ends at its next batch.

    Raises:
        LookupError: There is none with this id.
    """
    connection.execute("cancel_run", scan_run_id=scan_run_id, finished_at=now)
    return find_run(connection, scan_run_id)


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


def request_scan(connection: Connection, scan_run_id: str, *, now: datetime) -> None:
    """Ask for a scan run that is planned."""
    connection.execute("request_scan", scan_run_id=scan_run_id, requested_at=now)


def requested_runs(connection: Connection) -> list[ScanRun]:
    """Return the scan runs that were asked for and are not over, the first asked for first."""
    return [run_from(row) for row in connection.fetch_all("requested_runs")]


def drop_requests(connection: Connection, scan_run_ids: Sequence[str]) -> None:
    """Forget requests that were answered, and those of runs that something else has ended."""
    connection.execute("drop_requests", scan_run_ids=list(scan_run_ids))


@dataclass(frozen=True, slots=True)
class GuildImport:
    """The import of a guild's history.

    Attributes:
        guild_id: The guild.
        import_completed: Whether it is over.
        import_date: The day it began, UTC.
        import_start_time: When it began, aware UTC.
        import_end_time: When it was completed, aware UTC, or None.
        total_messages_imported: How many messages it found or were there already; counted when it is
            completed.
        correlation_id: The journey of its rows.
    """

    guild_id: int
    import_completed: bool
    import_date: date
    import_start_time: datetime
    import_end_time: datetime | None
    total_messages_imported: int
    correlation_id: str


def mark_import_started(connection: Connection, guild_id: int, *, correlation_id: str, now: datetime) -> None:
    """Note that an import begins, in place of the one before."""
    connection.execute("name_guilds", guild_ids=[guild_id], now=now)
    connection.execute(
        "start_import",
        guild_id=guild_id,
        import_date=now.date(),
        import_start_time=now,
        correlation_id=correlation_id,
    )


def mark_import_completed(
    connection: Connection, guild_id: int, *, correlation_id: str, now: datetime
) -> None:
    """Note that an import is over and count its messages; nothing if another has begun since."""
    connection.execute(
        "complete_import", guild_id=guild_id, correlation_id=correlation_id, import_end_time=now
    )


def find_import(connection: Connection, guild_id: int) -> GuildImport | None:
    """Return the last import of a guild, or None when there was none."""
    row = connection.fetch_one("find_import", guild_id=guild_id)
    return None if row is None else GuildImport(**row)


def is_import_running(connection: Connection, guild_id: int) -> bool:
    """Return whether a guild's import has begun and is not completed, after a crash too."""
    found = find_import(connection, guild_id)
    return found is not None and not found.import_completed
