"""Seasons as their public sources write them, a guild's scheduled events, and trading days."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.schedule import Schedule
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.schedules.files import read_schedule
from ingest_pipeline.userconfig.schedules.trading_days import read_trading_days
from ingest_pipeline_tests.unit.userconfig.schedules.test_calendars import OPTIONS

CHANNEL = 1101802452224856175
OPENF1: dict[str, Any] = {
    "session_key": 9001,
    "session_type": "Practice",
    "session_name": "Practice 1",
    "date_start": "2026-12-04T09:30:00+00:00",
    "date_end": "2026-12-04T10:30:00+00:00",
    "circuit_short_name": "Harbour Ring",
    "country_name": "Freeland",
    "location": "Port Free",
    "gmt_offset": "04:00:00",
    "year": 2026,
    "is_cancelled": False,
}
JOLPICA: dict[str, Any] = {
    "season": "2026",
    "round": "15",
    "raceName": "Freeland Grand Prix",
    "Circuit": {"circuitId": "ring", "Location": {"locality": "Port Free", "country": "Freeland"}},
    "date": "2026-09-06",
    "time": "13:00:00Z",
    "FirstPractice": {"date": "2026-09-04", "time": "10:30:00Z"},
    "SprintQualifying": {"date": "2026-09-04", "time": "14:30:00Z"},
    "Qualifying": {"date": "2026-09-05"},
}
SPORTSTIMES: dict[str, Any] = {
    "name": "Freeland",
    "location": "Port Free",
    "round": 15,
    "slug": "freeland-grand-prix",
    "sessions": {"fp1": "2026-09-04T10:30:00Z", "gp": "2026-09-06T13:00:00.000Z"},
}
EVENT: dict[str, Any] = {
    "id": "1101802452224857000",
    "channel_id": str(CHANNEL),
    "name": "Watch along; live",
    "scheduled_start_time": "2026-12-06T13:00:00+00:00",
    "scheduled_end_time": "2026-12-06T15:00:00+00:00",
    "status": 1,
    "entity_type": 2,
    "entity_metadata": None,
    "recurrence_rule": None,
}


def read(root: Any, **changes: Any) -> Schedule:
    """Read a list as its source sends it."""
    return read_schedule(json.dumps(root).encode(), "season.json", replace(OPTIONS, **changes))


def jolpica(*races: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    """Return an answer of Jolpica."""
    table = {"season": "2026", "Races": list(races)}
    return {"MRData": {"series": "f1", "total": str(total or len(races)), "RaceTable": table}}


def times(schedule: Schedule) -> dict[str, str]:
    """Return each session's times in UTC by its id."""
    return {
        entry.session.session_id: f"{entry.session.start_time:%m-%d %H:%M}–{entry.session.end_time:%H:%M}"
        for entry in schedule.sessions
    }


def test_openf1_sessions_come_in_with_their_ends() -> None:
    """A cancelled one is reported as such, one without an end needs a length."""
    endless = OPENF1 | {"session_key": 9002, "date_end": None}
    schedule = read([OPENF1, endless, OPENF1 | {"session_key": 9003, "is_cancelled": True}])
    assert times(schedule) == {"openf1-9001": "12-04 09:30–10:30"}
    session = schedule.sessions[0].session
    assert (session.session_type, session.location, session.country) == (
        "Practice 1",
        "Port Free",
        "Freeland",
    )
    assert "--default-length" in schedule.left_out[0].reason
    assert [each.session_id for each in schedule.cancelled] == ["openf1-9003"]
    assert len(read([endless], default_length=timedelta(hours=1)).sessions) == 1


def test_jolpica_s_races_become_sessions_as_long_as_the_sport_has_them() -> None:
    """A session without a time is named; a race takes two hours, what comes before it one."""
    schedule = read(jolpica(JOLPICA), is_whole=True)
    assert times(schedule) == {
        "2026-freeland-grand-prix-race": "09-06 13:00–15:00",
        "2026-freeland-grand-prix-practice-1": "09-04 10:30–11:30",
        "2026-freeland-grand-prix-sprint-qualifying": "09-04 14:30–15:30",
    }
    assert schedule.sessions[0].session.round_number == 15
    assert [str(each) for each in schedule.left_out] == [
        "race 1, 'Freeland Grand Prix, Qualifying': its time is not known yet"
    ]
    assert schedule.is_whole


def test_an_answer_that_has_not_all_races_cancels_none() -> None:
    """Jolpica's pages hold thirty races: a page is not the season."""
    schedule = read(jolpica(JOLPICA, total=31), is_whole=True)
    assert not schedule.is_whole
    assert "add ?limit=100 to the address" in schedule.left_out[0].reason


def test_a_season_of_sportstimes_keeps_its_ids_when_rounds_are_renumbered() -> None:
    """Races are identified by slug; of two with the same slug the second has a number."""
    first = read({"races": [SPORTSTIMES, SPORTSTIMES | {"round": 16}]})
    assert times(first)["2026-freeland-grand-prix-gp"] == "09-06 13:00–15:00"
    assert "2026-freeland-grand-prix-2-gp" in times(first)
    assert times(read({"races": [SPORTSTIMES | {"round": 14}]})).keys() < times(first).keys()


