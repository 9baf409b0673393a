"""The trading day that a header of trade setups names.

A date is never made up: where the text allows two days, contradicts itself, or lies absurdly far
from the time of posting, there is no day but a problem that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = re.compile(
    r"(?<![0-9])(?P<iso_year>20[0-9]{2})[-/](?P<iso_month>[0-9]{1,2})[-/](?P<iso_day>[0-9]{1,2})(?![0-9])"
    rf"|\b{_MONTH.format('month_first')}\s*(?P<day_second>[0-9]{{1,2}})(?:st|nd|rd|th)?\b"
    r"(?:\s*,?\s*(?P<year_a>20[0-9]{2})\b)?"
    rf"|\b(?P<day_first>[0-9]{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('month_second')}(?!\w)"
    r"(?:\s*,?\s*(?P<year_b>20[0-9]{2})\b)?"
    r"|(?<![\w./-])(?P<left>[0-9]{1,2})(?P<mark>[/.-])(?P<right>[0-9]{1,2})"
    r"(?:(?P=mark)(?P<year_c>20[0-9]{2}|[0-9]{2}))?(?![\w/-]|\.[0-9])",
    re.IGNORECASE,
)
_WEEKDAY = re.compile(
    r"\b(?:(mon)|(tues?)|(wed(?:s|nes)?)|(thu(?:rs?)?)|(fri)|(sat(?:ur)?)|(sun))(?:day)?\b", re.IGNORECASE
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# A plan is posted for a day close by; beyond this a date without a year is another year's or a slip.
_FARTHEST = timedelta(days=60)
# Between 5 June and May 6 the one within a week of posting is meant, if only one is.
_CLOSE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DayReading:
    """A mention of the trading day in a text.

    Attributes:
        day: The day, or None.
        problem: Why there is no day; None when there is.
    """

    day: date | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Mention:
    text: str
    year: int | None
    options: frozenset[tuple[int, int]]


def read_day(text: str, posted_at: datetime) -> DayReading:
    """Read the trading day out of a header.

    Args:
        text: The header.
        posted_at: When the message was posted; a date without a year is the nearest to it.

    Returns:
        The day, or why there is none.
    """
    mentions = list(_mentions(text))
    weekdays = _weekdays(text)
    if not mentions:
        return _problem("names a weekday but no date" if weekdays else "names no date")
    if len({(mention.year, mention.options) for mention in mentions}) > 1:
        return _problem("names several dates: " + ", ".join(mention.text for mention in mentions))
    mention = mentions[0]
    posted = posted_at.date()
    days = {day for option in mention.options if (day := _nearest(mention.year, *option, posted))}
    if not days:
        return _problem(f"{mention.text!r} is not a day of the calendar near the time of posting")
    if weekdays:
        return _with_weekday(mention, days, weekdays, posted)
    return _choose(mention, days, posted)


def names_a_day(text: str) -> bool:
    """Return whether a text holds a date, however written."""
    return next(_mentions(text), None) is not None


def without_day(text: str) -> str:
    """Return a text without its dates and weekdays."""
    return _WEEKDAY.sub(" ", _DATE.sub(" ", text))


def _problem(text: str) -> DayReading:
    return DayReading(None, text)


def _weekdays(text: str) -> set[int]:
    return {match.lastindex - 1 for match in _WEEKDAY.finditer(text) if match.lastindex}


def _mentions(text: str) -> Iterator[_Mention]:
    for match in _DATE.finditer(text):
        found = match.groupdict()
        if found["iso_year"]:
            yield _mention(match, found["iso_year"], [(found["iso_month"], found["iso_day"])])
        elif found["left"]:
            # A dot or hyphen without a year is a price or a range far more often than a date.
            if found["mark"] == "/" or found["year_c"]:
                pair = (found["left"], found["right"])
                yield _mention(match, found["year_c"], [pair, pair[::-1]])
        else:
            month = found["month_first"] or found["month_second"]
            number = str(_MONTHS.index(month[:3].lower()) + 1)
            day = found["day_second"] or found["day_first"]
            yield _mention(match, found["year_a"] or found["year_b"], [(number, day)])


def _mention(match: re.Match[str], year: str | None, options: list[tuple[str, str]]) -> _Mention:
    full_year = None if year is None else int(year) % 2000 + 2000
    return _Mention(match[0], full_year, frozenset((int(month), int(day)) for month, day in options))


def _nearest(year: int | None, month: int, day: int, posted: date) -> date | None:
    """Return the day of the year given, or of the year that brings it nearest to the posting."""
    years = [year] if year is not None else [posted.year - 1, posted.year, posted.year + 1]
    days = [found for candidate in years if (found := _calendar_day(candidate, month, day))]
    if year is None:
        days = [found for found in days if abs(found - posted) <= _FARTHEST]
    return min(days, key=lambda found: abs(found - posted), default=None)


def _calendar_day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _with_weekday(mention: _Mention, days: set[date], weekdays: set[int], posted: date) -> DayReading:
    if len(weekdays) > 1:
        return _problem(f"names several weekdays beside {mention.text!r}")
    agreeing = {day for day in days if day.weekday() in weekdays}
    if not agreeing:
        actual = " or ".join(f"{day:%A} {day.isoformat()}" for day in sorted(days))
        return _problem(f"the weekday contradicts {mention.text!r}, which is {actual}")
    return _choose(mention, agreeing, posted)


def _choose(mention: _Mention, days: set[date], posted: date) -> DayReading:
    close = {day for day in days if abs(day - posted) <= _CLOSE}
    for candidates in (days, close):
        if len(candidates) == 1:
            return DayReading(next(iter(candidates)), None)
    return _problem(f"{mention.text!r} may be " + " or ".join(day.isoformat() for day in sorted(days)))
