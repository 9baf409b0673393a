"""The state of everything at one time: sessions, reading, the bot, the table.

A bot that is killed, or whose machine goes down, reports nothing any more. So its last report counts only
while its heartbeat, which it writes every quarter of a minute, is recent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ingest_pipeline.domain.sessions.session import Session, live_sessions, next_session
from ingest_pipeline.events import AnyEventType, Event, EventChannel, EventType
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.permissions import UnreadableChannel, unreadable_channels
from ingest_pipeline.monitoring.session_progress import SessionProgress, session_progress
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import count_by_source
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.runs.events import ingested_totals, latest_events
from ingest_pipeline.storage.runs.state import Operation, last_beginning, last_heartbeat, noted_operations

SILENCE = timedelta(seconds=90)
"""Without a heartbeat for this long the bot counts as lost: six in a row are missing."""

_LOOK_BACK = 20
# What a poll may take on top of its interval before it counts as late.
_POLL_GRACE = timedelta(seconds=30)
_POLLS_MISSED = 2


class BotState(StrEnum):
    """The state of the bot.

    Attributes:
        UNKNOWN: It never ran.
        STARTED: It runs and is not connected yet.
        READY: It is connected and hears.
        DISCONNECTED: It runs, and its connection is interrupted.
        STOPPED: It was stopped in order, or gave up and reported why.
        LOST: It did not report that it stops, and its heartbeat is missing.
    """

    UNKNOWN = "unknown"
    STARTED = "started"
    READY = "ready"
    DISCONNECTED = "disconnected"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_running(self) -> bool:
        """Whether it hears, or will again by itself."""
        return self in {BotState.STARTED, BotState.READY, BotState.DISCONNECTED}


_STATES: dict[AnyEventType, BotState] = {
    EventType.BOT_STARTED: BotState.STARTED,
    EventType.BOT_READY: BotState.READY,
    EventType.BOT_DISCONNECTED: BotState.DISCONNECTED,
    EventType.BOT_STOPPED: BotState.STOPPED,
}


@dataclass(frozen=True, slots=True)
class BotStatus:
    """The state of the bot.

    Attributes:
        state: In one word.
        since: Since when, aware UTC, or None.
        heartbeat_at: When it was last alive, aware UTC, or None.
        reason: Why it stopped by itself, or None.
        began_at: When its last run began, aware UTC, or None.
        operations: What it is doing, the longest first; nothing when it does not run.
    """

    state: BotState
    since: datetime | None = None
    heartbeat_at: datetime | None = None
    reason: str | None = None
    began_at: datetime | None = None
    operations: tuple[Operation, ...] = ()


def bot_status(connection: Connection, now: datetime) -> BotStatus:
    """Return how the bot is at a time (aware UTC)."""
    events = latest_events(connection, channel=EventChannel.BOT, limit=_LOOK_BACK)
    event = next((each for each in events if each.event_type in _STATES), None)
    if event is None:
        return BotStatus(BotState.UNKNOWN)
    alive_at = max(last_heartbeat(connection) or event.created_at, event.created_at)
    state, began_at = _STATES[event.event_type], last_beginning(connection)
    if state is BotState.STOPPED:
        return BotStatus(state, event.created_at, alive_at, event.data.get("reason"), began_at)
    if now - alive_at > SILENCE:
        return BotStatus(BotState.LOST, alive_at, alive_at, began_at=began_at)
    operations = noted_operations(connection)
    return BotStatus(state, event.created_at, alive_at, began_at=began_at, operations=operations)


class IngestState(StrEnum):
    """The state of reading: idle, keeping up with a live session, falling behind, or failing."""

    IDLE = "idle"
    READING = "reading"
    LATE = "late"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class IngestHealth:
    """The status of reading.

    Attributes:
        state: In one word.
        last_completed: The last batch that was merged, or None.
        last_failed: The last batch that was undone, or None.
        problem: What is wrong with the settings of channels, with the line, or None.
    """

    state: IngestState
    last_completed: Event | None
    last_failed: Event | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The status at one time.

    Attributes:
        as_of: When, aware UTC.
        engine: `duckdb` or `postgres`.
        live: The sessions that are live, the one to read first.
        upcoming: The session that starts next, or None.
        latest: The session that ended last, or None.
        reading: How reading goes.
        bot: How the bot is.
        unreadable: Monitored channels that the bot was found unable to read.
    """

    as_of: datetime
    engine: str
    live: tuple[SessionProgress, ...]
    upcoming: Session | None
    latest: SessionProgress | None
    reading: IngestHealth
    bot: BotStatus
    unreadable: tuple[UnreadableChannel, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """The content of the whole table; counting takes a while if it is large.

    Attributes:
        messages: Live messages by source.
        ingested: Messages ever ingested as (source, result, number).
    """

    messages: Mapping[str, int]
    ingested: Sequence[tuple[str, str, int]]


def look_up_status(services: Services, now: datetime) -> Status:
    """Return how everything is.

    Raises:
        DatabaseBusy: The database is in use elsewhere.
        DatabaseUnavailable: It cannot be reached.
    """
    with services.database.read() as connection:
        sessions = list_sessions(connection)
        live = tuple(
            session_progress(connection, session, services.grid, now)
            for session in live_sessions(sessions, now)
        )
        ended = [session for session in sessions if session.end_time <= now and not session.is_cancelled]
        latest = max(ended, key=lambda session: (session.end_time, session.session_id), default=None)
        return Status(
            as_of=now,
            engine=services.database.engine,
            live=live,
            upcoming=next_session(sessions, now),
            latest=session_progress(connection, latest, services.grid, now) if latest else None,
            reading=_reading(connection, live, services),
            bot=bot_status(connection, now),
            unreadable=tuple(unreadable_channels(connection)),
        )


def look_up_totals(services: Services) -> Totals:
    """Count the whole table.

    Raises:
        DatabaseBusy: The database is in use elsewhere.
        DatabaseUnavailable: It cannot be reached.
    """
    with services.database.read() as connection:
        return Totals(count_by_source(connection), ingested_totals(connection))


def _reading(connection: Connection, live: Sequence[SessionProgress], services: Services) -> IngestHealth:
    settings = services.settings
    problem = services.settings_problem(groups=False)
    events = latest_events(connection, channel=EventChannel.BATCH, limit=_LOOK_BACK)
    completed = _first(events, EventType.INGESTION_COMPLETED)
    failed = _first(events, EventType.INGESTION_FAILED)
    is_failing = failed is not None and (completed is None or completed.created_at < failed.created_at)
    late = settings.settle + _POLLS_MISSED * timedelta(seconds=settings.poll_interval_seconds) + _POLL_GRACE
    if not live:
        state = IngestState.IDLE
    elif is_failing or problem:
        state = IngestState.FAILING
    else:
        state = IngestState.LATE if live[0].lag_seconds > late.total_seconds() else IngestState.READING
    return IngestHealth(state, completed, failed, problem or services.settings_problem(groups=True))


def _first(events: Sequence[Event], event_type: EventType) -> Event | None:
    return next((event for event in events if event.event_type is event_type), None)
