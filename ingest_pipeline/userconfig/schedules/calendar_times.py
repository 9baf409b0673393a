"""The times of one event of a calendar, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions, parse_zone
from ingest_pipeline.userconfig.session_rows import shown

if TYPE_CHECKING:
    from icalendar import Component

_DAY = timedelta(days=1)


def bounds(event: Component, options: ScheduleOptions, zone: str | None = None) -> tuple[datetime, datetime]:
    """Return an event's start and end in UTC.

    Args:
        event: A VEVENT.
        options: What is assumed where it says nothing.
        zone: The zone that its calendar states for all.

    Raises:
        SessionInvalid: One is absent, unreadable, a whole day or without a known zone, and no option says
            what to make of it; or the end is not after the start.
    """
    assumed = options.assume_zone or (parse_zone(zone, "X-WR-TIMEZONE") if zone else None)
    stated = _value(event, "DTSTART")
    is_day = isinstance(stated, date) and not isinstance(stated, datetime)
    start = _moment(event, "DTSTART", options, assumed)
    end = _end(event, start, options, assumed, is_day=is_day)
    if end <= start:
        raise SessionInvalid(
            f"it ends at {end.isoformat()}, not after {start.isoformat()}: give an end later than the start"
        )
    return start, end


def _end(
    event: Component, start: datetime, options: ScheduleOptions, assumed: ZoneInfo | None, *, is_day: bool
) -> datetime:
    if "DTEND" in event:
        return _moment(event, "DTEND", options, assumed)
    length = _value(event, "DURATION") if "DURATION" in event else None
    if not isinstance(length, timedelta):
        length = _DAY if is_day else options.default_length
    if length is None:
        raise SessionInvalid(
            "the event has neither DTEND nor DURATION: --default-length 2h gives such events an end"
        )
    try:
        if is_day and assumed:
            return (
                (start.astimezone(assumed).replace(tzinfo=None) + length)
                .replace(tzinfo=assumed)
                .astimezone(UTC)
            )
        return start + length
    except OverflowError as error:
        raise SessionInvalid(f"DURATION {length} reaches past the last possible time: shorten it") from error


def calendar_zone(calendar: Component, options: ScheduleOptions) -> str | None:
    """Return the zone that a calendar states for its floating times, if it is one and none is given."""
    stated = calendar.get("X-WR-TIMEZONE")
    if stated is None or options.assume_zone:
        return None
    try:
        parse_zone(str(stated), "X-WR-TIMEZONE")
    except BadInput:
        return None
    return str(stated).strip()


def written_at(event: Component) -> datetime | None:
    """Return when an event was written or last changed, aware UTC, if it says so."""
    stated = [_value(event, name) for name in ("DTSTAMP", "LAST-MODIFIED") if _stands_once(event, name)]
    moments = [each.astimezone(UTC) for each in stated if isinstance(each, datetime) and each.tzinfo]
    return max(moments, default=None)


def _moment(event: Component, name: str, options: ScheduleOptions, assumed: ZoneInfo | None) -> datetime:
    value = _value(event, name)
    if isinstance(value, date) and not isinstance(value, datetime):
        if not options.whole_days or assumed is None:
            raise SessionInvalid(
                f"{name} {value.isoformat()} is a whole day: --whole-days with --assume-zone takes it from "
                f"midnight to midnight; or give it times, such as {value:%Y%m%d}T130000Z"
            )
        value = datetime.combine(value, time(), assumed)
    if not isinstance(value, datetime):
        raise SessionInvalid(f"{name} {shown(str(value))} is not a time: write it such as 20260906T130000Z")
    if value.tzinfo is None:
        value = value.replace(tzinfo=_zone(event, name, value, assumed))
    try:
        return value.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SessionInvalid(
            f"{name} {value.isoformat()} is outside the range of UTC: check the year"
        ) from error


def _zone(event: Component, name: str, value: datetime, assumed: ZoneInfo | None) -> ZoneInfo:
    stated = event[name].params.get("TZID")
    if stated:
        raise SessionInvalid(
            f"{name} is in the unknown time zone {shown(str(stated))}: use an IANA name such as "
            "Europe/Rome, or add its VTIMEZONE"
        )
    if assumed is None:
        raise SessionInvalid(
            f"{name} {value:%Y%m%dT%H%M%S} has no time zone: --assume-zone Europe/Rome reads such times as "
            f"that zone's; or write {value:%Y%m%dT%H%M%S}Z or add a TZID"
        )
    return assumed


def _stands_once(event: Component, name: str) -> bool:
    return name in event and not isinstance(event[name], list)


def _value(event: Component, name: str) -> Any:
    """Return the Python value of a time property that must stand once."""
    value = event.get(name)
    if value is None:
        raise SessionInvalid(f"{name} is missing: give one")
    if isinstance(value, list):
        raise SessionInvalid(f"{name} is given {len(value)} times: keep one")
    return str(value) if isinstance(value, str) else getattr(value, "dt", str(value))
