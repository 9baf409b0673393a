"""Small facts that the project keeps about itself: the bot's heartbeat, the sessions file read last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection

_OPERATIONS = "bot_operations"
_HEARTBEAT = "bot_heartbeat"
_BEGAN = "bot_began"


def get_state(connection: Connection, key: str) -> str | None:
    """Return a fact, or None when it was never set."""
    row = connection.fetch_one("get_state", key=key)
    return None if row is None else str(row["value"])


def set_state(connection: Connection, key: str, value: str) -> None:
    """Remember a fact in place of its former value."""
    connection.execute("set_state", key=key, value=value)


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that goes on.

    Attributes:
        tag: What, such as `sync:guilds` or `sync:channels`.
        since: Since when, aware UTC.
    """

    tag: str
    since: datetime


def note_operations(connection: Connection, running: Sequence[Operation]) -> None:
    """Note what goes on, in place of what did."""
    set_state(connection, _OPERATIONS, json.dumps([[each.tag, each.since.isoformat()] for each in running]))


def noted_operations(connection: Connection) -> tuple[Operation, ...]:
    """Return what was last noted; the bot's heartbeat shows whether it still goes on."""
    stated = json.loads(get_state(connection, _OPERATIONS) or "[]")
    return tuple(Operation(tag, datetime.fromisoformat(since)) for tag, since in stated)


def note_heartbeat(connection: Connection, at: datetime) -> None:
    """Note that the bot lives."""
    set_state(connection, _HEARTBEAT, at.isoformat())


def last_heartbeat(connection: Connection) -> datetime | None:
    """Return when the bot was last alive, aware UTC, or None when it never ran."""
    noted = get_state(connection, _HEARTBEAT)
    return None if noted is None else datetime.fromisoformat(noted)


def note_beginning(connection: Connection, at: datetime) -> None:
    """Note that a run of the bot begins."""
    set_state(connection, _BEGAN, at.isoformat())


def last_beginning(connection: Connection) -> datetime | None:
    """Return when the bot's last run began, aware UTC, or None when it is not known."""
    noted = get_state(connection, _BEGAN)
    return None if noted is None else datetime.fromisoformat(noted)
