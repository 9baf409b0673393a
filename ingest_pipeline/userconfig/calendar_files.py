"""Sessions from iCalendar files (RFC 5545): one session for each VEVENT.

| property | field |
|---|---|
| `UID` | `session_id`, made legal as `session_id_of` says |
| `DTSTART`, `DTEND` or `DURATION` | `start_time`, `end_time`; `TZID` by `VTIMEZONE`, IANA or Windows name |
| `SUMMARY`, `LOCATION`, first of `CATEGORIES` | `event_name`, `location`, `session_type` |
| `X-INGEST-<FIELD>` | any field, over the above: `X-INGEST-SESSION-ID`, `X-INGEST-CHANNEL-IDS`, … |

Cancelled events are left out with a warning. Floating times, whole days and recurring events are
refused: a session has one start and one end.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.userconfig.session_rows import SessionRow, Value, field_name, shown

if TYPE_CHECKING:
    from icalendar import Component

_logger = logging.getLogger(__name__)

_RECURRING = ("RRULE", "RDATE", "RECURRENCE-ID")
_OWN = "X-INGEST-"
# What icalendar 7 raises on input that is not iCalendar; it has no base class of its own for them.
_PARSER_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def session_id_of(uid: str) -> str:
    """Return a legal session id that is the same at every reading of the same UID.

    A UID that is legal stays; `@` becomes `-`. Where more had to be replaced or cut, eight digits of
    the UID's digest follow, so that two UIDs never become one session.
    """
    plain = uid.replace("@", "-")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", plain):
        return plain
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain)[:80].strip("-_.")
    digest = blake2b(uid.encode(errors="surrogatepass"), digest_size=4).hexdigest()
    return f"{stem}-{digest}" if stem else digest


def calendar_rows(text: str, name: str) -> list[SessionRow]:
    """Return a row for each event of a calendar that is not cancelled.

    Raises:
        BadInput: The text is not iCalendar, or holds no event.
    """
    events = [
        (event, str(calendar.get("METHOD", "")).upper() == "CANCEL")
        for calendar in _calendars(text, name)
        for event in calendar.subcomponents
        if event.name == "VEVENT"
    ]
    if not events:
        raise BadInput(f"{name} holds no VEVENT: export a calendar with the sessions' events")
    lines = [
        number for number, line in enumerate(text.splitlines(), 1) if line.strip().upper() == "BEGIN:VEVENT"
    ]
    places = lines if len(lines) == len(events) else range(1, len(events) + 1)
    unit = "line" if places is lines else "event"
    rows = [
        _row(event, f"{unit} {place}")
        for (event, cancelled), place in zip(events, places, strict=True)
        if not cancelled and str(event.get("STATUS", "")).upper() != "CANCELLED"
    ]
    if len(rows) < len(events):
        _logger.warning("%s: %d cancelled events left out", name, len(events) - len(rows))
    return rows


def _calendars(text: str, name: str) -> Sequence[Component]:
    import icalendar

    # Zones of an earlier file stay in the library's cache and would serve this one.
    icalendar.use_zoneinfo()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            # It warns where it has to guess which IANA zone a vendor's TZID means.
            warnings.simplefilter("ignore")
            # As bytes: a one-line string would be taken for a path and that file read.
            calendars = icalendar.Calendar.from_ical(text.encode(), multiple=True)
    except _PARSER_ERRORS as error:
        raise BadInput(f"{name} is not iCalendar: {shown(str(error))}. Export the calendar again") from error
    if not calendars:
        raise BadInput(
            f"{name} holds no complete VCALENDAR: it is empty or cut off. Export the calendar again"
        )
    return calendars


# What icalendar cannot read it keeps as text, any attribute of which raises; hence `isinstance(…, str)`.
def _row(event: Component, where: str) -> SessionRow:
    fields: dict[str, Value] = {}
    problems: list[str] = []
    uid = _text(event, "UID")
    fields["session_id"] = session_id_of(uid) if uid else None
    fields["event_name"] = _text(event, "SUMMARY")
    fields["location"] = _text(event, "LOCATION")
    fields["session_type"] = _first_category(event)
    recurring = next((name for name in _RECURRING if name in event), None)
    if recurring:
        problems.append(f"the event recurs ({recurring}): export each occurrence as an event of its own")
    try:
        start, end = _bounds(event)
        fields |= {"start_time": start.isoformat(), "end_time": end.isoformat()}
    except SessionInvalid as error:
        problems.append(str(error))
    for name, value in _own_fields(event):
        try:
            fields[field_name(name)] = value
        except SessionInvalid as error:
            problems.append(f"{_OWN}{name}: {error}")
    return SessionRow(where, tuple(fields.items()), tuple(problems))


def _own_fields(event: Component) -> Iterator[tuple[str, Value]]:
    for key, value in event.items():
        if key.startswith(_OWN):
            texts = [_unescape(str(item)) for item in (value if isinstance(value, list) else [value])]
            yield key.removeprefix(_OWN), texts if len(texts) > 1 else texts[0]


def _unescape(text: str) -> str:
    """Undo TEXT's escapes (RFC 5545, 3.3.11), which icalendar leaves in properties it does not know."""
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], text)


def _text(event: Component, name: str) -> str | None:
    value = event.get(name)
    if isinstance(value, list):
        value = value[0]
    return None if value is None else str(value).strip() or None


def _first_category(event: Component) -> str | None:
    value = event.get("CATEGORIES")
    if isinstance(value, list):
        value = value[0]
    if isinstance(value, str):
        return None
    return next((str(category) for category in getattr(value, "cats", ())), None)


def _bounds(event: Component) -> tuple[datetime, datetime]:
    """Return an event's start and end in UTC.

    Raises:
        SessionInvalid: One is absent, unreadable, a whole day or without a known zone.
    """
    start = _moment(event, "DTSTART")
    if "DTEND" in event:
        return start, _moment(event, "DTEND")
    length = _value(event, "DURATION") if "DURATION" in event else None
    if not isinstance(length, timedelta):
        raise SessionInvalid("the event has neither DTEND nor DURATION: give it an end")
    try:
        return start, start + length
    except OverflowError as error:
        raise SessionInvalid(f"DURATION {length} reaches past the last possible time: shorten it") from error


def _moment(event: Component, name: str) -> datetime:
    value = _value(event, name)
    if not isinstance(value, datetime):
        if isinstance(value, date):
            raise SessionInvalid(
                f"{name} {value.isoformat()} is a whole day: give it times, such as {value:%Y%m%d}T130000Z"
            )
        raise SessionInvalid(f"{name} {shown(str(value))} is not a time: write it such as 20260906T130000Z")
    if value.tzinfo is None:
        zone = event[name].params.get("TZID")
        if zone:
            raise SessionInvalid(
                f"{name} is in the unknown time zone {shown(str(zone))}: use an IANA name such as "
                "Europe/Rome, or add its VTIMEZONE"
            )
        raise SessionInvalid(
            f"{name} {value:%Y%m%dT%H%M%S} has no time zone: write {value:%Y%m%dT%H%M%S}Z or add a TZID"
        )
    try:
        return value.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SessionInvalid(
            f"{name} {value.isoformat()} is outside the range of UTC: check the year"
        ) from error


def _value(event: Component, name: str) -> Any:
    """Return the Python value of a time property that must stand once."""
    value = event.get(name)
    if value is None:
        raise SessionInvalid(f"{name} is missing: give one")
    if isinstance(value, list):
        raise SessionInvalid(f"{name} is given {len(value)} times: keep one")
    return str(value) if isinstance(value, str) else getattr(value, "dt", str(value))
