"""Scan runs, their cursors, and the state of a guild's import."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.runs.scan_runs import (
    RunKind,
    RunStatus,
    ScanRun,
    abandon_runs,
    advance_run,
    cancel_run,
    find_import,
    find_run,
    finish_run,
    imported_channels,
    is_import_running,
    list_runs,
    mark_import_completed,
    mark_import_started,
    queue_run,
    runs_of_journey,
    start_run,
    unfinished_runs,
)

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
GUILD, RADIO = 1, 2


def run(name: str = "r1", **changes: object) -> ScanRun:
    """Return a planned reading."""
    values = {
        "guild_id": GUILD,
        "channel_id": RADIO,
        "kind": RunKind.IMPORT,
        "lower_id": 10,
        "correlation_id": "c1",
        "queued_at": NOW,
    } | changes
    return ScanRun(scan_run_id=name, **values)  # type: ignore[arg-type]


def queue(database: Database, *runs: ScanRun) -> None:
    """Plan readings."""
    for each in runs:
        database.run(lambda connection, each=each: queue_run(connection, each))


def test_a_reading_goes_from_queued_to_completed(database: Database) -> None:
    """Cursor and counters move with it; head and start stay those of the first time."""
    queue(database, run())
    with database.write() as connection:
        assert find_run(connection, "r1") == run(cursor_id=10)
        started = start_run(connection, "r1", head_id=90, now=NOW)
        assert (started.status, started.head_id, started.cursor_id) == (RunStatus.RUNNING, 90, 10)
        advance_run(connection, "r1", cursor_id=50, messages_read=7)
    with database.write() as connection:
        again = start_run(connection, "r1", head_id=120, now=LATER)
        assert (again.head_id, again.started_at, again.cursor_id) == (90, NOW, 50)
        advance_run(connection, "r1", cursor_id=90, messages_read=3)
        ended = finish_run(connection, "r1", RunStatus.COMPLETED, now=LATER)
    assert (ended.status, ended.cursor_id, ended.messages_read) == (RunStatus.COMPLETED, 90, 10)
    assert (ended.finished_at, ended.rows_changed, ended.error) == (LATER, 0, None)


def test_planning_twice_is_planning_once(database: Database) -> None:
    """A run that is there already keeps its cursor."""
    queue(database, run())
    with database.write() as connection:
        advance_run(connection, "r1", cursor_id=50, messages_read=7)
    queue(database, run())
    with database.read() as connection:
        assert find_run(connection, "r1").cursor_id == 50


def test_a_cursor_never_goes_back(database: Database) -> None:
    """Two processes on one run: the one behind does not undo the one ahead."""
    queue(database, run())
    with database.write() as connection:
        advance_run(connection, "r1", cursor_id=50, messages_read=7)
        advance_run(connection, "r1", cursor_id=30, messages_read=7)
        assert find_run(connection, "r1").cursor_id == 50


def test_the_latest_unfinished_reading_of_each_channel_is_found(database: Database) -> None:
    """Whatever cut it off, a reading that did not end can go on; of several the latest counts."""
    queue(
        database,
        run("old"),
        run("new", queued_at=LATER),
        run("failed", channel_id=3),
        run("done", channel_id=4),
        run("other", channel_id=5, kind=RunKind.REPAIR),
    )
    with database.write() as connection:
        finish_run(connection, "failed", RunStatus.FAILED, error="503", now=NOW)
        finish_run(connection, "done", RunStatus.COMPLETED, now=NOW)
        found = unfinished_runs(connection, RunKind.IMPORT)
        assert {channel: each.scan_run_id for channel, each in found.items()} == {RADIO: "new", 3: "failed"}
        assert found[3].error == "503"


def test_abandoned_readings_are_not_gone_on_with(database: Database) -> None:
    """Only the kind and the channels named are given up, and what is finished stays so."""
    queue(database, run("a"), run("b", channel_id=3), run("c", kind=RunKind.CATCH_UP), run("d"))
    with database.write() as connection:
        finish_run(connection, "d", RunStatus.COMPLETED, now=NOW)
        abandon_runs(connection, RunKind.IMPORT, [RADIO], now=LATER)
        states = {name: find_run(connection, name).status for name in "abcd"}
    assert states == {
        "a": RunStatus.ABANDONED,
        "b": RunStatus.QUEUED,
        "c": RunStatus.QUEUED,
        "d": RunStatus.COMPLETED,
    }


def test_readings_are_listed_newest_first(database: Database) -> None:
    """By guild, by journey, and the channels that were ever imported."""
    queue(
        database,
        run("a"),
        run("b", queued_at=LATER, channel_id=3),
        run("c", guild_id=9, correlation_id="c2", channel_id=4),
        run("d", kind=RunKind.SEAL, channel_id=5, queued_at=NOW - timedelta(days=1)),
    )
    with database.read() as connection:
        assert [each.scan_run_id for each in list_runs(connection)] == ["b", "a", "c", "d"]
        assert [each.scan_run_id for each in list_runs(connection, GUILD, limit=2)] == ["b", "a"]
        assert [each.scan_run_id for each in runs_of_journey(connection, "c2")] == ["c"]
        assert imported_channels(connection) == {RADIO: GUILD, 3: GUILD, 4: 9}


def test_an_unknown_reading_is_an_error(database: Database) -> None:
    """Asking for a run that was never planned is a mistake of the caller."""
    with database.read() as connection, pytest.raises(LookupError, match="r9"):
        find_run(connection, "r9")


def test_an_import_runs_from_its_start_to_its_completion(database: Database) -> None:
    """Running means begun and not completed, whatever happened to the process meanwhile."""
    with database.write() as connection:
        assert find_import(connection, GUILD) is None
        assert not is_import_running(connection, GUILD)
        mark_import_started(connection, GUILD, correlation_id="c1", now=NOW)
    with database.write() as connection:
        assert is_import_running(connection, GUILD)
        mark_import_completed(connection, GUILD, correlation_id="c1", now=LATER)
        found = find_import(connection, GUILD)
    assert found is not None
    assert (found.import_completed, found.import_start_time, found.import_end_time) == (True, NOW, LATER)
    assert found.import_date == NOW.date()


def test_an_import_that_was_replaced_cannot_complete_the_new_one(database: Database) -> None:
    """A forced import began while another was still at work: the old one's end means nothing."""
    with database.write() as connection:
        mark_import_started(connection, GUILD, correlation_id="c1", now=NOW)
        mark_import_started(connection, GUILD, correlation_id="c2", now=LATER)
        mark_import_completed(connection, GUILD, correlation_id="c1", now=LATER)
        assert is_import_running(connection, GUILD)


