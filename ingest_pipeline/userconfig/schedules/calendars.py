"""Sessions from iCalendar files (RFC 5545): one for each VEVENT, and for each occurrence of one that recurs.

| property | field |
|---|---|
| `UID` | `session_id`, made legal as `session_id_of` says; with the date for an occurrence of a series |
| `DTSTART`, `DTEND` or `DURATION` | `start_time`, `end_time`; `TZID` by `VTIMEZONE`, IANA or Windows name |
| `SUMMARY`, `LOCATION`, first of `CATEGORIES` | `event_name`, `location`, `session_type` |
| `X-INGEST-<FIELD>` | any field, over the above: `X-INGEST-SESSION-ID`, `X-INGEST-CHANNEL-IDS`, … |
| `SEQUENCE`, then `DTSTAMP` or `LAST-MODIFIED` | how new the event is |

An event that is no session is named with the reason; the others come in. What happens to stored sessions is
decided in `domain/sessions/schedule_plan.py`.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from ingest_pipeline.domain.sessions.schedule import (
    Cancellation,
    LeftOut,
    Schedule,
    ScheduledSession,
    Version,
    newest_of,
)
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.userconfig.schedules.calendar_series import LIBRARY_ERRORS, RECURRING, expand
from ingest_pipeline.userconfig.schedules.calendar_times import bounds, calendar_zone, written_at
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.session_rows import (
    SessionRow,
    Value,
    convert_row,
    describe_problems,
    field_name,
    shown,
)

if TYPE_CHECKING:
    from icalendar import Component

_OWN = "X-INGEST-"


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


def read_calendar(text: str, name: str, options: ScheduleOptions) -> Schedule:
    """Read a calendar.

    Args:
        text: The file's content.
        name: The file's name in messages.
        options: How it is read.

    Raises:
        BadInput: The text is not iCalendar, holds no event, or no event of it can be a session.
    """
    events = list(_events(text, name, options))
    if not events:
        raise BadInput(f"{name} holds no VEVENT: export a calendar with the sessions' events")
    reader = _Reader(options)
    by_uid: dict[str, list[_Event]] = {}
    for event in events:
        by_uid.setdefault(event.uid or event.where, []).append(event)
    for group in by_uid.values():
        reader.read(group)
    sessions, rivals = newest_of(reader.sessions)
    left_out = (*reader.left_out, *rivals)
    if left_out and not sessions and not reader.cancelled:
        raise SessionInvalid(describe_problems(name, [str(each) for each in left_out]))
    return Schedule(
        options.source,
        tuple(sessions),
        tuple(reader.cancelled),
        left_out,
        frozenset(reader.series),
        frozenset(reader.partial),
        options.since,
        options.until,
        options.is_whole,
    )


@dataclass(frozen=True, slots=True)
class _Event:
    """One VEVENT, or one occurrence of it.

    Attributes:
        component: As the parser gives it.
        where: Its place in the file.
        is_cancelled: Whether it or its calendar says that it is cancelled.
        zone: The zone that its calendar states for all.
        suffix: What its session's id has besides the UID.
        version: How new it is.
    """

    component: Component
    where: str
    is_cancelled: bool
    zone: str | None
    version: Version
    suffix: str = ""

    @property
    def uid(self) -> str | None:
        return _text(self.component, "UID")

    @property
    def name(self) -> str:
        return _text(self.component, "SUMMARY") or self.uid or ""

    @property
    def is_tentative(self) -> bool:
        return str(self.component.get("STATUS", "")).upper() == "TENTATIVE"

    @property
    def session_id(self) -> str:
        own = _text(self.component, f"{_OWN}SESSION-ID")
        return f"{own}{self.suffix}" if own else session_id_of(f"{self.uid or ''}{self.suffix}")


@dataclass(slots=True)
class _Reader:
    """Collects what a file's events are."""

    options: ScheduleOptions
    sessions: list[ScheduledSession] = field(default_factory=list)
    cancelled: list[Cancellation] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    series: set[str] = field(default_factory=set)
    partial: set[str] = field(default_factory=set)

    def read(self, group: Sequence[_Event]) -> None:
        """Read the events of one UID: the newest of each, and their occurrences."""
        changed = _newest(each for each in group if "RECURRENCE-ID" in each.component)
        plain = _newest(each for each in group if "RECURRENCE-ID" not in each.component)
        recurring = [each for each in plain if any(name in each.component for name in RECURRING)]
        if not recurring and not changed:
            for event in plain:
                self._take(event, is_series=True)
            return
        master = plain[0] if plain else None
        if master is not None and (
            master.is_cancelled or (master.is_tentative and not self.options.tentative)
        ):
            self._take(master, is_series=True)
            return
        self._read_series(master, changed)

    def _read_series(self, master: _Event | None, changed: Sequence[_Event]) -> None:
        first = master or changed[0]
        uid = first.uid or first.where
        self.series.add(uid)
        if master is None:
            self.partial.add(uid)
        by_component = {id(each.component): each for each in changed}
        try:
            if master is not None:
                bounds(master.component, self.options, master.zone)
            found = expand(
                master.component if master else None,
                [each.component for each in changed],
                first.zone,
                self.options.since,
                self.options.until,
            )
        except SessionInvalid as error:
            self._leave_out(first, str(error))
            return
        dates = Counter(_day(each.original) for each in found)
        for occurrence in found:
            day = _day(occurrence.original)
            is_alone = dates[day] == 1 or not isinstance(occurrence.original, datetime)
            event = by_component.get(id(occurrence.source), first)
            self._take(
                replace(
                    event,
                    component=occurrence.event,
                    where=f"{event.where}, {day}",
                    suffix=f"-{day}" if is_alone else f"-{day}T{occurrence.original:%H%M}",
                    version=max(event.version, first.version, key=lambda version: version.rank),
                )
            )

    def _take(self, event: _Event, *, is_series: bool = False) -> None:
        uid = event.uid or event.where
        if event.is_cancelled:
            self.cancelled.append(
                Cancellation(
                    uid, event.session_id, event.name, event.version, event.where, is_series=is_series
                )
            )
        elif event.is_tentative and not self.options.tentative:
            self._leave_out(event, "it is tentative: --tentative takes such events")
        else:
            values, problems = convert_row(
                _row(event, self.options), default_channel_ids=self.options.default_channel_ids
            )
            if problems:
                self._leave_out(event, "; ".join(problems))
            else:
                self.sessions.append(ScheduledSession(Session(**values), uid, event.version, event.where))

    def _leave_out(self, event: _Event, reason: str) -> None:
        remedy = self.options.remedy(reason)
        self.left_out.append(LeftOut(event.where, event.name, remedy, event.uid or event.where))


