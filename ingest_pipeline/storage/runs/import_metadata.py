"""Import metadata: the state, start and result of a guild's history import.

Table and questions are those of the notes "Concurrent Import & Real-Time Tracking". They tell whom a
message is owed to; that none is lost or doubled between import and gateway is the work of the merge
and the coverage ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class GuildImport:
    """The import of a guild's history.

    Attributes:
        guild_id: The guild.
        import_completed: Whether it is over.
        import_date: The day it began, UTC.
        import_start_time: When it began, aware UTC.
        import_end_time: When it was completed, aware UTC, or None.
        total_messages_imported: How many messages it found or were there already; counted when it is
            completed.
        correlation_id: The journey of its rows.
    """

    guild_id: int
    import_completed: bool
    import_date: date
    import_start_time: datetime
    import_end_time: datetime | None
    total_messages_imported: int
    correlation_id: str


def mark_import_started(connection: Connection, guild_id: int, *, correlation_id: str, now: datetime) -> None:
    """Note that an import begins, in place of the one before."""
    connection.execute("name_guilds", guild_ids=[guild_id], now=now)
    connection.execute(
        "start_import",
        guild_id=guild_id,
        import_date=now.date(),
        import_start_time=now,
        correlation_id=correlation_id,
    )


def mark_import_completed(
    connection: Connection, guild_id: int, *, correlation_id: str, now: datetime
) -> None:
    """Note that an import is over and count its messages; nothing if another has begun since."""
    connection.execute(
        "complete_import", guild_id=guild_id, correlation_id=correlation_id, import_end_time=now
    )


def find_import(connection: Connection, guild_id: int) -> GuildImport | None:
    """Return the last import of a guild, or None when there was none."""
    row = connection.fetch_one("find_import", guild_id=guild_id)
    return None if row is None else GuildImport(**row)


def is_import_running(connection: Connection, guild_id: int) -> bool:
    """Tell whether a guild's import has begun and is not completed, after a crash too."""
    found = find_import(connection, guild_id)
    return found is not None and not found.import_completed
