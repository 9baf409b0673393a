"""Schedules of any kind out of bytes: their content says what they are."""

from __future__ import annotations

import json
from typing import Any

from ingest_pipeline.domain.sessions.schedule import Schedule
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.edited_files import decode_text
from ingest_pipeline.userconfig.schedules.calendars import read_calendar
from ingest_pipeline.userconfig.schedules.discord_events import is_scheduled_events, read_scheduled_events
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.schedules.races import read_race_schedule


def read_schedule(content: bytes, name: str, options: ScheduleOptions) -> Schedule:
    """Read a calendar, or a list of sessions as JSON.

    Args:
        content: The file, or what an address answered.
        name: Its name in messages.
        options: How it is read.

    Raises:
        BadInput: It is neither, or holds nothing that can be a session.
    """
    text = decode_text(content, name)
    if text.lstrip()[:1] not in {"{", "["}:
        return read_calendar(text, name, options)
    try:
        root: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON: {error}. Fetch it again") from error
    if is_scheduled_events(root):
        return read_scheduled_events(root, name, options)
    return read_race_schedule(root, name, options)
