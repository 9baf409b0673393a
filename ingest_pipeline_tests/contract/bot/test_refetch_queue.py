"""Messages that wait to be read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.gateway.refetch_queue import (
    PATIENCE,
    PartialUpdate,
    PendingRefetch,
    complete_refetches,
    count_pending_refetches,
    due_refetches,
    hasten_refetches,
    next_refetch_due,
    postpone_refetches,
    queue_refetches,
)

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)
SECOND = timedelta(seconds=1)
QUIET = 2 * SECOND


def queue(database: Database, at: datetime, *messages: PartialUpdate) -> None:
    """Queue messages."""
    database.run(lambda connection: queue_refetches(connection, set(messages), at, QUIET))


def due(database: Database, at: datetime, limit: int = 100) -> list[PendingRefetch]:
    """Return what is due."""
    with database.read() as connection:
        return due_refetches(connection, at, limit=limit)


def test_a_message_is_due_once_it_is_quiet(database: Database) -> None:
    """Each event puts it off, but not for ever."""
    message = PartialUpdate(10, 1, 5)
    queue(database, NOW, message)
    assert due(database, NOW + SECOND) == []
    queue(database, NOW + SECOND, message)
    assert due(database, NOW + 2 * SECOND) == []
    assert due(database, NOW + 3 * SECOND) == [PendingRefetch(1, 10, 5, NOW + SECOND, 0)]
    for seconds in range(3, 15, 5):
        queue(database, NOW + seconds * SECOND, message)
    assert [each.message_id for each in due(database, NOW + PATIENCE)] == [1]
    with database.read() as connection:
        assert next_refetch_due(connection) == NOW + PATIENCE
        assert count_pending_refetches(connection) == 1


def test_messages_come_by_channel_and_id_the_longest_due_first(database: Database) -> None:
    """The limit takes those that wait longest."""
    queue(database, NOW, PartialUpdate(20, 4), PartialUpdate(10, 6))
    queue(database, NOW + SECOND, PartialUpdate(10, 3))
    assert [each.message_id for each in due(database, NOW + 9 * SECOND)] == [3, 6, 4]
    assert [each.message_id for each in due(database, NOW + 9 * SECOND, limit=2)] == [6, 4]
    assert due(database, NOW + 9 * SECOND)[0].guild_id is None


def test_only_a_reading_after_the_last_event_settles(database: Database) -> None:
    """An event that came while Discord was asked keeps the message waiting."""
    queue(database, NOW, PartialUpdate(10, 1), PartialUpdate(10, 2))
    queue(database, NOW + 5 * SECOND, PartialUpdate(10, 2))
    assert database.run(lambda c: complete_refetches(c, [1, 2, 3], NOW + 3 * SECOND)) == 1
    assert [each.message_id for each in due(database, NOW + 60 * SECOND)] == [2]


def test_what_could_not_be_read_is_tried_again_later_or_as_soon_as_it_can_be(database: Database) -> None:
    """Unless an event has come since, which makes it due by itself."""
    queue(database, NOW, PartialUpdate(10, 1), PartialUpdate(10, 2), PartialUpdate(20, 3))
    queue(database, NOW + 5 * SECOND, PartialUpdate(10, 2))
    later = NOW + timedelta(hours=1)
    database.run(
        lambda c: postpone_refetches(c, [1, 2, 3], asked_at=NOW + 3 * SECOND, due_at=later, error="forbidden")
    )
    assert [(each.message_id, each.attempts) for each in due(database, NOW + 60 * SECOND)] == [(2, 0)]
    assert [(each.message_id, each.attempts) for each in due(database, later)] == [(1, 1), (2, 0), (3, 1)]
    database.run(lambda c: hasten_refetches(c, [10], now=NOW + 60 * SECOND))
    assert [each.message_id for each in due(database, NOW + 60 * SECOND)] == [1, 2]
    queue(database, NOW + 70 * SECOND, PartialUpdate(20, 3))
    assert [(each.message_id, each.attempts) for each in due(database, NOW + 72 * SECOND)][-1] == (3, 0)


def test_nothing_to_queue_is_nothing_to_do(database: Database) -> None:
    """Most batches hold no such message."""
    queue(database, NOW)
    database.run(lambda c: hasten_refetches(c, [], now=NOW))
    with database.read() as connection:
        assert next_refetch_due(connection) is None
        assert count_pending_refetches(connection) == 0
