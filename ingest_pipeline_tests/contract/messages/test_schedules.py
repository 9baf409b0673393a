"""Schedules taken over into stored sessions: which entry counts, what is cancelled, what is recognised."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ingest_pipeline.domain.sessions.schedule import Schedule, ScheduledSession, Version
from ingest_pipeline.domain.sessions.schedule_plan import SchedulePlan
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.polling import missing_time
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.schedules import plan_schedule, save_schedule
from ingest_pipeline.storage.messages.sessions import list_sessions, remove_session, save_sessions
from ingest_pipeline.userconfig.schedules.calendars import read_calendar
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged, stored_row
from ingest_pipeline_tests.unit.userconfig.schedules.test_calendars import calendar, event

CALENDARS = Path(__file__).parents[2] / "fixtures" / "calendars"
NOW = at(0)
RACE = Session("race", at(100), at(200), (CHANNEL,), event_name="Race")
YEAR = timedelta(days=366)
OPTIONS = ScheduleOptions(since=NOW - YEAR, until=NOW + 3 * YEAR, default_channel_ids=(CHANNEL,))


def file(name: str) -> Schedule:
    """Read a calendar of the fixtures."""
    return read_calendar((CALENDARS / name).read_text(), name, OPTIONS)


def season(*sessions: Session, sequence: int = 0, is_whole: bool = False) -> Schedule:
    """Make a schedule of sessions."""
    entries = tuple(ScheduledSession(each, each.session_id, Version(sequence)) for each in sessions)
    return Schedule("season", entries, is_whole=is_whole)


def take(database: Database, schedule: Schedule) -> SchedulePlan:
    """Take a schedule over."""
    return database.run(lambda connection: save_schedule(connection, schedule, now=NOW))[0]


def stored(database: Database) -> dict[str, Session]:
    """Return the stored sessions by id."""
    with database.read() as connection:
        return {session.session_id: session for session in list_sessions(connection)}


def owner(database: Database) -> str | None:
    """Return the session of the only message."""
    with database.read() as connection:
        session_id: str | None = stored_row(connection, 1)["session_id"]
    return session_id


def test_a_cancelled_event_marks_its_session_and_a_moved_one_moves_it(database: Database) -> None:
    """The newer export cancels one race and moves the other; nothing of a cancelled one is missing."""
    take(database, file("confirmed.ics"))
    plan = take(database, file("cancelled.ics"))
    sessions = stored(database)
    assert sessions["r5-x"].is_cancelled
    assert f"{sessions['r6-x'].start_time:%H:%M}" == "14:00"
    assert [change.kind for change in plan.changes] == ["updated", "cancelled"]
    after = sessions["r5-x"].end_time + YEAR
    with database.read() as connection:
        assert missing_time(connection, sessions["r5-x"], after) == []
        assert missing_time(connection, sessions["r6-x"], after)


def test_an_older_file_changes_nothing(database: Database) -> None:
    """SEQUENCE decides, for a session's times and for its cancellation."""
    for newer, older, session_id in (
        ("sequence_1.ics", "sequence_0.ics", "race1-f1"),
        ("cancelled.ics", "confirmed.ics", "r6-x"),
    ):
        take(database, file(newer))
        before = stored(database)
        assert session_id in take(database, file(older)).older
        assert stored(database)[session_id] == before[session_id]


def test_of_equal_sequences_the_one_written_later_counts(database: Database) -> None:
    """DTSTAMP decides where SEQUENCE does not."""
    times = {10: "DTSTART:20260906T100000Z", 12: "DTSTART:20260906T120000Z"}
    early, late = (
        read_calendar(
            calendar(event(times[hour], "DURATION:PT1H", f"DTSTAMP:20260101T{hour}0000Z", uid="a")),
            "a.ics",
            OPTIONS,
        )
        for hour in (10, 12)
    )
    take(database, late)
    assert take(database, early).older == ("a",)
    assert stored(database)["a"].start_time.hour == 12


def test_a_file_that_is_imported_again_changes_nothing(database: Database) -> None:
    """A second import finds every session unchanged."""
    take(database, file("trading_days.ics"))
    plan = take(database, file("trading_days.ics"))
    assert (plan.changes, plan.unchanged) == ((), 10)


def test_a_cancelled_session_takes_no_messages_until_it_is_confirmed_again(database: Database) -> None:
    """Its messages are another session's, or nobody's; a newer confirmation gives them back."""
    take(database, season(RACE))
    database.run(lambda connection: merge_messages(connection, staged([Reading(1, posted=150)]), now=NOW))
    linked = [owner(database)]
    for sequence, is_cancelled in ((1, True), (2, False)):
        take(database, season(replace(RACE, is_cancelled=is_cancelled), sequence=sequence))
        linked.append(owner(database))
    assert linked == ["race", None, "race"]


