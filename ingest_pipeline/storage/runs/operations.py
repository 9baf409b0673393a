"""Running operations of the bot, for the status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.state import get_state, set_state

_KEY = "bot_operations"


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
    set_state(connection, _KEY, json.dumps([[each.tag, each.since.isoformat()] for each in running]))


def noted_operations(connection: Connection) -> tuple[Operation, ...]:
    """Return what was last noted; whether it still goes on, the bot's heartbeat says."""
    stated = json.loads(get_state(connection, _KEY) or "[]")
    return tuple(Operation(tag, datetime.fromisoformat(since)) for tag, since in stated)
