"""Search of messages: filters, pages, and facts about single messages and whole sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are wanted; None for any.

    Attributes:
        session_id: The session.
        channel_id: The channel.
        driver: The driver, whatever the case of its letters.
        author_id: The author.
        since: Posted then or later, aware UTC.
        until: Posted earlier, aware UTC.
        text: Holds this text, whatever the case of its letters.
    """

    session_id: str | None = None
    channel_id: int | None = None
    driver: str | None = None
    author_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


def search_messages(
    connection: Connection, wanted: MessageFilter, *, after: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return live messages, newest first.

    Args:
        wanted: Which.
        after: The id of the last message of the page before.
        limit: How many at most.

    Returns:
        Every column of `messages`, by `discord_id` descending, which is the order they were posted in.
    """
    return connection.fetch_all("search_messages", **asdict(wanted), after=after, maximum=limit)


def find_message(connection: Connection, discord_id: int) -> dict[str, Any] | None:
    """Return a message, deleted ones too, or None."""
    return connection.fetch_one("find_message", discord_id=discord_id)


def find_revisions(connection: Connection, discord_id: int) -> list[dict[str, Any]]:
    """Return when and how a message's other contents were read, the first read first."""
    return connection.fetch_all("find_revisions", discord_id=discord_id)


def find_tombstone(connection: Connection, discord_id: int) -> dict[str, Any] | None:
    """Return a message's deletion, or None."""
    return connection.fetch_one("find_tombstone", discord_id=discord_id)


def count_of_journey(connection: Connection, correlation_id: str) -> int:
    """Count the messages whose content came with a journey."""
    row = connection.fetch_one("count_of_journey", correlation_id=correlation_id)
    return int(row["n"]) if row else 0


def count_by_driver(
    connection: Connection, channel_ids: Sequence[int], window: Window
) -> list[dict[str, Any]]:
    """Return `driver`, `messages` and `last_posted_at` of each driver heard in a window, most heard first."""
    return connection.fetch_all(
        "count_by_driver", channel_ids=list(channel_ids), start=window.start, end=window.end
    )


def count_by_session(connection: Connection) -> dict[str, int]:
    """Count the live messages of each session that has any."""
    return {row["session_id"]: row["n"] for row in connection.fetch_all("count_by_session")}


def count_by_source(connection: Connection) -> dict[str, int]:
    """Count the live messages by how their content was first read."""
    return {row["source"]: row["n"] for row in connection.fetch_all("count_by_source")}


def count_by_channel(connection: Connection) -> list[tuple[int, str, int]]:
    """Count the live messages of each channel by how their content was first read."""
    rows = connection.fetch_all("count_by_channel")
    return [(row["channel_id"], row["source"], int(row["n"])) for row in rows]
