"""Windows are half-open, aware, and tile their session."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.snowflake import created_at, first_id_at, parse_snowflake
from ingest_pipeline.domain.window import Window, WindowGrid, contiguous, document_key
from ingest_pipeline.errors import WindowInvalid

START = datetime(2026, 9, 6, 13, 0, tzinfo=UTC)
GRID = WindowGrid()

moments = st.datetimes(
    min_value=datetime(2015, 1, 2),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
lengths = st.integers(min_value=1, max_value=20 * 3600 * 1000).map(lambda ms: timedelta(milliseconds=ms))


@given(st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_an_id_lies_between_the_first_ids_of_its_millisecond_and_the_next(snowflake: int) -> None:
    """The time inside an id and the id range of a time agree."""
    moment = created_at(snowflake)
    assert first_id_at(moment) <= snowflake
    assert snowflake < first_id_at(moment + timedelta(milliseconds=1)) or snowflake >> 41 == (1 << 22) - 1


@pytest.mark.parametrize(
    "value", [None, "", "12a", "-5", "1.5", "１２", 0, -1, True, 1.5, 2**63, "9" * 40, [1]]
)
def test_what_is_no_snowflake_is_none(value: object) -> None:
    """Ids outside a signed 64-bit integer, or not decimal, are refused."""
    assert parse_snowflake(value) is None


@pytest.mark.parametrize("value", ["1101802452224856174", 1101802452224856174])
def test_a_snowflake_may_be_text_or_number(value: object) -> None:
    """Both JSON forms give the same integer."""
    assert parse_snowflake(value) == 1101802452224856174


def test_a_naive_bound_is_refused_with_the_remedy() -> None:
    """The message shows how to write the time."""
    with pytest.raises(WindowInvalid, match=r"^start 2026-09-06T13:00:00 .* 2026-09-06T13:00:00Z$"):
        Window(START.replace(tzinfo=None), START)
    with pytest.raises(WindowInvalid, match=r"^end 2026-09-06T13:00:00 "):
        Window(START, START.replace(tzinfo=None))


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1)])
def test_an_empty_or_reversed_window_is_refused(length: timedelta) -> None:
    """A window has a positive length."""
    with pytest.raises(WindowInvalid, match="later than the start"):
        Window(START, START + length)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    """Half-open at both the time and the id."""
    window = Window(START, START + timedelta(minutes=5))
    assert window.start in window
    assert window.end not in window
    assert window.low < first_id_at(window.start) <= window.high < first_id_at(window.end)


def test_the_ids_of_a_window_are_those_of_its_time() -> None:
    """From the first of its first millisecond to the last before its end."""
    window = Window(START, START + timedelta(minutes=5))
    assert (window.low, window.high) == (first_id_at(window.start) - 1, first_id_at(window.end) - 1)


def test_windows_that_only_touch_share_nothing() -> None:
    """The end of one is the start of the other, and belongs to the other."""
    first = Window(START, START + timedelta(minutes=5))
    second = Window(first.end, first.end + timedelta(minutes=5))
    assert first.intersection(second) is second.intersection(first) is None
    assert first.intersection(Window(START, second.end)) == first


def test_any_offset_is_brought_to_utc() -> None:
    """Times compare and print in one zone."""
    tokyo = timezone(timedelta(hours=9))
    assert Window(START.astimezone(tokyo), START + timedelta(1)).start.isoformat() == START.isoformat()


@given(moments, lengths)
def test_the_windows_of_a_session_tile_it(start: datetime, length: timedelta) -> None:
    """No instant of a session is outside its windows or in two of them."""
    session = Window(start, start + length)
    windows = [window for key in GRID.keys if (window := GRID.window(key, session))]
    assert windows[0].start == session.start
    assert windows[-1].end == session.end
    assert all(left.end == right.start for left, right in itertools.pairwise(windows))
    assert len(list(contiguous((str(window), window) for window in windows))) == 1


@given(moments, lengths, st.integers(0, 10**6), st.integers(1, 10**6))
def test_the_keys_touching_a_span_are_those_that_share_time_with_it(
    start: datetime, length: timedelta, offset: int, width: int
) -> None:
    """The shortcut agrees with looking at every window."""
    session = Window(start, start + length)
    span = Window(
        start + timedelta(seconds=offset - 1000), start + timedelta(seconds=offset - 1000, milliseconds=width)
    )
    expected = [
        key for key in GRID.keys if (window := GRID.window(key, session)) and window.intersection(span)
    ]
    assert GRID.keys_touching(span, session) == expected


def test_a_session_longer_than_the_grid_ends_in_its_last_window() -> None:
    """A day of trading is covered whole by the keys of six hours."""
    session = Window(START, START + timedelta(hours=16))
    last = GRID.window(GRID.keys[-1], session)
    assert last == Window(START + timedelta(minutes=355), session.end)


@given(moments, st.timedeltas(timedelta(milliseconds=1), timedelta(days=9)), st.integers(1, 90))
def test_the_parts_of_a_session_s_windows_tile_it(start: datetime, length: timedelta, minutes: int) -> None:
    """Each key is of one time and one document; a part is as long as a window, or an hour on day two."""
    grid = WindowGrid(timedelta(minutes=minutes), 360 // minutes + 1)
    session = Window(start, start + length)
    parts = [part for key in grid.keys for part in grid.parts(key, session)]
    windows = [window for part in parts if (window := grid.window(part, session))]
    assert (windows[0].start, windows[-1].end) == (session.start, session.end)
    assert all(left.end == right.start for left, right in itertools.pairwise(windows))
    for part, window in zip(parts, windows, strict=True):
        offset = window.start - session.start
        assert grid.offset(part) == offset
        most = grid.width if offset < timedelta(days=1) else max(grid.width, timedelta(hours=1))
        assert window.end - window.start <= most
        assert grid.parts(part, session) == [part]
    assert len({document_key(part) for part in parts}) == len(parts)


@given(st.integers(-900, 3000), st.integers(1, 2000))
def test_the_parts_touching_a_span_are_those_that_share_time_with_it(begin: int, minutes: int) -> None:
    """Also where a window has many."""
    session = Window(START, START + timedelta(hours=40))
    span = Window(START + timedelta(minutes=begin), START + timedelta(minutes=begin + minutes))
    parts = [part for key in GRID.keys for part in GRID.parts(key, session)]
    assert GRID.parts_touching(span, session) == [
        part for part in parts if (window := GRID.window(part, session)) and window.intersection(span)
    ]


def test_the_document_of_a_long_window_s_first_part_has_the_window_s_key() -> None:
    """So it takes the place of a document of the whole window, from before windows had parts."""
    session = Window(START, START + timedelta(hours=26))
    parts = GRID.parts("T+355m", session)
    assert parts[:2] == ["T+355m/T+355m", "T+355m/T+360m"]
    assert parts[-3:] == ["T+355m/T+1435m", "T+355m/T+1440m", "T+355m/T+1500m"]
    assert [document_key(part) for part in parts[:2]] == ["T+355m", "T+355m/T+360m"]
    assert GRID.parts("T+350m", session) == ["T+350m"]
    assert GRID.parts("T+355m", Window(START, START + timedelta(minutes=360))) == ["T+355m"]


@pytest.mark.parametrize(
    "key",
    ["T+350m/T+350m", "T+355m/T+350m", "T+355m/T+361m", "T+355m/", "T+355m/T+360m/T+365m", "T+355m/T+1445m"],
)
def test_a_key_that_is_no_part_is_refused(key: str) -> None:
    """Only the last window has parts, and each begins where one before it ends."""
    with pytest.raises(WindowInvalid, match="not a part of a window"):
        GRID.offset(key)


@pytest.mark.parametrize("key", ["", "T+003m", "T+360m", "T+-05m", "5", "T+5m"])
def test_a_key_outside_the_grid_is_refused(key: str) -> None:
    """The message names the grid's first and last key."""
    with pytest.raises(WindowInvalid, match=r"T\+000m … T\+355m"):
        GRID.index(key)


def test_a_hole_between_windows_begins_a_new_run() -> None:
    """Only windows that touch are read by one exporter call."""
    session = Window(START, START + timedelta(hours=1))
    keyed = [(key, GRID.window(key, session)) for key in ("T+000m", "T+005m", "T+020m")]
    runs = contiguous((key, window) for key, window in keyed if window)
    assert [[key for key, _ in run] for run in runs] == [["T+000m", "T+005m"], ["T+020m"]]