def test_a_cancelled_reading_stays_cancelled(database: Database) -> None:
    """Neither its end nor a new start brings it back; one that is over is left as it ended."""
    queue(database, run("queued"), run("running"), run("done"))
    with database.write() as connection:
        start_run(connection, "running", head_id=90, now=NOW)
        start_run(connection, "done", head_id=90, now=NOW)
        finish_run(connection, "done", RunStatus.COMPLETED, now=NOW)
        for name in ("queued", "running", "done"):
            cancel_run(connection, name, now=LATER)
        start_run(connection, "queued", head_id=90, now=LATER)
        finish_run(connection, "running", RunStatus.FAILED, error="late", now=LATER)
        found = {name: find_run(connection, name) for name in ("queued", "running", "done")}
        assert unfinished_runs(connection, RunKind.IMPORT) == {}
    assert [found[name].status for name in ("queued", "running", "done")] == [
        RunStatus.CANCELLED,
        RunStatus.CANCELLED,
        RunStatus.COMPLETED,
    ]
    assert (found["running"].finished_at, found["running"].error) == (LATER, None)


def test_progress_is_the_part_of_the_time_that_is_read() -> None:
    """A channel has no messages before itself; a run that has not begun has no progress."""
    assert run(channel_id=100, lower_id=0).progress is None
    half = run(channel_id=100, lower_id=0, head_id=300, cursor_id=200, status=RunStatus.RUNNING)
    assert half.progress == 0.5
    assert replace(half, cursor_id=0).progress == 0
    assert replace(half, status=RunStatus.COMPLETED).progress == 1
