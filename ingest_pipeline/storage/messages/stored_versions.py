"""Stored versions between two ids of a channel, to compare a fresh reading with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.domain.membership import Claim
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.membership import EVER, claims_between


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A stored message, as far as its version goes.

    Attributes:
        discord_id: The message.
        content_digest: Its content.
        observed_at: When that was last read, aware UTC.
        deleted_at: When it was deleted, aware UTC, or None.
        skip_reason: Why it is kept as skipped; None for a row of `messages`.
        session_id: The session it is linked to, or None.
    """

    discord_id: int
    content_digest: int
    observed_at: datetime
    deleted_at: datetime | None
    skip_reason: str | None = None
    session_id: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether it is a row of `messages` that is not deleted."""
        return self.skip_reason is None and self.deleted_at is None


def live_between(
    connection: Connection, channel_id: int, low: int, high: int, *, observed_before: datetime
) -> dict[int, datetime]:
    """Return the live messages of a channel with an id in `(low, high]` that were last read before a time.

    Skipped ones are among them; a thread's first message only where `shows_starter` says so.

    Returns:
        Their ids, with when each was last read (aware UTC).
    """
    rows = connection.fetch_all(
        "live_between",
        channel_id=channel_id,
        low=low,
        high=high,
        observed_before=observed_before,
        shows_starter=shows_starter(connection, channel_id),
    )
    return {row["discord_id"]: row["observed_at"] for row in rows}


def stored_between(connection: Connection, channel_id: int, low: int, high: int) -> dict[int, StoredVersion]:
    """Return the messages of a channel with an id in `(low, high]`, deleted and skipped ones too, by id."""
    rows = connection.fetch_all("stored_between", channel_id=channel_id, low=low, high=high)
    return {row["discord_id"]: StoredVersion(**row) for row in rows}


def shows_starter(connection: Connection, channel_id: int) -> bool:
    """Tell whether the history of a thread holds the message that it began with.

    It does in a forum, which holds no messages itself; elsewhere that message is the parent channel's, and a
    complete reading of the thread says nothing about it.
    """
    return bool(connection.fetch_all("shows_starter", channel_id=channel_id))


def session_claims(connection: Connection, channel_id: int) -> list[Claim]:
    """Return what all sessions claim of a channel, or of the parent of a thread."""
    return claims_between(connection, [channel_id], *EVER).get(channel_id, [])


def newest_read_before(connection: Connection, channel_id: int, moment: datetime) -> int:
    """Return the newest message of a channel that was last read before a time, deleted or not; 0 without."""
    row = connection.fetch_one("newest_read_before", channel_id=channel_id, observed_before=moment)
    return 0 if row is None else int(row["discord_id"])


@dataclass(frozen=True, slots=True)
class Bounds:
    """The ids of the first and last message stored of a channel, deleted ones too."""

    oldest: int
    newest: int


def stored_bounds(connection: Connection) -> dict[int, Bounds]:
    """Return the first and last message stored of each channel that has any."""
    rows = connection.fetch_all("stored_bounds")
    return {row["channel_id"]: Bounds(row["oldest_id"], row["newest_id"]) for row in rows}
