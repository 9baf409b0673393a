"""A header's trading day is read, completed by the time of posting, or left open with a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.setups.dates import names_a_day, read_day, without_day

POSTED = datetime(2025, 5, 28, 23, 30, tzinfo=UTC)
WRITTEN = (
    "{d:%a} {d:%b} {d.day}",
    "{d:%A} {d:%B} {d.day}",
    "{d:%b} {d.day}",
    "{d:%b}. {d.day}, {d.year}",
    "({d:%a}, {d:%b} {d.day})",
    "{d.day} {d:%B} {d.year}",
    "{d.month}/{d.day}/{d.year}",
    "{d.year}-{d.month:02}-{d.day:02}",
    "{d:%a} {d.day} {d:%b}",
)


@pytest.mark.parametrize(
    "text",
    [
        "A+ Scalp Trade Setups — Thu May 29",
        "A+ Scalp Trade Setups – Thursday May 29, 2025",
        "A+ Trade Setups (Thu, May 29)",
        "A+ Scalp Setups — Thur May 29",
        "A+ Scalp Setups — Thurs. May 29th",
        "Setups for the 29th of May",
        "Setups 29 May 2025",
        "Setups 5/29",
        "Setups 05/29/25",
        "Setups 29.05.2025",
        "Setups 05-29-2025",
        "Setups 2025-05-29",
        "Setups 2025/5/29",
        "SETUPS MAY 29",
        "Setups May 29 (May 29)",
        "Setups: May 29.",
        "Setups May 29 9:30am",
    ],
)
def test_a_day_is_read_however_it_is_written(text: str) -> None:
    """With or without year, weekday and ordinal, in words or numbers."""
    assert read_day(text, POSTED).day == date(2025, 5, 29)
    assert names_a_day(text)


@pytest.mark.parametrize(
    ("text", "posted", "day"),
    [
        ("Fri Jan 2", datetime(2025, 12, 31, tzinfo=UTC), date(2026, 1, 2)),
        ("Dec 31", datetime(2026, 1, 1, 3, tzinfo=UTC), date(2025, 12, 31)),
        ("Feb 29", datetime(2024, 2, 28, tzinfo=UTC), date(2024, 2, 29)),
        ("May 28, 2019", POSTED, date(2019, 5, 28)),
    ],
)
def test_a_day_without_year_is_the_nearest(text: str, posted: datetime, day: date) -> None:
    """New year is no obstacle, and a written year is taken at its word."""
    assert read_day(text, posted).day == day


@pytest.mark.parametrize(
    ("text", "posted", "day"),
    [
        ("5/6", datetime(2025, 5, 5, tzinfo=UTC), date(2025, 5, 6)),
        ("5/6", datetime(2025, 6, 4, tzinfo=UTC), date(2025, 6, 5)),
        ("Thu 5/6", datetime(2025, 5, 20, tzinfo=UTC), date(2025, 6, 5)),
        ("Tue 5/6", datetime(2025, 5, 20, tzinfo=UTC), date(2025, 5, 6)),
        ("6/6", datetime(2025, 5, 20, tzinfo=UTC), date(2025, 6, 6)),
    ],
)
def test_month_and_day_are_distinguished_by_weekday_or_nearness(
    text: str, posted: datetime, day: date
) -> None:
    """Numbers that may be either are decided only where one reading alone fits."""
    assert read_day(text, posted).day == day


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A+ Trade Setups", "names no date"),
        ("A+ Trade Setups — Today", "names no date"),
        ("A+ Trade Setups — Thursday", "names a weekday but no date"),
        ("Fri May 29", "the weekday contradicts 'May 29', which is Thursday 2025-05-29"),
        ("Mon/Tue May 27", "names several weekdays"),
        ("May 29 – May 30", "names several dates: May 29, May 30"),
        ("Feb 30", "'Feb 30' is not a day"),
        ("Feb 29", "'Feb 29' is not a day"),
        ("13/13", "'13/13' is not a day"),
        ("Dec 24", "'Dec 24' is not a day of the calendar near the time of posting"),
        ("5/6", "'5/6' may be 2025-05-06 or 2025-06-05"),
        ("Mon 5/6", "the weekday contradicts '5/6'"),
        ("Setups May 2025", "names no date"),
        ("5.29", "names no date"),
        ("590-588", "names no date"),
    ],
)
def test_a_day_that_is_not_certain_stays_open_with_the_reason(text: str, says: str) -> None:
    """Missing, contradictory, impossible, far away or ambiguous: no day is made up."""
    reading = read_day(text, datetime(2025, 5, 19, tzinfo=UTC))
    assert reading.day is None
    assert says in (reading.problem or "")


def test_dates_and_weekdays_are_taken_out_of_a_text() -> None:
    """What remains is the title."""
    assert without_day("A+ Setups — Thu May 29, 2025 scalps").split() == ["A+", "Setups", "—", "scalps"]


@given(
    st.dates(date(2015, 1, 1), date(2035, 12, 31)),
    st.integers(-7, 7),
    st.sampled_from(WRITTEN),
    st.integers(0, 86399),
)
def test_a_written_day_is_read_back(day: date, distance: int, written: str, second: int) -> None:
    """Whatever the form, a day within a week of the posting comes back as itself, never as another."""
    posted = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=distance, seconds=second)
    reading = read_day("A+ Setups — " + written.format(d=day), posted)
    assert reading.day in {day, None}
    if "/" not in written:
        assert reading.day == day


@given(st.text(), st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_text_can_be_read(text: str, posted: datetime) -> None:
    """There is a day, or a reason why not; never both."""
    reading = read_day(text, posted)
    assert (reading.day is None) != (reading.problem is None)
