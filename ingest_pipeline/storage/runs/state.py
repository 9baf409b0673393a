"""The state table: small facts about the project itself, such as the last imported sessions file."""

from __future__ import annotations

from ingest_pipeline.storage.engine.database import Connection


def get_state(connection: Connection, key: str) -> str | None:
    """Return a fact, or None when it was never set."""
    row = connection.fetch_one("get_state", key=key)
    return None if row is None else str(row["value"])


def set_state(connection: Connection, key: str, value: str) -> None:
    """Remember a fact in place of its former value."""
    connection.execute("set_state", key=key, value=value)