def _newest(events: Iterable[_Event]) -> list[_Event]:
    """Return the newest event of each occurrence; several that are equally new all stay."""
    best: dict[str, list[_Event]] = {}
    for event in events:
        stated = event.component.get("RECURRENCE-ID")
        rivals = best.setdefault("" if stated is None else _written(stated), [])
        if rivals and event.version.rank > rivals[0].version.rank:
            rivals.clear()
        if not rivals or event.version.rank == rivals[0].version.rank:
            rivals.append(event)
    return [event for rivals in best.values() for event in rivals]


def _written(value: object) -> str:
    return value.to_ical().decode(errors="replace") if hasattr(value, "to_ical") else str(value)


def _events(text: str, name: str, options: ScheduleOptions) -> Iterator[_Event]:
    calendars = _calendars(text, name)
    components = [
        (event, calendar)
        for calendar in calendars
        for event in calendar.subcomponents
        if event.name == "VEVENT"
    ]
    lines = [
        number for number, line in enumerate(text.splitlines(), 1) if line.strip().upper() == "BEGIN:VEVENT"
    ]
    places = lines if len(lines) == len(components) else range(1, len(components) + 1)
    unit = "line" if places is lines else "event"
    for (event, calendar), place in zip(components, places, strict=True):
        status, method = (
            str(of.get(key, "")).upper() for of, key in ((event, "STATUS"), (calendar, "METHOD"))
        )
        sequence = event.get("SEQUENCE")
        yield _Event(
            event,
            f"{unit} {place}",
            status == "CANCELLED" or method == "CANCEL",
            calendar_zone(calendar, options),
            Version(sequence if isinstance(sequence, int) else 0, written_at(event)),
        )


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
    except LIBRARY_ERRORS as error:
        raise BadInput(f"{name} is not iCalendar: {shown(str(error))}. Export the calendar again") from error
    if not calendars:
        raise BadInput(
            f"{name} holds no complete VCALENDAR: it is empty or cut off. Export the calendar again"
        )
    return calendars


# What icalendar cannot read it keeps as text, any attribute of which raises; hence `isinstance(…, str)`.
def _row(event: _Event, options: ScheduleOptions) -> SessionRow:
    component = event.component
    fields: dict[str, Value] = {
        "session_id": event.session_id if event.uid or event.suffix else None,
        "event_name": _text(component, "SUMMARY"),
        "location": _text(component, "LOCATION"),
        "session_type": _first_category(component),
    }
    problems: list[str] = []
    try:
        start, end = bounds(component, options, event.zone)
        fields |= {"start_time": start.isoformat(), "end_time": end.isoformat()}
    except SessionInvalid as error:
        problems.append(str(error))
    for name, value in _own_fields(component):
        try:
            fields[field_name(name)] = event.session_id if name == "SESSION-ID" else value
        except SessionInvalid as error:
            problems.append(f"{_OWN}{name}: {error}")
    return SessionRow(event.where, tuple(fields.items()), tuple(problems))


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


def _day(moment: date) -> str:
    return f"{moment:%Y-%m-%d}"
