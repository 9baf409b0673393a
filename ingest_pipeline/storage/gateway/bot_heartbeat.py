"""The heartbeat of the bot: its last report is valid only as long as it goes on."""

from __future__ import annotations

from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.state import get_state, set_state

_KEY = "bot_heartbeat"
_BEGAN = "bot_began"


def note_heartbeat(connection: Connection, at: datetime) -> None:
    """Note that the bot lives."""
    set_state(connection, _KEY, at.isoformat())


def last_heartbeat(connection: Connection) -> datetime | None:
    """Return when the bot was last alive, aware UTC, or None when it never ran."""
    noted = get_state(connection, _KEY)
    return None if noted is None else datetime.fromisoformat(noted)


def note_beginning(connection: Connection, at: datetime) -> None:
    """Note that a run of the bot begins."""
    set_state(connection, _BEGAN, at.isoformat())


def last_beginning(connection: Connection) -> datetime | None:
    """Return when the bot's last run began, aware UTC, or None when it is not known."""
    noted = get_state(connection, _BEGAN)
    return None if noted is None else datetime.fromisoformat(noted)
