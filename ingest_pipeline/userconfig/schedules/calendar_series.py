"""The occurrences of one recurring event of a calendar, by recurring-ical-events.

The library is given one event with its changed occurrences at a time, so that a damaged rule costs only its
own event, and what it gets wrong is put right here: a `RECURRENCE-ID` that is a date, `DURATION` over a clock
change, an occurrence in the hour that spring leaves out, and rules that it would follow for hours.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from ingest_pipeline.errors import SessionInvalid
from ingest_pipeline.userconfig.session_rows import shown

# icalendar types every property as the union of all kinds of properties.
Component = Any

MAX_OCCURRENCES = 2000
_FREQUENCIES = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
_PER_DAY = 24
RECURRING = ("RRULE", "RDATE", "RECURRENCE-ID")
# What the parser and the library raise on input they cannot take; they have no base class for it.
LIBRARY_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class Occurrence(NamedTuple):
    """One occurrence.

    Attributes:
        event: A copy of the event with the occurrence's own `DTSTART`, and `DTEND` or `DURATION`.
        source: The event that says what the occurrence is like: the series, or the change of this one.
        original: When the series' rule has it; a moved occurrence keeps it.
    """

    event: Component
    source: Component
    original: date


def expand(
    series: Component | None, changed: Sequence[Component], zone: str | None, since: datetime, until: datetime
) -> list[Occurrence]:
    """Return the occurrences of a series within `[since, until)`, by their start.

    Args:
        series: The event with the rule, or None when a file holds changed occurrences only.
        changed: Events with a `RECURRENCE-ID`, one for each.
        zone: The calendar's `X-WR-TIMEZONE`.
        since: Aware UTC.
        until: Aware UTC.

    Raises:
        SessionInvalid: A rule cannot be read, repeats too fast or too often.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _expanded(series, changed, zone, since, until)
    except LIBRARY_ERRORS as error:
        raise SessionInvalid(
            f"its occurrences cannot be worked out ({shown(str(error))}): correct it"
        ) from error
    if len(found) > MAX_OCCURRENCES:
        raise SessionInvalid(
            f"it recurs {len(found)} times between {since:%Y-%m-%d} and {until:%Y-%m-%d}, and at most "
            f"{MAX_OCCURRENCES} are taken: give a shorter time range"
        )
    return found


def _expanded(
    series: Component | None, changed: Sequence[Component], zone: str | None, since: datetime, until: datetime
) -> list[Occurrence]:
    import icalendar
    import recurring_ical_events

    if series is not None:
        _check_rules(series)
    calendar = icalendar.Calendar()
    if zone:
        calendar.add("X-WR-TIMEZONE", zone)
    changes = {_key(each): each for each in (_with_whole_id(each, series) for each in changed)}
    for component in filter(None, (series, *changes.values())):
        calendar.add_component(component)
    return list(_occurrences(recurring_ical_events.of(calendar).between(since, until), series, changes))


def _occurrences(
    found: Sequence[Component], series: Component | None, changes: dict[Any, Component]
) -> Iterator[Occurrence]:
    for event in found:
        change = changes.get(_key(event))
        source = change if change is not None else series
        if source is None:
            continue
        start, original = event["DTSTART"].dt, event["RECURRENCE-ID"].dt
        if change is not None and change["RECURRENCE-ID"].params.get("RANGE") == "THISANDFUTURE":
            # The library gives every later occurrence the id of the change.
            original = start - (change["DTSTART"].dt - change["RECURRENCE-ID"].dt)
        yield Occurrence(_with_real_end(event, source), source, original)


def _with_real_end(event: Component, source: Component) -> Component:
    start, end = event["DTSTART"].dt, event["DTEND"].dt
    has_periods = any(isinstance(each.dt, tuple) for each in _dates(source, "RDATE"))
    if "DURATION" in source and not has_periods:
        # An hour is an hour also while clocks change, which the library does not see to.
        del event["DTEND"]
        event["DURATION"] = source["DURATION"]
    elif "DTEND" not in source and end == start:
        del event["DTEND"]
    elif isinstance(start, datetime) and start.tzinfo and "DTEND" in source and _utc(end) <= _utc(start):
        # The hour that spring leaves out: both ends are the same moment.
        length = _utc(source["DTEND"].dt) - _utc(source["DTSTART"].dt)
        event["DTEND"].dt = _utc(start) + length
    return event


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _with_whole_id(change: Component, series: Component | None) -> Component:
    """Give a change that names its occurrence by a date the time of day that the series has."""
    stated = change["RECURRENCE-ID"]
    moment = getattr(stated, "dt", None)
    start = series["DTSTART"].dt if series is not None else None
    if isinstance(moment, datetime) or not isinstance(moment, date) or not isinstance(start, datetime):
        return change
    import icalendar

    copied = change.copy()
    copied.subcomponents = change.subcomponents
    whole = icalendar.vDDDTypes(
        datetime.combine(moment, time(start.hour, start.minute, start.second), start.tzinfo)
    )
    whole.params.update({key: value for key, value in stated.params.items() if key == "RANGE"})
    copied["RECURRENCE-ID"] = whole
    return copied


def _key(event: Component) -> Any:
    moment = event["RECURRENCE-ID"].dt
    return _utc(moment) if isinstance(moment, datetime) and moment.tzinfo else moment


def _dates(event: Component, name: str) -> list[Any]:
    values = event.get(name, [])
    return [each for value in (values if isinstance(values, list) else [values]) for each in value.dts]


def _check_rules(series: Component) -> None:
    """Refuse rules that the library would follow for hours, or for ever.

    Raises:
        SessionInvalid: One is such, or is none.
    """
    rules = series.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        text = rule.to_ical().decode(errors="replace").replace("\\", "")
        if not isinstance(rule, dict):
            raise SessionInvalid(f"its rule RRULE:{shown(text)[1:-1]} cannot be read: correct it")
        stated = {
            str(key).upper(): value if isinstance(value, list) else [value] for key, value in rule.items()
        }
        if not _FREQUENCIES.issuperset(str(each).upper() for each in stated.get("FREQ", ["none"])):
            raise SessionInvalid(f"its rule {text} repeats within a day: export each occurrence as an event")
        if any(not isinstance(each, int) or each < 1 for each in stated.get("INTERVAL", [])):
            raise SessionInvalid(f"its rule {text} has no valid INTERVAL: give a number from 1")
        times = [len(stated.get(name, [0])) for name in ("BYHOUR", "BYMINUTE", "BYSECOND")]
        if times[0] * times[1] * times[2] > _PER_DAY:
            raise SessionInvalid(f"its rule {text} gives more than {_PER_DAY} a day: export each as an event")
