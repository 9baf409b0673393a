"""Options of reading a schedule: its channels, how far ahead it is read, what is made of gaps in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.session_rows import shown

DEFAULT_REACH = timedelta(days=366)
"""How far before and after the present a recurring event is followed when nobody says."""

OF_A_COMMAND = "file"
"""The source of a schedule that a command reads; others are subscriptions, by name."""

# Longer ones first.
_KEYS = {
    "--default-length 2h": "default_length: 2h",
    "--assume-zone Europe/Rome": "assume_zone: Europe/Rome",
    "--assume-zone": "assume_zone",
    "--tentative": "tentative: true",
    "--whole-days": "whole_days: true",
}
_LENGTH = re.compile(r"(?:(?P<hours>\d{1,3})h)?(?:(?P<minutes>\d{1,4})m(?:in)?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """How a schedule is read.

    Attributes:
        since: From when on recurring events are followed, aware UTC.
        until: Until when, aware UTC, exclusive.
        default_channel_ids: The channels of sessions that name none.
        own_channels: Whether an event of Discord that has a channel is in that one, whatever the default.
        default_length: The length of an event without an end; None leaves it out.
        assume_zone: The zone of times that name none; None leaves them out.
        tentative: Whether events that are not confirmed are taken.
        whole_days: Whether whole days are taken, from midnight to midnight.
        source: What the schedule is called.
        is_whole: Whether what is missing from it is cancelled.
    """

    since: datetime
    until: datetime
    default_channel_ids: tuple[int, ...] = ()
    own_channels: bool = False
    default_length: timedelta | None = None
    assume_zone: ZoneInfo | None = None
    tentative: bool = False
    whole_days: bool = False
    source: str = OF_A_COMMAND
    is_whole: bool = False

    def remedy(self, text: str) -> str:
        """Return a remedy with the options as they are written for this schedule: a subscription has YAML."""
        if self.source == OF_A_COMMAND:
            return text
        for option, key in _KEYS.items():
            text = text.replace(option, key)
        return text


def parse_length(text: str, what: str) -> timedelta:
    """Return a length of time such as `2h`, `90m` or `1h30m`.

    Raises:
        BadInput: It is not one, or nothing.
    """
    match = _LENGTH.fullmatch(text.strip())
    length = (
        timedelta(**{name: int(value) for name, value in match.groupdict("0").items()}) if match else None
    )
    if not length:
        raise BadInput(f"{what} {shown(text)} is not a length of time: write it such as 2h, 90m or 1h30m")
    return length


def parse_zone(text: str, what: str) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        BadInput: There is none of this name.
    """
    try:
        return ZoneInfo(text.strip())
    except (LookupError, ValueError, OSError):
        raise BadInput(
            f"{what} {shown(text)} is no time zone: write an IANA name such as Europe/Rome or UTC"
        ) from None
