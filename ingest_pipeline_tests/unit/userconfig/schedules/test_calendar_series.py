"""Recurring events, and the calendars that people really have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingest_pipeline.domain.sessions.schedule import Schedule
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.schedules.calendars import read_calendar
from ingest_pipeline.userconfig.schedules.options import parse_length, parse_zone
from ingest_pipeline_tests.unit.userconfig.schedules.test_calendars import OPTIONS, calendar, event

CALENDARS = Path(__file__).parents[3] / "fixtures" / "calendars"
ROME = "TZID=Europe/Rome"
WEEKLY = (f"DTSTART;{ROME}:20260315T100000", f"DTEND;{ROME}:20260315T110000", "RRULE:FREQ=WEEKLY;COUNT=4")


def read(*parts: str, **changes: Any) -> Schedule:
    """Read a calendar of some components."""
    return read_calendar(calendar(*parts), "season.ics", replace(OPTIONS, **changes))


def starts(schedule: Schedule) -> dict[str, str]:
    """Return when each session starts, in UTC, by its id."""
    return {
        entry.session.session_id: f"{entry.session.start_time:%m-%d %H:%M}" for entry in schedule.sessions
    }


def lengths(schedule: Schedule) -> list[timedelta]:
    """Return how long each session lasts."""
    return [entry.session.end_time - entry.session.start_time for entry in schedule.sessions]


def test_trading_days_keep_the_exchange_s_time_over_the_clock_change() -> None:
    """Ten days from 09:30 to 16:00 in New York: an hour later in UTC from 2 November on."""
    found = read_calendar((CALENDARS / "trading_days.ics").read_text(), "trading_days.ics", OPTIONS).sessions
    expected = [
        (datetime(2026, month, day, hour, 30, tzinfo=UTC), datetime(2026, month, day, hour + 7, tzinfo=UTC))
        for month, days, hour in ((10, range(26, 31), 13), (11, range(2, 7), 14))
        for day in days
    ]
    assert [(entry.session.start_time, entry.session.end_time) for entry in found] == expected
    assert found[0].session.session_id == "open-x-2026-10-26"


@pytest.mark.parametrize(
    ("file", "left_out"),
    [
        ("no_end_among_others.ics", "line 12, 'Race': the event has neither DTEND nor DURATION"),
        ("whole_day_among_others.ics", "line 12, '(TBC) Final': it is tentative"),
    ],
)
def test_good_events_come_in_beside_one_that_is_named(file: str, left_out: str) -> None:
    """One event that is no session does not cost the others."""
    schedule = read_calendar((CALENDARS / file).read_text(), file, OPTIONS)
    assert starts(schedule) == {"p1-x": "09-05 10:00"}
    assert [str(each)[: len(left_out)] for each in schedule.left_out] == [left_out]


def test_of_two_events_with_one_uid_the_higher_sequence_counts() -> None:
    """Calendars that keep every revision give one session, the newest."""
    schedule = read_calendar((CALENDARS / "two_sequences.ics").read_text(), "two_sequences.ics", OPTIONS)
    assert starts(schedule) == {"r7-x": "12-10 17:00"}
    assert not schedule.left_out


def test_two_events_of_one_uid_that_are_equally_new_are_reported() -> None:
    """Neither vanishes in silence: the second one is named."""
    one, two = (event(f"DTSTART:2026090{day}T100000Z", "DURATION:PT1H", uid="a") for day in (1, 2))
    schedule = read(one, two)
    assert starts(schedule) == {"a": "09-01 10:00"}
    assert "the id 'a' was already given in line 4" in str(schedule.left_out[0])


def test_an_option_gives_events_without_an_end_a_length() -> None:
    """A length that somebody names is used where a calendar has none, in series too."""
    single, series = event("DTSTART:20260906T130000Z"), event(WEEKLY[0], WEEKLY[2], uid="b")
    assert len(read(event("DTSTART:20260906T130000Z", "DURATION:PT1H"), series).left_out) == 1
    assert lengths(read(single, series, default_length=timedelta(hours=2))) == [timedelta(hours=2)] * 5


@pytest.mark.parametrize(
    ("parts", "changes"),
    [((), {"assume_zone": ZoneInfo("Europe/Rome")}), (("X-WR-TIMEZONE:Europe/Rome",), {})],
)
def test_times_without_a_zone_are_read_in_the_assumed_one(
    parts: tuple[str, ...], changes: dict[str, object]
) -> None:
    """An option says which, or the calendar's own zone does; over the clock change too."""
    times = ("DTSTART:20260322T100000", "DTEND:20260322T110000")
    floating = event(*times, "RRULE:FREQ=WEEKLY;COUNT=2", uid="a")
    assert starts(read(*parts, floating, **changes)) == {
        "a-2026-03-22": "03-22 09:00",
        "a-2026-03-29": "03-29 08:00",
    }


def test_whole_days_are_taken_from_midnight_to_midnight_of_a_zone() -> None:
    """The day of a clock change has 25 hours."""
    day = event("DTSTART;VALUE=DATE:20261025", uid="a")
    schedule = read(day, whole_days=True, assume_zone=ZoneInfo("Europe/Rome"))
    assert starts(schedule) == {"a": "10-24 22:00"}
    assert lengths(schedule) == [timedelta(hours=25)]


