"""What a batch of gateway events asks of the table inside its transaction."""

from __future__ import annotations

from collections.abc import Collection

from ingest_pipeline.storage.database import Connection


def lock_messages(connection: Connection, message_ids: Collection[int]) -> None:
    """Take turns, until the transaction ends, with whoever writes messages near these.

    A batch that deletes and merges takes all its turns at once: taken one after the other they could
    cross those of another batch.
    """
    if message_ids:
        connection.execute("lock_ids", discord_ids=sorted(message_ids))


def known_among(connection: Connection, message_ids: Collection[int]) -> set[int]:
    """Return which of some messages are in the table, deleted ones too."""
    if not message_ids:
        return set()
    rows = connection.fetch_all("known_among", discord_ids=sorted(message_ids))
    return {row["discord_id"] for row in rows}
