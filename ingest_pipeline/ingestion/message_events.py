"""The events of single messages and of the bot, for the gateway.

Imports write none of these (see `batch_events.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ingest_pipeline.events import Event, EventType

SOURCE = "gateway"


def message_event(
    event_type: EventType, correlation_id: str, message_id: int, *, channel_id: int, at: datetime, batch: str
) -> Event:
    """Return an event of one message: received, deleted or parsed.

    Args:
        event_type: What happened.
        correlation_id: The message's own journey.
        at: When, aware UTC: when its frame was received, or when its batch was merged.
        batch: The correlation id of the batch it is stored with, whose events belong to its journey.
    """
    data = {"channel_id": str(channel_id), "batch": batch}
    return Event(event_type, correlation_id, SOURCE, at, message_id=message_id, data=data)


def bot_event(
    event_type: EventType, correlation_id: str, at: datetime, data: Mapping[str, Any] | None = None
) -> Event:
    """Return an event of the bot's life: started, ready, disconnected, stopped, catching up."""
    return Event(event_type, correlation_id, "bot", at, data=data or {})
