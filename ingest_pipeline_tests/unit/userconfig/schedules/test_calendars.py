"""Sessions out of iCalendar files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session, validate_session_id
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.schedules.calendars import read_calendar, session_id_of
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions

TIMES = ("DTSTART:20260906T130000Z", "DTEND:20260906T153000Z")
OPTIONS = ScheduleOptions(
    since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2027, 1, 1, tzinfo=UTC), default_channel_ids=(5,)
)
ZONE = """BEGIN:VTIMEZONE
TZID:Half/Past
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:+0230
TZOFFSETTO:+0230
TZNAME:HP
END:STANDARD
END:VTIMEZONE"""


def event(*lines: str, uid: str = "monza-race@example.org") -> str:
    """Return one VEVENT."""
    return "\n".join(["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"])


def calendar(*parts: str) -> str:
    """Return a calendar of some components."""
    return "\r\n".join(
        "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *parts, "END:VCALENDAR"]).splitlines()
    )


def parse(text: str) -> list[Session]:
    """Read a calendar's sessions."""
    return [entry.session for entry in read_calendar(text, "season.ics", OPTIONS).sessions]


def refusal(*parts: str) -> str:
    """Return the message with which a calendar is refused."""
    with pytest.raises(BadInput) as caught:
        parse(calendar(*parts))
    return str(caught.value)


def test_an_event_becomes_a_session() -> None:
    """Every property has its field; white space in names is collapsed, the zone is applied."""
    [session] = parse(
        calendar(
            event(
                "DTSTART;TZID=Europe/Rome:20260906T150000",
                "DURATION:PT2H30M",
                "SUMMARY:Italian\\n Grand Prix",
                "LOCATION:Autodromo\\, Monza",
                "CATEGORIES:Race,Formula 1",
                "X-INGEST-CHANNEL-IDS:12\\,11",
                "X-INGEST-ROUND-NUMBER:16",
                "X-INGEST-YEAR:2026",
                "X-INGEST-COUNTRY:Italy",
            )
        )
    )
    assert session == Session(
        session_id="monza-race-example.org",
        start_time=datetime(2026, 9, 6, 13, tzinfo=UTC),
        end_time=datetime(2026, 9, 6, 15, 30, tzinfo=UTC),
        channel_ids=(11, 12),
        year=2026,
        round_number=16,
        session_type="Race",
        event_name="Italian Grand Prix",
        location="Autodromo, Monza",
        country="Italy",
    )


def test_own_properties_win_over_the_standard_ones() -> None:
    """X-INGEST-SESSION-ID replaces the id of the UID; repeated channel lines add up."""
    [session] = parse(
        calendar(
            event(
                *TIMES,
                "CATEGORIES:Race",
                "X-INGEST-SESSION-ID:monza",
                "X-INGEST-SESSION-TYPE:Sprint",
                "X-INGEST-CHANNEL-IDS:11",
                "X-INGEST-CHANNEL-IDS:12",
            )
        )
    )
    assert (session.session_id, session.session_type, session.channel_ids) == ("monza", "Sprint", (11, 12))


@pytest.mark.parametrize("parts", [(ZONE, "event"), ("event", ZONE)])
def test_a_zone_defined_in_the_file_serves_its_events(parts: tuple[str, ...]) -> None:
    """A VTIMEZONE counts wherever it stands."""
    timed = event("DTSTART;TZID=Half/Past:20260906T153000", "DURATION:PT1H")
    [session] = parse(calendar(*(timed if part == "event" else part for part in parts)))
    assert session.start_time == datetime(2026, 9, 6, 13, tzinfo=UTC)


def test_a_zone_of_one_file_never_serves_another() -> None:
    """What an earlier file defined is forgotten."""
    timed = event("DTSTART;TZID=Half/Past:20260906T153000", "DURATION:PT1H")
    parse(calendar(ZONE, timed))
    assert "unknown time zone 'Half/Past'" in refusal(timed)


def test_a_windows_zone_name_is_understood() -> None:
    """Outlook writes names that IANA does not have."""
    times = [
        f"{name};TZID=W. Europe Standard Time:20260906T{hour}0000"
        for name, hour in (("DTSTART", 15), ("DTEND", 17))
    ]
    [session] = parse(calendar(event(*times)))
    assert session.start_time == datetime(2026, 9, 6, 13, tzinfo=UTC)


