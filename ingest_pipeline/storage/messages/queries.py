"""Queries of stored messages: pages, search, and versions for comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.sessions.membership import Claim
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.columns import as_numpy, in_one_piece
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.membership import EVER, claims_between

_TIME = pa.timestamp("us", tz="UTC")
_PAST_ALL = {"first_posted_at": datetime(9999, 12, 31, tzinfo=UTC), "first_id": 0}
_PAGE_BOUNDS = ("first_posted_at", "first_id", "last_posted_at")

EXPORT_SCHEMA: pa.Schema = pa.schema(
    [
        ("discord_id", pa.int64()),
        ("session_id", pa.string()),
        ("guild_id", pa.int64()),
        ("channel_id", pa.int64()),
        ("posted_at", _TIME),
        ("edited_at", _TIME),
        ("driver", pa.string()),
        ("driver_code", pa.string()),
        ("driver_name", pa.string()),
        ("driver_number", pa.int32()),
        ("driver_team", pa.string()),
        ("author_id", pa.int64()),
        ("author_name", pa.string()),
        ("author_nickname", pa.string()),
        ("author_is_bot", pa.bool_()),
        ("message_text", pa.string()),
        ("raw_content", pa.string()),
        ("message_type", pa.string()),
        ("is_pinned", pa.bool_()),
        ("reference_id", pa.int64()),
        ("attachments", pa.string()),
        ("attachment_count", pa.int32()),
        ("embeds", pa.string()),
        ("embed_count", pa.int32()),
        ("stickers", pa.string()),
        ("reactions", pa.string()),
        ("reaction_count", pa.int32()),
        ("is_highlight_candidate", pa.bool_()),
        ("highlight_score", pa.float64()),
        ("highlight_reasons", pa.string()),
        ("source", pa.string()),
        ("observed_at", _TIME),
        ("content_digest", pa.int64()),
        ("correlation_id", pa.string()),
        ("created_at", _TIME),
        ("updated_at", _TIME),
    ]
)
"""One exported message: the columns of `messages`, the driver as `data/drivers.yaml` knows him and the
highlight. `attachments`, `embeds`, `stickers`, `reactions` and `highlight_reasons` are JSON text."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Filters of messages; None matches any.

    Attributes:
        session_id: The session.
        channel_id: The channel.
        driver: The driver, whatever the case of its letters.
        author_id: The author.
        since: Posted then or later, aware UTC.
        until: Posted earlier, aware UTC.
        text: Holds this text, whatever the case of its letters.
        guild_id: The guild.
    """

    session_id: str | None = None
    channel_id: int | None = None
    driver: str | None = None
    author_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    guild_id: int | None = None


def message_pages(
    connection: Connection, wanted: MessageFilter, page_rows: int = 30_000
) -> Iterator[pa.Table]:
    """Return live messages, oldest first, as tables of `EXPORT_SCHEMA`.

    Args:
        wanted: Which.
        page_rows: Rows of a page, which bounds memory.
    """
    connection.execute("bound_memory")
    pages = connection.fetch_all("list_export_pages", **asdict(wanted), page_rows=page_rows)
    for page, following in zip_longest(pages, pages[1:], fillvalue=_PAST_ALL):
        bounds = {name: page[name] for name in _PAGE_BOUNDS}
        end = {"next_posted_at": following["first_posted_at"], "next_id": following["first_id"]}
        rows = connection.fetch_arrow("export_messages", **asdict(wanted), **bounds, **end)
        if not _is_sorted(rows):
            rows = rows.take(pc.sort_indices(rows, [("posted_at", "ascending"), ("discord_id", "ascending")]))
        ids = {name: page[name] for name in ("lowest_id", "highest_id")}
        for query in ("export_drivers", "export_highlights"):
            rows = _beside(rows, connection.fetch_arrow(query, **ids))
        yield rows.select(EXPORT_SCHEMA.names).cast(EXPORT_SCHEMA)


def _is_sorted(rows: pa.Table) -> bool:
    """Return whether rows are in the order of an export, as they are where they came in the order of time."""
    times, ids = (as_numpy(rows[name]) for name in ("posted_at", "discord_id"))
    later, same = times[1:] > times[:-1], times[1:] == times[:-1]
    return bool((later | (same & (ids[1:] > ids[:-1]))).all())


def _beside(rows: pa.Table, others: pa.Table) -> pa.Table:
    """Return rows with the columns of others that have the same `discord_id`; null where none has."""
    known = in_one_piece(others["discord_id"])
    found = others.drop_columns(["discord_id"]).take(pc.index_in(rows["discord_id"], value_set=known))
    for name in found.column_names:
        rows = rows.append_column(name, found[name])
    return rows


def search_messages(
    connection: Connection,
    wanted: MessageFilter,
    *,
    after: int | None = None,
    limit: int = 50,
    as_of: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return live messages, newest first.

    Args:
        wanted: Which.
        after: The id of the last message of the page before.
        limit: How many at most.
        as_of: As they stood then (aware UTC): what had been read by then and was not deleted by then,
            whenever it was merged. Their session, channel, highlight and details are those of now. A content
            that came back after another and was replaced again counts from its first reading on.

    Returns:
        Every column of `messages`, by `discord_id` descending, which is the order they were posted in.
    """
    parameters = {**asdict(wanted), "after": after, "maximum": limit}
    if as_of is None:
        return connection.fetch_all("search_messages", **parameters)
    return connection.fetch_all("messages_as_of", **parameters, as_of=as_of)


def find_message(connection: Connection, discord_id: int) -> dict[str, Any] | None:
    """Return a message, deleted ones too, or None."""
    return connection.fetch_one("find_message", discord_id=discord_id)


def find_revisions(connection: Connection, discord_id: int) -> list[dict[str, Any]]:
    """Return when and how a message's other contents were read, the first read first."""
    return connection.fetch_all("find_revisions", discord_id=discord_id)


def find_tombstone(connection: Connection, discord_id: int) -> dict[str, Any] | None:
    """Return a message's deletion, or None."""
    return connection.fetch_one("find_tombstone", discord_id=discord_id)


def channels_of_guild(connection: Connection, guild_id: int) -> set[int]:
    """Return a guild's channels: those of the catalogue, and those that messages are stored of."""
    return {row["channel_id"] for row in connection.fetch_all("channels_of_guild", guild_id=guild_id)}


def count_of_journey(connection: Connection, correlation_id: str) -> int:
    """Count the messages whose content came with a journey."""
    row = connection.fetch_one("count_of_journey", correlation_id=correlation_id)
    return int(row["n"]) if row else 0


def count_by_driver(
    connection: Connection, channel_ids: Sequence[int], window: Window, known_only: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """Return `driver`, `messages` and `last_posted_at` of each driver heard in a window, most heard first.

    Args:
        channel_ids: The channels.
        window: When the messages were posted.
        known_only: Channels in which names that the driver table does not have are not counted.
    """
    return connection.fetch_all(
        "count_by_driver",
        channel_ids=list(channel_ids),
        start=window.start,
        end=window.end,
        known_only_ids=list(known_only),
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
        details_digest: Its details; 0 or None without any.
    """

    discord_id: int
    content_digest: int
    observed_at: datetime
    deleted_at: datetime | None
    skip_reason: str | None = None
    session_id: str | None = None
    details_digest: int | None = None

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
    """Return whether the history of a thread holds the message that it began with.

    It does in a forum, which holds no messages itself; elsewhere that message is the parent channel's, and a
    complete reading of the thread does not include it.
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
