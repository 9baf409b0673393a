"""Users: the authors of stored messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.tables import count_rows
from ingest_pipeline.storage.runs.state import get_state, set_state

_SYNCED_AT = "users_synced_at"
# A transaction that was still open at the last sync may have written with an earlier time.
_LONGEST_TRANSACTION = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class UserSync:
    """What a sync of the users did.

    Attributes:
        known: How many there are now.
        created: How many were new.
        updated: Of how many something changed.
    """

    known: int
    created: int
    updated: int


def sync_users(connection: Connection, *, now: datetime) -> UserSync:
    """Bring the users in line with the messages that came or changed since the last time."""
    last = get_state(connection, _SYNCED_AT)
    since = datetime.fromisoformat(last) - _LONGEST_TRANSACTION if last else datetime.min.replace(tzinfo=UTC)
    before = count_rows(connection, "users")
    changed = connection.execute("sync_users", since=since, now=now)
    known = count_rows(connection, "users")
    set_state(connection, _SYNCED_AT, now.isoformat())
    return UserSync(known, created=known - before, updated=changed - (known - before))


def list_users(connection: Connection) -> list[dict[str, Any]]:
    """Return all users by name, columns as in the table."""
    return connection.fetch_all("list_users")
