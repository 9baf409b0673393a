"""Queries of a batch of gateway events inside its transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.membership import share_sessions


def lock_messages(connection: Connection, message_ids: Collection[int]) -> None:
    """Take turns, until the transaction ends, with whoever writes messages near these.

    A batch that deletes and merges takes all its turns at once: taken one after the other they could
    cross those of another batch.
    """
    if message_ids:
        # First, as by whoever merges: taken the other way round the two could wait for each other.
        share_sessions(connection)
        connection.execute("lock_ids", discord_ids=sorted(message_ids))


def known_among(connection: Connection, message_ids: Collection[int]) -> set[int]:
    """Return which of some messages are in the table, deleted ones too."""
    if not message_ids:
        return set()
    rows = connection.fetch_all("known_among", discord_ids=sorted(message_ids))
    return {row["discord_id"] for row in rows}


def note_activities(connection: Connection, newest: Mapping[int, int]) -> None:
    """Note the newest message posted in each of some channels, whether it is stored or not.

    Args:
        newest: Channel id → message id.
    """
    if newest:
        connection.execute(
            "note_activities",
            channel_ids=list(newest),
            message_ids=list(newest.values()),
            posted_ats=[created_at(message_id) for message_id in newest.values()],
        )
