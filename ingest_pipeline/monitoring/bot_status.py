"""The state of the bot: its last report, valid while its heartbeat is fresh.

A bot that is killed, or whose machine goes down, says nothing any more. So what it said last counts only
while its heartbeat, which it writes every quarter of a minute, is recent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ingest_pipeline.events import EventChannel, EventType
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.bot_heartbeat import last_beginning, last_heartbeat
from ingest_pipeline.storage.runs.events import latest_events
from ingest_pipeline.storage.runs.operations import Operation, noted_operations

SILENCE = timedelta(seconds=90)
"""After so long without a heartbeat the bot counts as lost: six in a row are missing."""

_LOOK_BACK = 20


class BotState(StrEnum):
    """How the bot is.

    Attributes:
        UNKNOWN: It never ran.
        STARTED: It runs and is not connected yet.
        READY: It is connected and hears.
        DISCONNECTED: It runs, and its connection is interrupted.
        STOPPED: It was stopped in order, or gave up and said why.
        LOST: It did not say that it stops, and its heart does not beat any more.
    """

    UNKNOWN = "unknown"
    STARTED = "started"
    READY = "ready"
    DISCONNECTED = "disconnected"
    STOPPED = "stopped"
    LOST = "lost"


_STATES = {
    EventType.BOT_STARTED: BotState.STARTED,
    EventType.BOT_READY: BotState.READY,
    EventType.BOT_DISCONNECTED: BotState.DISCONNECTED,
    EventType.BOT_STOPPED: BotState.STOPPED,
}


@dataclass(frozen=True, slots=True)
class BotStatus:
    """How the bot is.

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
    told = latest_events(connection, channel=EventChannel.BOT, limit=_LOOK_BACK)
    event = next((each for each in told if each.event_type in _STATES), None)
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
