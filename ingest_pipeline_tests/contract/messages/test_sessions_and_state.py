"""Stored sessions and small facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import SessionNotFound
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.deletions import list_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import (
    SessionChanges,
    find_session,
    list_sessions,
    remove_session,
    save_sessions,
)
from ingest_pipeline.storage.runs.state import get_state, set_state
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged, stored_row

MONZA = Session(
    session_id="2025-monza-race",
    start_time=at(0),
    end_time=at(7200.123456),
    channel_ids=(CHANNEL, 7),
    year=2025,
    round_number=16,
    session_type="Race",
    event_name="Gran Premio d'Italia 🏁",
    location="Monza",
    country="Italy",
)
PLAIN = Session("trading-day", at(-10), at(10), (CHANNEL,))


def test_sessions_round_trip(database: Database) -> None:
    """A session comes back as it was saved, every field, in the order of starts."""
    changes = database.run(lambda c: save_sessions(c, [MONZA, PLAIN], now=at(0)))
    assert changes == SessionChanges(created=2)
    with database.read() as connection:
        assert list_sessions(connection) == [PLAIN, MONZA]
        found = find_session(connection, MONZA.session_id)
    assert found == MONZA
    assert found.start_time.utcoffset() == timedelta(0)


def test_saving_shows_what_changed(database: Database) -> None:
    """Only a session with another value counts as updated; those not given stay."""
    database.run(lambda c: save_sessions(c, [MONZA, PLAIN], now=at(0)))
    longer = replace(MONZA, end_time=MONZA.end_time + timedelta(hours=1))
    other = replace(PLAIN, session_id="another")
    changes = database.run(lambda c: save_sessions(c, [longer, PLAIN, other], now=at(9)))
    assert changes == SessionChanges(created=1, updated=1, unchanged=1)
    changes = database.run(lambda c: save_sessions(c, [], now=at(9)))
    assert changes == SessionChanges()
    with database.read() as connection:
        assert {each.session_id for each in list_sessions(connection)} == {
            "2025-monza-race",
            "trading-day",
            "another",
        }


def test_of_two_sessions_with_one_id_the_last_is_saved(database: Database) -> None:
    """A list that names a session twice is taken from its end."""
    changed = replace(PLAIN, location="New York")
    assert database.run(lambda c: save_sessions(c, [PLAIN, changed], now=at(0))) == SessionChanges(created=1)
    with database.read() as connection:
        assert list_sessions(connection) == [changed]


def test_a_session_that_is_missing_is_reported_with_those_that_look_like_it(database: Database) -> None:
    """A slip of the pen is answered with the right id; an empty table with how to fill it."""
    with database.read() as connection, pytest.raises(SessionNotFound, match="ingest sessions add"):
        find_session(connection, "monza")
    database.run(lambda c: save_sessions(c, [MONZA, PLAIN], now=at(0)))
    with database.read() as connection:
        with pytest.raises(SessionNotFound, match=r"'2025-monza-rcae'.*'2025-monza-race'"):
            find_session(connection, "2025-monza-rcae")
        with pytest.raises(SessionNotFound, match="ingest sessions list"):
            find_session(connection, "xyzzy")


def test_removing_a_session_keeps_its_messages(database: Database) -> None:
    """They are linked to no session afterwards."""
    database.run(lambda c: save_sessions(c, [PLAIN], now=at(0)))
    database.run(lambda c: merge_messages(c, staged([Reading()]), now=at(0)))
    with database.read() as connection:
        assert stored_row(connection)["session_id"] == "trading-day"
    database.run(lambda c: remove_session(c, "trading-day"))
    with database.read() as connection:
        assert list_sessions(connection) == []
        assert list_messages(connection, "trading-day") == []
        assert stored_row(connection)["session_id"] is None
    with pytest.raises(SessionNotFound):
        database.run(lambda c: remove_session(c, "trading-day"))


def test_a_fact_is_remembered_and_replaced(database: Database) -> None:
    """The last value set is the one that is there."""
    with database.read() as connection:
        assert get_state(connection, "digest") is None
    database.run(lambda c: set_state(c, "digest", "a"))
    database.run(lambda c: set_state(c, "digest", "b 100 % $sure"))
    with database.read() as connection:
        assert get_state(connection, "digest") == "b 100 % $sure"
