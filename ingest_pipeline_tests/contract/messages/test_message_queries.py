"""What is asked of the table of messages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.deletions import (
    count_by_part,
    count_in_window,
    ids_in_window,
    list_messages,
    messages_per_minute,
    table_summary,
    tombstone_messages,
)
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged, tombstone

OTHER = CHANNEL + 1
HOUR = Window(at(0), at(3600))


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with five messages, one of them deleted, one in another channel."""
    readings = [
        Reading(discord_id=1, posted=0, driver="Leclerc"),
        Reading(discord_id=2, posted=59.999999, driver="Hamilton"),
        Reading(discord_id=3, posted=60, driver="LECLERC"),
        Reading(discord_id=4, posted=60),
        Reading(discord_id=5, posted=3600, channel_id=OTHER),
    ]
    session = Session("monza", at(0), at(3600), (CHANNEL,))
    database.run(lambda c: save_sessions(c, [session], now=at(0)))
    database.run(lambda c: merge_messages(c, staged(readings), now=at(0)))
    database.run(lambda c: tombstone_messages(c, [tombstone(4, 70)]))
    return database


def test_a_window_holds_its_start_and_not_its_end(filled: Database) -> None:
    """Counts and ids are of live messages in [start, end)."""
    with filled.read() as connection:
        assert count_in_window(connection, [CHANNEL, OTHER], HOUR) == 3
        assert ids_in_window(connection, [CHANNEL], HOUR) == {1, 2, 3}
        assert ids_in_window(connection, [CHANNEL], Window(at(60), at(61))) == {3}
        assert ids_in_window(connection, [OTHER], Window(at(3600), at(3601))) == {5}
        assert count_in_window(connection, [], HOUR) == 0


def test_messages_are_counted_by_parts_of_a_window(filled: Database) -> None:
    """From its start, wherever that is in a minute."""
    with filled.read() as connection:
        assert count_by_part(connection, [CHANNEL, OTHER], HOUR, timedelta(minutes=1)) == {0: 2, 1: 1}
        later = Window(at(30), at(3660))
        assert count_by_part(connection, [CHANNEL, OTHER], later, timedelta(minutes=1)) == {0: 2, 59: 1}
        assert count_by_part(connection, [], HOUR, timedelta(minutes=1)) == {}


def test_a_sessions_messages_are_listed_oldest_first(filled: Database) -> None:
    """By time and id, without the deleted ones."""
    with filled.read() as connection:
        assert [row["discord_id"] for row in list_messages(connection, "monza")] == [1, 2, 3]
        assert list_messages(connection, "spa") == []


def test_a_limit_keeps_the_newest(filled: Database) -> None:
    """The last two, still oldest first."""
    with filled.read() as connection:
        rows = list_messages(connection, "monza", limit=2)
    assert [row["discord_id"] for row in rows] == [2, 3]


def test_a_driver_is_found_whatever_the_case(filled: Database) -> None:
    """Writers spell names in capitals now and then."""
    with filled.read() as connection:
        rows = list_messages(connection, "monza", driver="leclerc")
    assert [row["driver"] for row in rows] == ["Leclerc", "LECLERC"]


def test_the_summary_shows_what_there_is(filled: Database) -> None:
    """Rows, live rows, the span of time, and channels."""
    with filled.read() as connection:
        assert table_summary(connection) == {
            "rows": 5,
            "live_rows": 4,
            "first_posted_at": at(0),
            "last_posted_at": at(3600),
            "channels": 2,
        }


def test_the_summary_of_an_empty_table_is_empty(database: Database) -> None:
    """Zero rows and no times."""
    with database.read() as connection:
        assert table_summary(connection) == {
            "rows": 0,
            "live_rows": 0,
            "first_posted_at": None,
            "last_posted_at": None,
            "channels": 0,
        }


def test_messages_are_counted_by_the_minute(filled: Database) -> None:
    """Minutes of UTC; those without a message are left out."""
    with filled.read() as connection:
        assert messages_per_minute(connection, [CHANNEL, OTHER], HOUR) == [(at(0), 2), (at(60), 1)]
