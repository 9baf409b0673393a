"""Sessions that go on past their end, and stop when they are over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ingest_pipeline.completeness.sealing import sessions_to_seal
from ingest_pipeline.domain.sessions.schedule import Schedule, ScheduledSession
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.overruns import extend_overrunning
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.membership import keep_parents
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.schedules import save_schedule
from ingest_pipeline.storage.messages.sessions import find_session, save_sessions
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged, stored_row

MINUTE = timedelta(minutes=1)
HOUR = 3600
RACE = Session("race", at(0), at(2 * HOUR), (CHANNEL,))
THREAD = CHANNEL + 100


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """Services whose sessions may go on for twelve minutes; windows have five."""
    settings.data_dir.mkdir(exist_ok=True)
    settings.settings_file.write_text("defaults: {overrun_minutes: 12}\n", encoding="utf-8")
    built = replace(build_services(settings), database=database)
    database.run(lambda connection: save_sessions(connection, [RACE], now=at(0)))
    return built


def post(services: Services, *minutes_past_the_end: float, channel_id: int = CHANNEL) -> None:
    """Store a message for each of some times around the race's end."""
    readings = [
        Reading(discord_id=int(10_000 + 60 * each), channel_id=channel_id, posted=2 * HOUR + 60 * each)
        for each in minutes_past_the_end
    ]
    services.database.run(lambda connection: merge_messages(connection, staged(readings), now=at(3 * HOUR)))


def stored(services: Services, session_id: str = "race") -> Session:
    """Return a session as it is stored."""
    with services.database.read() as connection:
        return find_session(connection, session_id)


def past(minutes: float) -> datetime:
    """Return so many minutes past the race's end."""
    return RACE.end_time + minutes * MINUTE


def extend(services: Services, minutes: float) -> list[datetime]:
    """Look for sessions that go on so many minutes past the end, and return their new ends."""
    return [session.end_time for session in extend_overrunning(services, past(minutes))]


def test_a_session_is_extended_while_messages_keep_coming(services: Services) -> None:
    """A window at a time, up to the setting's limit; its messages past the end are its own."""
    post(services, -1)
    assert extend(services, -0.5) == []
    assert extend(services, 0) == [past(5)]
    post(services, 3)
    assert extend(services, 4) == []
    assert extend(services, 5) == [past(10)]
    post(services, 8)
    assert extend(services, 10) == [past(12)]
    post(services, 11)
    assert extend(services, 12) == []
    race = stored(services)
    assert (race.end_time, race.scheduled_end) == (past(12), past(0))
    with services.database.read() as connection:
        assert stored_row(connection, 10_000 + 180)["session_id"] == "race"


def test_a_quiet_end_is_the_end(services: Services) -> None:
    """A session whose last minutes had no message is over."""
    post(services, -6)
    assert extend(services, 1) == []
    assert stored(services) == RACE


def test_a_session_is_sealed_only_when_it_is_really_over(services: Services) -> None:
    """Whatever comes first, the look at its last minutes or the seal."""
    post(services, -1)
    late = past(0) + services.settings.settle
    assert sessions_to_seal(services, late) == []
    extend_overrunning(services, late)
    assert sessions_to_seal(services, late) == []
    assert [each.session_id for each in sessions_to_seal(services, past(5) + services.settings.settle)] == [
        "race"
    ]


def test_an_outage_over_the_end_is_made_up_for(services: Services) -> None:
    """What is read late extends the session all the same."""
    assert extend(services, 120) == []
    post(services, -2)
    assert extend(services, 121) == [past(5)]


def test_messages_of_threads_count_too(services: Services) -> None:
    """A thread of the channel is the session's."""
    services.database.run(lambda connection: keep_parents(connection, {THREAD: CHANNEL}, now=at(0)))
    post(services, -1, channel_id=THREAD)
    assert extend(services, 0) == [past(5)]


def test_a_session_never_runs_into_the_next_one_of_its_channel(services: Services) -> None:
    """It goes on up to that one's start; a cancelled one does not count."""
    podium = Session("podium", past(2), past(30), (CHANNEL,))
    services.database.run(lambda connection: save_sessions(connection, [podium], now=at(0)))
    post(services, -1, 1)
    assert extend(services, 0) == [past(2)]
    assert extend(services, 2) == []
    cancelled = replace(podium, is_cancelled=True)
    services.database.run(lambda connection: save_sessions(connection, [cancelled], now=at(0)))
    assert extend(services, 2) == [past(7)]


def test_sessions_do_not_go_on_by_default(services: Services) -> None:
    """The setting is off until somebody turns it on."""
    services.settings.settings_file.write_text("defaults: {overrun_minutes: 0}\n# off\n", encoding="utf-8")
    post(services, -1)
    assert extend(services, 0) == []


@pytest.mark.parametrize(
    ("channels", "schedule", "ends"),
    [
        (0, "overrun_minutes: 7", [past(5), past(7)]),
        (12, "overrun_minutes: 0", []),
        (5, "ahead_days: 9", [past(5)]),
    ],
)
def test_a_schedule_sets_how_far_its_sessions_may_go_on(
    services: Services, channels: int, schedule: str, ends: list[datetime]
) -> None:
    """Its limit, also of none, goes before that of their channels; without one theirs holds."""
    source = f"schedules: {{f1: {{url: 'file:f1.ics', {schedule}}}}}\n"
    defaults = f"defaults: {{overrun_minutes: {channels}}}\n"
    services.settings.settings_file.write_text(source + defaults, encoding="utf-8")
    services.database.run(
        lambda connection: save_schedule(
            connection, Schedule("f1", (ScheduledSession(RACE, "race"),)), now=at(0)
        )
    )
    post(services, -1, 3, 6)
    assert [end for minutes in (0, 5, 10) for end in extend(services, minutes)] == ends


def test_a_session_that_is_given_again_as_scheduled_stays_extended(services: Services) -> None:
    """An import of its file does not cut it; another end does."""
    post(services, -1)
    extend(services, 0)
    shorter = replace(RACE, end_time=past(-1))
    for given, end in ((RACE, past(5)), (replace(RACE, event_name="Race"), past(5)), (shorter, past(-1))):
        services.database.run(lambda connection, given=given: save_sessions(connection, [given], now=at(0)))
        assert stored(services).end_time == end
    assert stored(services).scheduled_end is None
