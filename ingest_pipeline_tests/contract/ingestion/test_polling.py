"""The plan is whatever is not proven yet, so an outage of any length heals by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import WindowGrid
from ingest_pipeline.ingestion.polling import PollPlan, missing_keys, plan_poll
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.coverage import Proof, record_proof
from ingest_pipeline_tests.exports import CHANNEL_ID, START

GRID = WindowGrid()
OTHER = CHANNEL_ID + 1


def session(
    session_id: str = "monza",
    start: datetime = START,
    hours: float = 2,
    channels: tuple[int, ...] = (CHANNEL_ID,),
) -> Session:
    """Return a session."""
    return Session(session_id, start, start + timedelta(hours=hours), channels)


def prove(database: Database, start: float, end: float, channel_id: int = CHANNEL_ID) -> None:
    """Prove the minutes from one to another after `START`."""
    low, high = (first_id_at(START + timedelta(minutes=minute)) - 1 for minute in (start, end))
    with database.write() as connection:
        record_proof(connection, Proof(channel_id, low, high, "export", START, "x"))


def keys(database: Database, minute: float, overlap_seconds: int = 30, **fields: object) -> list[str]:
    """Return the keys that are missing so many minutes after `START`."""
    with database.read() as connection:
        return missing_keys(
            connection,
            session(**fields),  # type: ignore[arg-type]
            GRID,
            START + timedelta(minutes=minute),
            timedelta(seconds=overlap_seconds),
        )


def plan(
    database: Database, sessions: list[Session], minute: float, post_session_hours: int = 24
) -> PollPlan:
    """Plan so many minutes after `START`."""
    with database.read() as connection:
        return plan_poll(
            connection,
            sessions,
            GRID,
            START + timedelta(minutes=minute),
            overlap=timedelta(seconds=30),
            post_session=timedelta(hours=post_session_hours),
        )


def test_the_first_poll_reads_everything_since_the_start(database: Database) -> None:
    """Whether the session began a second or half an hour ago."""
    assert keys(database, 0) == []
    assert keys(database, 1 / 60) == ["T+000m"]
    assert keys(database, 12) == ["T+000m", "T+005m", "T+010m"]


def test_a_poll_normally_reads_the_current_window(database: Database) -> None:
    """What is proven is not read again."""
    prove(database, 0, 11.5)
    assert keys(database, 12) == ["T+010m"]


def test_a_window_that_has_just_closed_is_read_once_more(database: Database) -> None:
    """Until it is proven, and the overlap reaches back behind the proof."""
    prove(database, 0, 9.9)
    assert keys(database, 10.5) == ["T+005m", "T+010m"]
    prove(database, 0, 10.2)
    assert keys(database, 10.5) == ["T+005m", "T+010m"]
    assert keys(database, 10.5, overlap_seconds=0) == ["T+010m"]


def test_after_an_outage_everything_since_is_read(database: Database) -> None:
    """However long it was."""
    prove(database, 0, 10)
    assert keys(database, 61)[0] == "T+005m"
    assert keys(database, 61)[-1] == "T+060m"


def test_a_hole_in_the_middle_is_read_alone(database: Database) -> None:
    """And what is proven behind it is not."""
    prove(database, 0, 30)
    prove(database, 40, 120)
    assert keys(database, 500) == ["T+025m", "T+030m", "T+035m"]


def test_a_hole_of_a_millisecond_is_read(database: Database) -> None:
    """It may hold a message as well as a longer one."""
    prove(database, 0, 7)
    prove(database, 7 + 1 / 60_000, 15)
    assert keys(database, 15) == ["T+005m"]


def test_what_lies_before_a_gap_is_not_read_without_an_overlap(database: Database) -> None:
    """The gap begins where the proof ends, which is where the next window begins."""
    prove(database, 0, 5)
    assert keys(database, 10, overlap_seconds=0) == ["T+005m"]


def test_windows_come_in_the_order_of_time_however_late_they_are(database: Database) -> None:
    """A thousand minutes are later than nine hundred."""
    prove(database, 0, 985)
    day = WindowGrid(count=288)
    with database.read() as connection:
        found = missing_keys(
            connection, session(hours=24), day, START + timedelta(minutes=1010), timedelta(seconds=30)
        )
    assert found == [f"T+{minute:03d}m" for minute in range(980, 1010, 5)]


def test_every_channel_must_be_proven(database: Database) -> None:
    """A session is as complete as its least complete channel."""
    prove(database, 0, 120)
    assert keys(database, 500, channels=(CHANNEL_ID,)) == []
    assert len(keys(database, 500, channels=(CHANNEL_ID, OTHER))) == 24


def test_the_live_session_that_started_first_is_polled(database: Database) -> None:
    """The others are named and wait."""
    late, early = session("b", START + timedelta(minutes=1)), session("a")
    chosen = plan(database, [late, early], 30)
    assert (chosen.session, chosen.is_live, chosen.also_live) == (early, True, (late,))


def test_nothing_live_names_the_session_that_comes_next(database: Database) -> None:
    """And asks for nothing."""
    soon, later = session("soon", START + timedelta(days=1)), session("later", START + timedelta(days=2))
    assert plan(database, [later, soon], 0) == PollPlan(upcoming=soon)


def test_a_session_that_ended_is_swept_until_it_is_proven(database: Database) -> None:
    """Its last windows settle a minute after the end."""
    prove(database, 0, 119)
    chosen = plan(database, [session()], 121)
    assert (chosen.session, chosen.is_live, chosen.keys) == (session(), False, ("T+115m",))
    prove(database, 0, 120)
    assert plan(database, [session()], 122).session is None


def test_every_session_that_ended_is_swept(database: Database) -> None:
    """The last to end first; when it is proven, those before it."""
    sessions = [session(f"day {n}".replace(" ", "-"), START + timedelta(hours=3 * n), 2) for n in range(3)]
    for index in (2, 1, 0):
        assert plan(database, sessions, 9 * 60).session == sessions[index]
        prove(database, index * 180, index * 180 + 120)
    assert plan(database, sessions, 9 * 60).session is None


def test_a_session_of_long_ago_is_left_to_a_backfill(database: Database) -> None:
    """The sensor sweeps a day back, not a career."""
    assert plan(database, [session()], 120).session == session()
    assert plan(database, [session()], 120 + 24 * 60).session is None
    assert plan(database, [session()], 120 + 24 * 60 - 1).session == session()


def test_a_live_session_comes_before_one_that_has_ended(database: Database) -> None:
    """What happens now cannot wait."""
    now_live = session("live", START + timedelta(hours=3))
    assert plan(database, [session(), now_live], 181).session == now_live
