"""The change feed: every change once, in an order that a reader can resume from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.changes import Change, ChangeKind, newest_position, read_changes
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged
from ingest_pipeline_tests.thoroughness import examples


class Undone(Exception):
    """What ends a transaction."""


Reported = list[tuple[str, int]]


def merge(connection: Connection, *readings: Reading, now: datetime | None = None) -> None:
    """Merge readings."""
    merge_messages(connection, staged(readings), now=now or at(1000))


def delete(connection: Connection, *discord_ids: int) -> None:
    """Delete messages."""
    tombstones = [Tombstone(each, CHANNEL, None, at(900), "gateway", "d") for each in discord_ids]
    tombstone_messages(connection, tombstones)


def changes(database: Database, after: int = 0, limit: int = 1000) -> list[Change]:
    """Read the feed."""
    with database.read() as connection:
        return read_changes(connection, after=after, limit=limit)


def reported(found: list[Change]) -> Reported:
    """Return what happened to which messages."""
    return [(each.change.value, each.discord_id) for each in found]


def test_each_change_is_in_the_feed_once(database: Database) -> None:
    """Created, edited, deleted; what changes nothing is not."""
    database.run(lambda c: merge(c, Reading(discord_id=1), Reading(discord_id=2)))
    database.run(lambda c: merge(c, Reading(discord_id=1), Reading(discord_id=2, observed=5)))
    database.run(lambda c: merge(c, Reading(discord_id=2, digest=7, observed=9, edited=8)))
    database.run(lambda c: merge(c, Reading(discord_id=2, digest=100, observed=6)))
    database.run(lambda c: delete(c, 1, 3))
    database.run(lambda c: delete(c, 1))
    database.run(lambda c: merge(c, Reading(discord_id=3)))
    assert reported(changes(database)) == [
        *(("created", 1), ("created", 2), ("updated", 2), ("deleted", 1)),
        ("created", 3),
    ]


def test_a_change_of_session_is_in_the_feed(database: Database) -> None:
    """Its messages belong to another session, though nothing of them was read again."""
    database.run(lambda c: merge(c, Reading(discord_id=1, posted=10), Reading(discord_id=2, posted=10_000)))
    before = changes(database)[-1].position
    session = Session("race", at(0), at(100), (CHANNEL,))
    database.run(lambda c: save_sessions(c, [session], now=at(1000)))
    assert reported(changes(database, before)) == [("session", 1)]


def test_what_is_rolled_back_is_not_in_the_feed(database: Database) -> None:
    """The feed is written in the transaction of the rows."""

    def fails(connection: Connection) -> None:
        merge(connection, Reading(discord_id=1))
        raise Undone

    with pytest.raises(Undone):
        database.run(fails)
    assert changes(database) == []


@pytest.mark.slow
@hypothesis_settings(max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_pages_of_any_size_are_the_feed(filled: Database, pages: list[int]) -> None:
    """A reader that stops anywhere resumes without a loss and without a double."""
    whole = changes(filled)
    read: list[Change] = []
    turn = 0
    while page := changes(filled, read[-1].position if read else 0, pages[turn % len(pages)]):
        assert len(page) <= pages[turn % len(pages)]
        read += page
        turn += 1
    assert read == whole
    with filled.read() as connection:
        assert newest_position(connection) == whole[-1].position


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with batches of changes of several sizes."""
    for size, first in ((1, 1), (5, 10), (3, 20), (12, 30)):
        readings = [Reading(discord_id=first + each) for each in range(size)]
        database.run(lambda c, some=readings: merge(c, *some))
    database.run(lambda c: delete(c, 10, 11, 30))
    return database


@pytest.mark.parametrize("commits_first", [0, 1])
def test_writers_that_overlap_lose_no_change(
    make_database: Callable[[str], Database], commits_first: int
) -> None:
    """A reader never passes a position that an open transaction may still fill, whichever commits first."""
    database = make_database("postgres")
    database.run(lambda c: merge(c, Reading(discord_id=1)))
    # Far apart, so that the two do not wait for each other.
    ids = [2, 2 + (1 << 50)]
    with ExitStack() as stacks:
        writers = [ExitStack(), ExitStack()]
        for writer in writers:
            stacks.enter_context(writer)
        connections = [writer.enter_context(database.write()) for writer in writers]
        # The later transaction takes its position first.
        for number in (1, 0):
            merge(connections[number], Reading(discord_id=ids[number], posted=number))
        seen = changes(database)
        assert reported(seen) == [("created", 1)]
        writers[commits_first].close()
        seen += changes(database, seen[-1].position)
        writers[1 - commits_first].close()
    seen += changes(database, seen[-1].position)
    assert sorted(reported(seen)) == [("created", each) for each in (1, *ids)]
    assert [each.position for each in seen] == sorted({each.position for each in seen})
    assert seen == changes(database)


def test_a_table_on_a_server_with_lower_transaction_ids_goes_on_above(
    make_database: Callable[[str], Database],
) -> None:
    """Positions do not go back when a database was restored on another server."""
    database = make_database("postgres")
    database.run(lambda c: merge(c, Reading(discord_id=1)))
    far = (1 << 36) << 24

    connection: Any
    with database.write() as connection:
        connection._raw.execute(
            "INSERT INTO message_changes VALUES (%s, %s, 'created', '{5}', now())", (far, far)
        )
    database.migrate()
    database.run(lambda c: merge(c, Reading(discord_id=2)))
    assert reported(changes(database)) == [("created", 1), ("created", 5), ("created", 2)]
    assert changes(database)[-1].change is ChangeKind.CREATED