def test_exceptions_additions_and_changes_of_a_series() -> None:
    """EXDATE takes one out, RDATE adds one, RECURRENCE-ID moves one that keeps its id, or cancels it."""
    schedule = read(
        event(*WEEKLY, "EXDATE;VALUE=DATE:20260322", "RDATE;VALUE=PERIOD:20260317T100000Z/PT3H", uid="a"),
        event(f"RECURRENCE-ID;{ROME}:20260329T100000", "DTSTART:20260329T150000Z", "DURATION:PT1H", uid="a"),
        event(f"RECURRENCE-ID;{ROME}:20260405T100000", WEEKLY[0], "STATUS:CANCELLED", uid="a"),
    )
    assert starts(schedule) == {
        "a-2026-03-15": "03-15 09:00",
        "a-2026-03-17": "03-17 10:00",
        "a-2026-03-29": "03-29 15:00",
    }
    assert lengths(schedule) == [timedelta(hours=1), timedelta(hours=3), timedelta(hours=1)]
    assert [each.session_id for each in schedule.cancelled] == ["a-2026-04-05"]


def test_a_change_of_this_and_all_later_occurrences_moves_them_all() -> None:
    """RANGE=THISANDFUTURE: later ones move by as much, and each keeps the id of its own date."""
    change = event(
        f"RECURRENCE-ID;{ROME};RANGE=THISANDFUTURE:20260322T100000",
        f"DTSTART;{ROME}:20260322T123000",
        f"DTEND;{ROME}:20260322T143000",
        uid="a",
    )
    schedule = read(event(*WEEKLY, uid="a"), change)
    assert starts(schedule) == {
        "a-2026-03-15": "03-15 09:00",
        "a-2026-03-22": "03-22 11:30",
        "a-2026-03-29": "03-29 10:30",
        "a-2026-04-05": "04-05 10:30",
    }
    assert lengths(schedule) == [timedelta(hours=1), *[timedelta(hours=2)] * 3]


def test_a_change_that_names_its_occurrence_by_the_date_replaces_it() -> None:
    """A `RECURRENCE-ID;VALUE=DATE` on a timed series does not double the date."""
    change = event("RECURRENCE-ID;VALUE=DATE:20260322", "DTSTART:20260322T150000Z", "DURATION:PT1H", uid="a")
    schedule = read(event(*WEEKLY, uid="a"), change)
    assert starts(schedule)["a-2026-03-22"] == "03-22 15:00"
    assert len(schedule.sessions) == 4


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        (("DTSTART;TZID=America/New_York:20260307T023000", "DTEND;TZID=America/New_York:20260307T033000"), 1),
        (("DTSTART;TZID=Europe/Rome:20261024T160000", "DURATION:PT24H"), 24),
    ],
)
def test_the_length_is_kept_in_the_night_of_a_clock_change(lines: tuple[str, str], length: int) -> None:
    """An occurrence in the hour that spring leaves out has its length; in autumn 24 hours are 24 hours."""
    schedule = read(event(*lines, "RRULE:FREQ=DAILY;COUNT=2", uid="a"))
    assert lengths(schedule) == [timedelta(hours=length)] * 2


def test_several_occurrences_of_one_date_have_ids_of_their_own() -> None:
    """Only where a date has several does the id name the time of day."""
    twice = event(
        "DTSTART:20260315T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYHOUR=10,18;COUNT=3", uid="a"
    )
    assert list(starts(read(twice))) == ["a-2026-03-15T1000", "a-2026-03-15T1800", "a-2026-03-16"]


def test_a_series_without_an_end_is_followed_within_the_time_range_only() -> None:
    """A rule that never ends gives the occurrences that lie in the range."""
    endless = event("DTSTART:20200101T100000Z", "DURATION:PT1H", "RRULE:FREQ=MONTHLY", uid="a")
    found = starts(read(endless))
    assert (len(found), min(found), max(found)) == (12, "a-2026-01-01", "a-2026-12-01")


def test_a_damaged_series_costs_only_itself() -> None:
    """The other series come in."""
    schedule = read(event(*WEEKLY[:2], "RRULE:FREQ=DAILY;BYDAY=XX", uid="a"), event(*WEEKLY, uid="b"))
    assert len(schedule.sessions) == 4
    assert "its rule RRULE:FREQ=DAILY;BYDAY=XX cannot be read" in str(schedule.left_out[0])


def test_a_series_that_turns_round_is_refused() -> None:
    """23:00 to 01:00 of one date is a mistake of the calendar, not 22 hours."""
    with pytest.raises(BadInput, match="give an end later than the start"):
        read(event("DTSTART:20260315T230000Z", "DTEND:20260315T010000Z", WEEKLY[2]))


@pytest.mark.parametrize("text", ["2h", "120m", "1h60min", " 2H "])
def test_a_length_is_written_in_hours_and_minutes(text: str) -> None:
    """Several spellings name the same length."""
    assert parse_length(text, "--default-length") == timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "0m", "2", "2d", "-2h"])
def test_another_length_is_refused_with_a_remedy(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(BadInput, match="write it such as 2h, 90m or 1h30m"):
        parse_length(text, "--default-length")


@pytest.mark.parametrize("text", ["Mars/Base", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused_with_a_remedy(text: str) -> None:
    """Whatever is no name of a zone is reported."""
    with pytest.raises(BadInput, match="write an IANA name"):
        parse_zone(text, "--assume-zone")


@pytest.mark.parametrize(
    "exception",
    [
        f"EXDATE;{ROME}:20260322T100000",
        "EXDATE:20260322T090000Z",
        "EXDATE;TZID=America/New_York:20260322T050000",
    ],
)
def test_an_exception_takes_out_its_moment_in_whatever_zone_it_is_written(exception: str) -> None:
    """10:00 in Rome, 09:00 UTC and 05:00 in New York are one; the clock change of 29 March stays."""
    assert list(starts(read(event(*WEEKLY, exception, uid="a"))).values()) == [
        "03-15 09:00",
        "03-29 08:00",
        "04-05 08:00",
    ]