def test_an_occurrence_that_leaves_its_series_is_cancelled(database: Database) -> None:
    """An EXDATE, or a rule that ends earlier, cancels what is coming and was imported before."""
    start = NOW + timedelta(days=2)
    first = (f"DTSTART:{start:%Y%m%dT%H%M%SZ}", "DURATION:PT1H")
    exception = f"EXDATE:{start + timedelta(days=1):%Y%m%dT%H%M%SZ}"
    for rule in ("RRULE:FREQ=DAILY;COUNT=4", f"RRULE:FREQ=DAILY;COUNT=3\n{exception}"):
        plan = take(database, read_calendar(calendar(event(*first, rule, uid="a")), "a.ics", OPTIONS))
    gone = [start + timedelta(days=1), start + timedelta(days=3)]
    assert {each.session_id for each in stored(database).values() if each.is_cancelled} == {
        f"a-{day:%Y-%m-%d}" for day in gone
    }
    assert {change.reason for change in plan.changes} == {"it is no longer in its series"}


def test_a_cancelled_series_cancels_what_is_coming(database: Database) -> None:
    """METHOD:CANCEL of the series leaves what is over as it was."""
    start = NOW - timedelta(days=1)
    lines = (f"DTSTART:{start:%Y%m%dT%H%M%SZ}", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4")
    take(database, read_calendar(calendar(event(*lines, uid="a")), "a.ics", OPTIONS))
    cancelled = calendar("METHOD:CANCEL", event(*lines, "SEQUENCE:1", uid="a"))
    assert len(take(database, read_calendar(cancelled, "a.ics", OPTIONS)).changes) == 3
    assert [each.is_cancelled for each in stored(database).values()] == [False, True, True, True]


def test_an_unknown_cancelled_event_makes_no_session(database: Database) -> None:
    """It is reported, and nothing is stored."""
    plan = take(database, read_calendar(calendar("METHOD:CANCEL", event(uid="a")), "a.ics", OPTIONS))
    assert [each.session_id for each in plan.unknown] == ["a"]
    assert stored(database) == {}


def test_an_export_with_new_uids_finds_its_sessions_by_their_values(database: Database) -> None:
    """Time, channel and name recognise them; later exports too, and their changes reach the first session."""
    practice = replace(RACE, session_id="practice", start_time=at(10), end_time=at(20), event_name="Practice")
    take(database, season(RACE, practice))
    for number in (1, 2):
        renamed = [replace(each, session_id=f"{each.session_id}-{number}") for each in (RACE, practice)]
        plan = take(database, season(*renamed))
        assert dict(plan.matched) == {f"race-{number}": "race", f"practice-{number}": "practice"}
    longer = replace(RACE, session_id="race-2", end_time=at(300))
    assert dict(take(database, season(longer)).matched) == {}
    assert sorted(stored(database)) == ["practice", "race"]
    assert stored(database)["race"].end_time == at(300)


def test_what_a_whole_schedule_no_longer_has_is_cancelled(database: Database) -> None:
    """Only what is coming and came from this schedule; an empty one cancels nothing, a return undoes it."""
    own = Session("own", at(400), at(500), (CHANNEL,))
    over = replace(RACE, session_id="over", start_time=at(-200), end_time=at(-100), event_name="Over")
    other = replace(RACE, session_id="other", start_time=at(600), end_time=at(700), event_name="Other")
    database.run(lambda connection: save_sessions(connection, [own], now=NOW))
    take(database, season(RACE, over, other, is_whole=True))
    take(database, season(is_whole=True))
    assert not any(each.is_cancelled for each in stored(database).values())
    take(database, season(other, is_whole=True))
    assert {each.session_id for each in stored(database).values() if each.is_cancelled} == {"race"}
    take(database, season(RACE, other, is_whole=True))
    assert not stored(database)["race"].is_cancelled


def test_a_subscription_leaves_alone_what_somebody_changed_or_removed(database: Database) -> None:
    """Until its entry says something else; an import of a file applies it again."""
    later = replace(RACE, session_id="later", start_time=at(500), end_time=at(600), event_name="Later")
    take(database, season(RACE, later, is_whole=True))
    longer = replace(RACE, end_time=at(250))
    database.run(lambda connection: save_sessions(connection, [longer], now=NOW))
    database.run(lambda connection: remove_session(connection, "later", now=NOW))
    plan = take(database, season(RACE, later, is_whole=True))
    assert (plan.unchanged, plan.removed) == (1, ("later",))
    assert stored(database) == {"race": longer}
    moved = replace(RACE, start_time=at(110))
    take(database, season(moved, is_whole=True))
    assert stored(database)["race"] == moved
    take(database, season(moved, later))
    assert sorted(stored(database)) == ["later", "race"]


def test_a_dry_run_shows_what_would_change_and_changes_nothing(database: Database) -> None:
    """The plan has every change; the stored sessions stay."""
    take(database, file("confirmed.ics"))
    before = stored(database)
    with database.read() as connection:
        plan = plan_schedule(connection, file("cancelled.ics"), now=NOW)
    assert [(change.kind, change.after.session_id, sorted(change.fields)) for change in plan.changes] == [
        ("updated", "r6-x", ["end_time", "start_time"]),
        ("cancelled", "r5-x", ["is_cancelled"]),
    ]
    assert stored(database) == before