def test_an_unconfirmed_or_cancelled_race_of_sportstimes_is_named() -> None:
    """`tbc` is an option's business; a session of an unknown kind needs a length."""
    tbc = read({"races": [SPORTSTIMES, SPORTSTIMES | {"slug": "other", "tbc": True}]})
    assert [each.uid for each in tbc.left_out] == ["2026-other-fp1", "2026-other-gp"]
    assert len(read({"races": [SPORTSTIMES | {"tbc": True}]}, tentative=True).sessions) == 2
    gone = read({"races": [SPORTSTIMES | {"canceled": True}]})
    assert [each.session_id for each in gone.cancelled] == [
        "2026-freeland-grand-prix-fp1",
        "2026-freeland-grand-prix-gp",
    ]
    warm_up = SPORTSTIMES | {"sessions": {"warmUp": "2026-09-06T08:00:00Z"}}
    assert times(read({"races": [warm_up]}, default_length=timedelta(minutes=20))) == {
        "2026-freeland-grand-prix-warm-up": "09-06 08:00–08:20"
    }


def test_a_guild_s_scheduled_events_take_their_own_channel() -> None:
    """An event elsewhere needs a channel; one that recurs is a session for each occurrence."""
    weekly = {
        "start": EVENT["scheduled_start_time"],
        "frequency": 2,
        "interval": 1,
        "by_weekday": [6],
        "count": 3,
    }
    events = [EVENT, EVENT | {"id": "2", "channel_id": None}, EVENT | {"id": "3", "recurrence_rule": weekly}]
    schedule = read(events, default_channel_ids=())
    assert times(schedule) == {
        "discord-event-1101802452224857000": "12-06 13:00–15:00",
        "discord-event-3-2026-12-06": "12-06 13:00–15:00",
        "discord-event-3-2026-12-13": "12-13 13:00–15:00",
        "discord-event-3-2026-12-20": "12-20 13:00–15:00",
    }
    assert schedule.sessions[0].session.channel_ids == (CHANNEL,)
    assert schedule.sessions[0].session.event_name == "Watch along; live"
    assert "names no channel" in schedule.left_out[0].reason


@pytest.mark.parametrize(
    ("content", "wording"),
    [
        (b"{", "is not JSON"),
        (b"[]", "holds no sessions: ask for another season"),
        (b"[1]", "holds no sessions"),
        (b'{"channel": {}, "messages": []}', "is an export of messages: import it with `ingest import`"),
        (b'{"detail": "Slow down"}', r"is no schedule of a known source \(it says 'Slow down'\)"),
        (b'{"races": [1, {"slug": "a"}]}', "it is not as sportstimes writes races"),
        (b'{"MRData": {"RaceTable": {"Races": [{}]}}}', "it is not as Jolpica writes races"),
        (b'[{"session_key": 1}]', "start_time is empty: give one"),
        (
            b'[{"id": "x", "scheduled_start_time": "soon", "name": ""}]',
            "is not as Discord lists scheduled events",
        ),
    ],
)
def test_an_answer_that_is_no_schedule_is_refused_with_what_would_be(content: bytes, wording: str) -> None:
    """Whatever a source answers instead of a season ends in one error of bad input."""
    with pytest.raises(BadInput, match=wording):
        read_schedule(content, "season.json", OPTIONS)


def trading(market: str, first: datetime, last: datetime) -> Schedule:
    """Return a market's trading days."""
    return read_trading_days(market, replace(OPTIONS, since=first, until=last))


def test_trading_days_have_regular_hours_half_days_and_holidays() -> None:
    """Around Thanksgiving 2026 New York is closed on Thursday and closes early on Friday."""
    schedule = trading("XNYS", datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert times(schedule) == {
        "XNYS-2026-11-25": "11-25 14:30–21:00",
        "XNYS-2026-11-27": "11-27 14:30–18:00",
        "XNYS-2026-11-30": "11-30 14:30–21:00",
    }
    assert [entry.session.session_type for entry in schedule.sessions] == [
        "Trading day",
        "Half day",
        "Trading day",
    ]
    assert [str(each) for each in schedule.left_out] == ["2026-11-26, 'Thanksgiving': the market is closed"]


@pytest.mark.parametrize(
    ("market", "first", "wording"),
    [
        ("xnys", 25, "did you mean XNYS"),
        ("?", 25, "write its ISO 10383 code"),
        ("XNYS", 28, "no trading day from 2026-11-28 to 2026-11-29: give another time range"),
    ],
)
def test_trading_days_that_cannot_be_are_refused_with_a_remedy(market: str, first: int, wording: str) -> None:
    """An unknown market, or a weekend."""
    with pytest.raises(BadInput, match=wording):
        trading(market, datetime(2026, 11, first, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC))


odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.integers(), max_size=2)
)


@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                *OPENF1,
                *JOLPICA,
                *SPORTSTIMES,
                *EVENT,
                "tbc",
                "canceled",
                "Sprint",
                "recurrence_rule",
                "meeting_name",
            ]
        ),
        odd
        | st.dictionaries(st.sampled_from(["date", "time", "Location", "frequency", "gp"]), odd, max_size=3),
        max_size=4,
    ),
    base=st.sampled_from([OPENF1, JOLPICA, SPORTSTIMES, EVENT]),
)
def test_any_entry_is_read_or_refused(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """No value of any field leads to another error than those of bad input."""
    entry = base | changes
    roots: dict[int, Any] = {id(JOLPICA): jolpica(entry), id(SPORTSTIMES): {"races": [entry]}}
    with suppress(BadInput):
        read(roots.get(id(base), [entry]))
