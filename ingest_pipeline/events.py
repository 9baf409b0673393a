"""Events, with the same content in the table `events` and in the log.

Types and channels are those of the "Discord Bot Feature" notes. All events of one journey carry one
correlation id. They are written by `storage/runs/events.py`, in the transaction of what they report, and
logged once that transaction has been committed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

_logger = logging.getLogger(__name__)


class EventChannel(StrEnum):
    """The subject of an event: one message, a batch of them, the bot's life, or the system."""

    MESSAGE = "discord:message"
    BATCH = "ingestion:batch"
    BOT = "bot:startup"
    SYSTEM = "system"


class EventType(StrEnum):
    """What happened."""

    MESSAGE_RECEIVED = "discord.message.received"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_PARSED = "message.parsed"
    SETUP_CREATED = "setup.created"
    INGESTION_STARTED = "ingestion.started"
    INGESTION_COMPLETED = "ingestion.completed"
    INGESTION_FAILED = "ingestion.failed"
    CATCH_UP_STARTED = "ingestion.catchup.started"
    CATCH_UP_COMPLETED = "ingestion.catchup.completed"
    BOT_STARTED = "bot.started"
    BOT_READY = "bot.ready"
    BOT_DISCONNECTED = "bot.disconnected"
    BOT_STOPPED = "bot.stopped"
    SYSTEM_ERROR = "system.error"
    SYSTEM_CONNECTION_LOST = "system.connection.lost"
    SYSTEM_CONNECTION_REFUSED = "system.connection.refused"

    @property
    def channel(self) -> EventChannel:
        """The channel that events of this type are on."""
        return _CHANNELS[self.partition(".")[0]]

    @property
    def is_failure(self) -> bool:
        """Whether an operator may have to act."""
        return self is EventType.INGESTION_FAILED or self.channel is EventChannel.SYSTEM


class ContentEvent(str):
    """An event of a kind of content that `EventType` does not have."""

    __slots__ = ()
    channel = EventChannel.MESSAGE
    is_failure = False

    @property
    def value(self) -> str:
        """The type as it is stored."""
        return str(self)


AnyEventType = EventType | ContentEvent


def content_event(name: str) -> AnyEventType:
    """Return the type of an event by its name."""
    return EventType(name) if name in set(EventType) else ContentEvent(name)


_CHANNELS = {
    "discord": EventChannel.MESSAGE,
    "message": EventChannel.MESSAGE,
    "setup": EventChannel.MESSAGE,
    "ingestion": EventChannel.BATCH,
    "bot": EventChannel.BOT,
    "system": EventChannel.SYSTEM,
}


def _new_event_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        event_type: What.
        correlation_id: The journey it belongs to.
        source: Who reports it: `export`, `file`, `history`, `gateway`, `bot`, or another part's name.
        created_at: When, aware UTC.
        message_id: The message it is about, or None.
        session_id: The session it is about, or None.
        run_id: The Dagster run it happened in, or None.
        data: Further figures, as JSON values.
        event_id: Its own id.
    """

    event_type: AnyEventType
    correlation_id: str
    source: str
    created_at: datetime
    message_id: int | None = None
    session_id: str | None = None
    run_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=_new_event_id)

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON values: ids as strings, the time as ISO 8601 in UTC."""
        return {
            "event_id": self.event_id,
            "event_type": self.event_type.value,
            "channel": self.event_type.channel.value,
            "correlation_id": self.correlation_id,
            "source": self.source,
            "message_id": None if self.message_id is None else str(self.message_id),
            "session_id": self.session_id,
            "run_id": self.run_id,
            "data": dict(self.data),
            "created_at": self.created_at.isoformat(),
        }


def dagster_run_id(correlation_id: str) -> str | None:
    """Return the Dagster run that a journey was, or None.

    An asset's journey has its run's id, which Dagster writes as a UUID with hyphens
    (`dagster._core.utils.make_new_run_id`); other journeys have ids of another form.
    """
    try:
        return correlation_id if str(UUID(correlation_id)) == correlation_id else None
    except ValueError:
        return None


def log_events(events: Iterable[Event]) -> None:
    """Log events, one line of JSON each; those of failures as warnings."""
    for event in events:
        level = logging.WARNING if event.event_type.is_failure else logging.INFO
        _logger.log(level, "%s", _Line(event))


@dataclass(frozen=True, slots=True)
class _Line:
    """An event that becomes JSON only if its line is really written."""

    event: Event

    def __str__(self) -> str:
        return json.dumps(self.event.as_dict(), ensure_ascii=False, default=str)
