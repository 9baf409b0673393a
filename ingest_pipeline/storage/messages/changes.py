"""The change feed: what happened to which messages, in an order that a reader can resume from.

Whoever changes `messages` appends to the feed in the same transaction (an outbox), so a change is in the feed
when it is in the table, and in neither after a rollback. A change has a position, an integer; those that can
be read are all that will ever have positions up to the last of them. On DuckDB there is one writer at a time.
On PostgreSQL transactions commit in another order than they write in, so a position begins with the id of its
transaction, and the feed ends before the oldest one that is still open, whichever database of the server it
works on. (A plain sequence would lose changes: a reader that has seen number 6 never asks for number 5, which
commits later.)

The feed names messages and keeps no copies of rows: a reader gets each message as it stands when it reads.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ingest_pipeline.storage.engine.database import Connection

_AT_ONCE = 20_000


class ChangeKind(StrEnum):
    """What happened to a message.

    Attributes:
        CREATED: It is in the table now; deleted messages that come late are too.
        UPDATED: Its content, its details or its channel became another.
        DELETED: It was deleted.
        SESSION: Its session became another.
        CONTENT: What was extracted from it became another.
        ERASED: It was erased: nothing of it is stored any more but a digest of its id.
    """

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    SESSION = "session"
    CONTENT = "content"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a message.

    Attributes:
        position: Where it is in the feed.
        change: What happened.
        discord_id: To which message.
        recorded_at: When its transaction recorded it, aware UTC.
    """

    position: int
    change: ChangeKind
    discord_id: int
    recorded_at: datetime


def record_changes(
    connection: Connection, change: ChangeKind, discord_ids: Collection[int], *, now: datetime
) -> None:
    """Append changes to the feed, in the order of the ids.

    Args:
        connection: The write transaction that changes the messages; it has written before.
        change: What happened.
        discord_ids: To which messages.
        now: When, aware UTC.
    """
    ordered = sorted(discord_ids)
    for first in range(0, len(ordered), _AT_ONCE):
        some = ordered[first : first + _AT_ONCE]
        connection.execute("record_changes", change=change.value, discord_ids=some, now=now)


def read_changes(connection: Connection, *, after: int = 0, limit: int = 1000) -> list[Change]:
    """Return the changes that follow a position.

    Args:
        connection: A snapshot; of two snapshots the later one may show more.
        after: The position of the last change that was read before, 0 to begin.
        limit: How many at most.
    """
    found: list[Change] = []
    while len(found) < limit:
        # A row holds at least one change.
        rows = connection.fetch_all("read_changes", after=after, maximum=min(limit - len(found), 100))
        if not rows:
            break
        for row in rows:
            found += _changes(row, after, limit - len(found))
            if len(found) == limit:
                break
        after = found[-1].position
    return found


def newest_position(connection: Connection) -> int:
    """Return the position of the last change that can be read, 0 without any."""
    found = connection.fetch_one("newest_change")
    return int(found["position"]) if found else 0


def _changes(row: dict[str, Any], after: int, limit: int) -> list[Change]:
    first = max(after + 1, row["first_position"])
    skipped = first - row["first_position"]
    ids = row["discord_ids"][skipped : skipped + limit]
    change, recorded_at = ChangeKind(row["change"]), row["recorded_at"]
    return [Change(first + place, change, int(each), recorded_at) for place, each in enumerate(ids)]


def changes_with_rows(
    connection: Connection, *, after: int = 0, limit: int = 1000
) -> list[tuple[Change, dict[str, Any] | None]]:
    """Return the changes that follow a position, each with its message's row as it stands now.

    Args:
        connection: A snapshot.
        after: The position of the last change that was read before, 0 to begin.
        limit: How many at most.

    Returns:
        Each change, with every column of `messages`; without a row for a message that was erased since.
    """
    found = read_changes(connection, after=after, limit=limit)
    ids = sorted({each.discord_id for each in found})
    rows = connection.fetch_all("changed_messages", discord_ids=ids) if ids else []
    by_id = {row["discord_id"]: row for row in rows}
    return [(each, by_id.get(each.discord_id)) for each in found]
