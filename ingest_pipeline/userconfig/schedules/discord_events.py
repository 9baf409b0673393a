"""Discord's own scheduled events, as its REST API lists them for a guild.

They are written as a calendar and read as one: a recurrence rule of theirs is a subset of iCalendar's
(https://docs.discord.com/developers/resources/guild-scheduled-event). An event in a voice or stage channel
has its messages in that channel's chat; one that takes place elsewhere needs the channel that is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ingest_pipeline.domain.sessions.schedule import Schedule
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.schedules.calendars import read_calendar
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.session_rows import shown

_CANCELLED = 4
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LISTS = {"by_month": "BYMONTH", "by_month_day": "BYMONTHDAY", "by_year_day": "BYYEARDAY"}
_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": ""})


def is_scheduled_events(root: Any) -> bool:
    """Return whether decoded JSON is a list of scheduled events."""
    return (
        isinstance(root, list)
        and bool(root)
        and all(isinstance(each, dict) and "scheduled_start_time" in each for each in root)
    )


def read_scheduled_events(events: list[dict[str, Any]], name: str, options: ScheduleOptions) -> Schedule:
    """Read scheduled events.

    Args:
        events: As Discord sends them.
        name: What they are called in messages.
        options: How they are read; without a default channel, an event belongs to its own.

    Raises:
        BadInput: None of them can be a session, or one is not as Discord writes it.
    """
    if not events:
        return Schedule(options.source, (), is_whole=options.is_whole, may_be_empty=True)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Discord//EN"]
    try:
        is_given = bool(options.default_channel_ids) and not options.own_channels
        for event in events:
            lines += _lines(event, has_channel=is_given)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BadInput(f"{name} is not as Discord lists scheduled events ({shown(str(error))})") from error
    return read_calendar("\r\n".join([*lines, "END:VCALENDAR", ""]), name, options)


def _lines(event: Mapping[str, Any], *, has_channel: bool) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:discord-event-{int(event['id'])}"
    yield f"DTSTART:{_moment(event['scheduled_start_time'])}"
    if event.get("scheduled_end_time"):
        yield f"DTEND:{_moment(event['scheduled_end_time'])}"
    yield f"SUMMARY:{_text(event['name'])}"
    location = (event.get("entity_metadata") or {}).get("location")
    if location:
        yield f"LOCATION:{_text(location)}"
    if event.get("status") == _CANCELLED:
        yield "STATUS:CANCELLED"
    if event.get("channel_id") and not has_channel:
        yield f"X-INGEST-CHANNEL-IDS:{int(event['channel_id'])}"
    rule = event.get("recurrence_rule")
    if rule:
        yield f"RRULE:{_rule(rule)}"
    yield "END:VEVENT"


def _rule(rule: Mapping[str, Any]) -> str:
    parts = [f"FREQ={_FREQUENCIES[int(rule['frequency'])]}", f"INTERVAL={int(rule.get('interval') or 1)}"]
    days = [_DAYS[int(day)] for day in rule.get("by_weekday") or ()]
    days += [f"{int(each['n'])}{_DAYS[int(each['day'])]}" for each in rule.get("by_n_weekday") or ()]
    if days:
        parts.append(f"BYDAY={','.join(days)}")
    for key, part in _LISTS.items():
        if rule.get(key):
            parts.append(f"{part}={','.join(str(int(each)) for each in rule[key])}")
    if rule.get("count"):
        parts.append(f"COUNT={int(rule['count'])}")
    elif rule.get("end"):
        parts.append(f"UNTIL={_moment(rule['end'])}")
    return ";".join(parts)


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    return str(text).translate(_ESCAPES)
