"""Any sequence of session changes and imports ends as the last sessions would have had it from the start."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import SessionNotFound
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.membership import count_mislinked, keep_parents
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import remove_session, save_sessions
from ingest_pipeline_tests.contract.messages.test_merge_order import trial
from ingest_pipeline_tests.contract.readings import (
    CHANNEL,
    Reading,
    at,
    expected_messages,
    staged,
    stored_messages,
)
from ingest_pipeline_tests.thoroughness import examples

CHANNELS = (CHANNEL, CHANNEL + 1, CHANNEL + 2)
THREADS = {CHANNEL + 101: CHANNEL, CHANNEL + 102: CHANNEL + 1}
PLACES = (*CHANNELS, *THREADS)
NOW = at(1000)


@dataclass(frozen=True)
class Removal:
    """A session is removed."""

    session_id: str


@dataclass(frozen=True)
class Parents:
    """An export or the catalogue names the parents of threads."""

    thread_ids: tuple[int, ...]


@dataclass(frozen=True)
class Readings:
    """An import."""

    readings: list[Reading]


@dataclass(frozen=True)
class Saving:
    """Sessions are made or changed."""

    sessions: list[Session]


Step = Readings | Saving | Removal | Parents

names = st.sampled_from(["a", "B", "b", "c-1"])
moments = st.integers(0, 12)


@st.composite
def some_sessions(draw: st.DrawFn) -> Session:
    """Draw a session that overlaps with others as often as not, some in threads of their own."""
    start = draw(moments)
    end = start + draw(st.integers(1, 8))
    return Session(
        draw(names),
        at(start),
        at(end),
        tuple(draw(st.sets(st.sampled_from(PLACES), min_size=1, max_size=3))),
        location=draw(st.sampled_from([None, "Monza"])),
    )


@st.composite
def some_readings(draw: st.DrawFn) -> Reading:
    """Draw a reading of one of few messages; some are seen in a thread and in its parent."""
    discord_id = draw(st.integers(1, 14))
    thread = sorted(THREADS)[discord_id % 2]
    channel_id = draw(st.sampled_from([PLACES[discord_id % len(PLACES)], thread, THREADS[thread]]))
    digest = draw(st.integers(1, 3))
    return Reading(discord_id, digest, observed=digest, channel_id=channel_id, posted=discord_id)


steps = st.lists(
    st.one_of(
        st.builds(Readings, st.lists(some_readings(), min_size=1, max_size=6)),
        st.builds(Saving, st.lists(some_sessions(), min_size=1, max_size=3)),
        st.builds(Removal, names),
        st.builds(Parents, st.lists(st.sampled_from(sorted(THREADS)), min_size=1, max_size=2).map(tuple)),
    ),
    min_size=1,
    max_size=9,
)


def apply(connection: Connection, step: Step) -> None:
    """Do a step."""
    match step:
        case Removal(session_id):
            with suppress(SessionNotFound):
                remove_session(connection, session_id)
        case Parents(thread_ids):
            keep_parents(connection, {each: THREADS[each] for each in thread_ids}, now=NOW)
        case Readings(readings):
            merge_messages(connection, staged(readings), now=NOW)
        case Saving(sessions):
            save_sessions(connection, sessions, now=NOW)


def last_sessions(history: Sequence[Step]) -> list[Session]:
    """Return the sessions that there are in the end."""
    held: dict[str, Session] = {}
    for step in history:
        match step:
            case Removal(session_id):
                held.pop(session_id, None)
            case Saving(sessions):
                held.update({session.session_id: session for session in sessions})
    return list(held.values())


@pytest.mark.slow
@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=steps)
def test_any_sequence_ends_as_the_last_sessions_would_have_had_it(
    database: Database, history: list[Step]
) -> None:
    """Adding, replacing, moving, removing and importing, in any order, with threads."""
    sessions = last_sessions(history)
    read = [part for step in history if isinstance(step, Readings) for part in step.readings]
    parents = {
        each: THREADS[each] for step in history if isinstance(step, Parents) for each in step.thread_ids
    }
    with trial(database) as connection:
        for step in history:
            apply(connection, step)
        stored = stored_messages(connection)
        assert stored == expected_messages(read, [], sessions, parents)
        assert count_mislinked(connection) == 0
        assert [count_mislinked(connection, session) for session in sessions] == [0] * len(sessions)
    with trial(database) as connection:
        keep_parents(connection, parents, now=NOW)
        save_sessions(connection, sessions, now=NOW)
        merge_messages(connection, staged(read), now=NOW)
        assert stored_messages(connection) == stored