def test_an_event_over_the_end_of_summer_time_has_its_real_length() -> None:
    """Lengths are real time, not wall clock: 01:30 to 02:30 takes two hours that night."""
    zone = "TZID=America/New_York"
    by_end = event(f"DTSTART;{zone}:20261101T013000", f"DTEND;{zone}:20261101T023000", uid="a")
    by_length = event(f"DTSTART;{zone}:20261101T013000", "DURATION:PT2H", uid="b")
    one, two = parse(calendar(by_end, by_length))
    assert one.window == two.window


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ("DTSTART:20260906T130000", TIMES[1]),
            "has no time zone: --assume-zone Europe/Rome reads such times",
        ),
        (
            ("DTSTART;VALUE=DATE:20260906", TIMES[1]),
            "is a whole day: --whole-days with --assume-zone takes it",
        ),
        ((*TIMES, "STATUS:TENTATIVE"), "it is tentative: --tentative takes such events"),
        (
            ("DTSTART;TZID=Mars/Base:20260906T130000", TIMES[1]),
            "unknown time zone 'Mars/Base': use an IANA name",
        ),
        (("DTSTART:20260230T130000Z", TIMES[1]), "DTSTART '20260230T130000Z' is not a time"),
        (("DTSTART:PT1H", TIMES[1]), "is not a time"),
        (("DTSTART:00010101T000000Z", TIMES[1]), "is not between 1970 and 2099"),
        (("DTSTART;TZID=Asia/Tokyo:00010101T000000", TIMES[1]), "outside the range of UTC: check the year"),
        ((TIMES[1],), "DTSTART is missing"),
        ((TIMES[0], *TIMES), "DTSTART is given 2 times"),
        ((TIMES[0],), "neither DTEND nor DURATION: --default-length 2h"),
        ((TIMES[0], "DURATION:soon"), "neither DTEND nor DURATION"),
        ((TIMES[0], "DURATION:-PT1H"), "give an end later than the start"),
        ((TIMES[0], "DURATION:P9999999D"), "reaches past the last possible time"),
        ((*TIMES, "RRULE:FREQ=NEVER"), "its rule RRULE:FREQ=NEVER cannot be read"),
        ((*TIMES, "RRULE:FREQ=DAILY;INTERVAL=-1"), "has no valid INTERVAL"),
        ((*TIMES, "RRULE:FREQ=SECONDLY"), "repeats within a day: export each occurrence"),
        ((*TIMES, "RRULE:FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60)))), "gives more than 24 a day"),
        (
            ("DTSTART:20000101T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5,6,7"),
            "recurs 2555 times",
        ),
        ((*TIMES, "X-INGEST-YAER:2026"), "X-INGEST-YAER: unknown field 'YAER': did you mean 'year'?"),
        ((*TIMES, "X-INGEST-YEAR:soon"), "year 'soon' is not a whole number"),
    ],
)
def test_a_wrong_event_is_named_with_line_and_remedy(lines: tuple[str, ...], reason: str) -> None:
    """An event that is no session is refused with what to do instead, when there is no other."""
    message = refusal(event(*lines))
    assert message.startswith("season.ics, line 4, 'monza-race@example.org': ")
    assert reason in message


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        (("DTSTART:20260906T130000", TIMES[1]), "assume_zone: Europe/Rome reads such times"),
        (("DTSTART;VALUE=DATE:20260906", TIMES[1]), "whole_days: true with assume_zone takes it"),
        ((*TIMES, "STATUS:TENTATIVE"), "tentative: true takes such events"),
        ((TIMES[0],), "default_length: 2h gives such events an end"),
    ],
)
def test_the_remedies_of_a_subscription_are_keys_of_its_settings(lines: tuple[str, ...], remedy: str) -> None:
    """An option of a command would not help there."""
    subscribed = replace(OPTIONS, source="desk")
    good = event(*TIMES, uid="good")
    [left_out] = read_calendar(calendar(good, event(*lines)), "season.ics", subscribed).left_out
    assert remedy in left_out.reason
    assert "--" not in left_out.reason


def test_all_events_are_judged_at_once() -> None:
    """Each wrong event is reported with its own line."""
    message = refusal(
        event("DTSTART:20260906T130000", TIMES[1], uid="a"), event(TIMES[0], uid="b"), event(uid="c")
    )
    assert [line.strip().split(":")[0] for line in message.splitlines()[1:]] == [
        "line 4, 'a'",
        "line 9, 'b'",
        "line 13, 'c'",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no complete VCALENDAR"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n", "it is empty or cut off"),
        ("hello", "is not iCalendar"),
        ("END:VCALENDAR\n", "is not iCalendar"),
        (calendar(), "holds no VEVENT"),
        (calendar("BEGIN:VTODO", "UID:a", "END:VTODO"), "holds no VEVENT"),
    ],
)
def test_a_file_that_is_no_calendar_of_events_is_refused(text: str, reason: str) -> None:
    """What cannot be sessions is distinguished from wrong events."""
    with pytest.raises(BadInput, match=reason):
        parse(text)


def test_a_one_line_calendar_is_never_taken_for_a_path(tmp_path: Path) -> None:
    """A file that holds another file's path does not lead to that file."""
    other = tmp_path / "other.ics"
    other.write_text(calendar(event(*TIMES)), encoding="utf-8")
    with pytest.raises(BadInput):
        parse(str(other))


@given(uid=st.text(st.characters(exclude_categories=()), min_size=1))
@example("a@b")
@example("....")
@example("x" * 300)
def test_any_uid_gives_a_legal_id_that_never_changes(uid: str) -> None:
    """The same UID gives the same legal id at every reading."""
    assert validate_session_id(session_id_of(uid)) == session_id_of(uid)


def test_uids_that_look_alike_give_different_ids() -> None:
    """Replaced and cut characters still distinguish UIDs."""
    uids = ["a b", "a/b", "a b ", "{a b}", "y" * 300, "y" * 301]
    assert len({session_id_of(uid) for uid in uids}) == len(uids)


names = st.sampled_from(
    [
        "DTSTART",
        "DTEND",
        "DURATION",
        "SUMMARY",
        "CATEGORIES",
        "RRULE",
        "RDATE",
        "EXDATE",
        "RECURRENCE-ID",
        "SEQUENCE",
        "STATUS",
        "X-INGEST-YEAR",
        "X-INGEST-CHANNEL-IDS",
    ]
)
values = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "20260906T130000Z",
        "20260906",
        "PT1H",
        "-P1D",
        "00010101T000000",
        "99991231T235959Z",
        "P999999999D",
        "P1W",
        "FREQ=DAILY",
        "FREQ=WEEKLY;COUNT=3",
    ]
)
parameters = st.sampled_from(
    ["", ";TZID=Europe/Rome", ";TZID=Asia/Tokyo", ";TZID=", ";VALUE=DATE", ";VALUE=PERIOD", ";X"]
)


@given(lines=st.lists(st.builds("{}{}:{}".format, names, parameters, values), max_size=6))
def test_any_event_is_read_or_refused(lines: list[str]) -> None:
    """No value of any property leads to another error than those of bad input."""
    with suppress(BadInput):
        parse(calendar(event(*lines)))
