"""Windows that are to be reported to Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.gateway.dirty_windows import (
    DirtyWindow,
    claim_windows,
    mark_windows_dirty,
    unreported_windows,
)

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
FIRST, SECOND = DirtyWindow("race", "T+000m"), DirtyWindow("race", "T+005m")


def touch(database: Database, at: datetime, *windows: DirtyWindow) -> None:
    """Touch windows."""
    database.run(lambda connection: mark_windows_dirty(connection, windows, now=at))


def unreported(database: Database, ticket: str = "") -> dict[DirtyWindow, datetime]:
    """Return what is to be reported."""
    with database.read() as connection:
        return unreported_windows(connection, ticket)


def acknowledge(database: Database, reported: str, ticket: str) -> dict[DirtyWindow, datetime]:
    """Do as a tick does."""

    def work(connection: object) -> dict[DirtyWindow, datetime]:
        windows = unreported_windows(connection, reported)  # type: ignore[arg-type]
        claim_windows(connection, windows, acknowledged=reported, delivery_token=ticket)  # type: ignore[arg-type]
        return windows

    return database.run(work)


def test_each_window_is_reported_once(database: Database) -> None:
    """When the tick before is known to have been recorded, what it reported is forgotten."""
    touch(database, NOW, FIRST, SECOND, FIRST)
    assert acknowledge(database, "", "a") == {FIRST: NOW, SECOND: NOW}
    assert unreported(database, "a") == {}
    assert acknowledge(database, "a", "b") == {}
    with database.read() as connection:
        assert connection.fetch_all("list_unreported_windows", ticket="") == []


def test_what_a_lost_tick_reported_is_reported_again(database: Database) -> None:
    """A daemon may die between reporting and recording: then its cursor is the old one."""
    touch(database, NOW, FIRST)
    assert acknowledge(database, "", "lost") == {FIRST: NOW}
    assert acknowledge(database, "", "b") == {FIRST: NOW}
    assert acknowledge(database, "b", "c") == {}


def test_a_window_written_to_since_is_reported_again(database: Database) -> None:
    """Its ticket is gone."""
    touch(database, NOW, FIRST, SECOND)
    acknowledge(database, "", "a")
    touch(database, LATER, FIRST)
    assert acknowledge(database, "a", "b") == {FIRST: LATER}
    assert unreported(database, "b") == {}
