"""Sessions that go on past their end: extended window by window while messages keep coming.

Whether one goes on is a function of what is stored: messages in its last minutes. So an outage over the end
changes nothing, and a session stops being extended when those minutes are quiet, when the setting's limit is
reached, or when the next session of one of its channels begins.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.polling import ended_within
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import count_in_window
from ingest_pipeline.storage.messages.membership import threads_of
from ingest_pipeline.storage.messages.schedules import schedules_of_sessions
from ingest_pipeline.storage.messages.sessions import list_sessions, save_sessions
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.schedules.subscriptions import load_subscriptions
from ingest_pipeline.userconfig.settings_file import load_settings_file

_logger = logging.getLogger(__name__)


def extend_overrunning(services: Services, now: datetime) -> list[Session]:
    """Extend the sessions that have ended and go on, and return them as they are now.

    Args:
        services: For the database and the settings.
    """
    with services.database.read() as connection:
        found = overrunning(connection, services, now)
    if not found:
        return []

    def save(connection: Connection) -> list[Session]:
        # Looked at again: another process may have extended or moved them meanwhile.
        extended = overrunning(connection, services, now)
        save_sessions(connection, extended, now=now)
        return extended

    extended = services.database.run(save)
    for session in extended:
        _logger.warning("%s", describe_extension(session))
    return extended


def describe_extension(session: Session) -> str:
    """Say of an extended session until when it is read."""
    scheduled = session.scheduled_end or session.end_time
    minutes = (session.end_time - scheduled) // timedelta(minutes=1)
    return (
        f"session {session.session_id} goes on: it is read until {session.end_time:%H:%M:%S} UTC, "
        f"{minutes} minutes past its end at {scheduled:%H:%M:%S}"
    )


def overrunning(connection: Connection, services: Services, now: datetime) -> list[Session]:
    """Return the sessions that have ended and go on, as they will be when they are extended."""
    sessions = list_sessions(connection)
    span = timedelta(hours=services.settings.post_session_hours)
    ended = ended_within(sessions, now, span)
    if not ended:
        return []
    limits = _limits(connection, services, {each for session in ended for each in session.channel_ids})
    of_schedules = _schedule_limits(connection, services, {session.session_id for session in ended})
    extended = (
        _extended(connection, services, session, sessions, own)
        for session in ended
        if (own := _limits_of(session, limits, of_schedules))
    )
    return [session for session in extended if session is not None]


def _limits(connection: Connection, services: Services, channel_ids: set[int]) -> dict[int, timedelta]:
    """Return how far a session may go on, by channel; channels whose sessions may not are left out."""
    try:
        file = load_settings_file(services.settings.settings_file, groups=False)
        found = effective_settings(connection, file, channel_ids)
    except ConfigurationError:
        # Given where the settings are needed for reading; without them nothing is extended.
        return {}
    minutes = {channel_id: each.overrun_minutes for channel_id, each in found.items()}
    return {channel_id: timedelta(minutes=each) for channel_id, each in minutes.items() if each}


def _schedule_limits(
    connection: Connection, services: Services, session_ids: Collection[str]
) -> dict[str, timedelta]:
    """Return how far sessions may go on by their schedules, by session; those without limits are absent."""
    try:
        stated = {each.name: each.overrun for each in load_subscriptions(services.settings)}
    except ConfigurationError:
        # Reported where schedules are read; their sessions then follow their channels.
        return {}
    if not any(limit is not None for limit in stated.values()):
        return {}
    sources = schedules_of_sessions(connection, session_ids)
    found = {session_id: stated.get(source) for session_id, source in sources.items()}
    return {session_id: limit for session_id, limit in found.items() if limit is not None}


def _limits_of(
    session: Session, channels: Mapping[int, timedelta], schedules: Mapping[str, timedelta]
) -> dict[int, timedelta]:
    """Return how far a session may go on, by channel: its schedule decides, or else each channel."""
    limit = schedules.get(session.session_id)
    if limit is not None:
        return dict.fromkeys(session.channel_ids, limit) if limit else {}
    return {each: channels[each] for each in session.channel_ids if each in channels}


def _extended(
    connection: Connection,
    services: Services,
    session: Session,
    sessions: Sequence[Session],
    limits: Mapping[int, timedelta],
) -> Session | None:
    channel_ids = list(limits)
    step = timedelta(minutes=services.settings.window_minutes)
    scheduled = session.scheduled_end or session.end_time
    latest = scheduled + max(limits.values())
    following = [
        other.start_time
        for other in sessions
        if other.start_time > session.start_time
        and not other.is_cancelled
        and set(other.channel_ids).intersection(session.channel_ids)
    ]
    end = min([session.end_time + step, latest, *following])
    if end <= session.end_time:
        return None
    last_minutes = Window(max(session.end_time - step, session.start_time), session.end_time)
    read = [*channel_ids, *threads_of(connection, channel_ids)]
    return session.extended(end) if count_in_window(connection, read, last_minutes) else None
