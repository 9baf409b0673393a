"""Search in messages: what matches a query and passes the filters, as of the last commit before the question.

The index is brought up to date before it is asked, so an answer lacks nothing that is in the table. What the
table may lack is in the answer too: how far each channel that the question is about is proven complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ingest_pipeline.domain.search.query import Node, parse_query, spans
from ingest_pipeline.domain.search.words import offsets
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE, created_at
from ingest_pipeline.errors import StorageUnavailable
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.gateway.refetch_queue import coverage_bounds
from ingest_pipeline.storage.messages.coverage import gaps
from ingest_pipeline.storage.search.indexed_texts import NEWEST, SearchIndex
from ingest_pipeline.storage.search.postgres_index import PostgresIndex
from ingest_pipeline.storage.search.sqlite_index import SqliteIndex, search_file
from ingest_pipeline.storage.search.vectors import VectorCoverage

CHANGES_AT_ONCE = 20_000
_FIRST_LOOK = 200
_LARGEST_LOOK = 20_000
_SNIPPET_BEFORE = 60
_SNIPPET_CHARACTERS = 200


class MessageKind(StrEnum):
    """What was extracted from a message."""

    RADIO = "radio"
    SETUP = "setup"
    CLIP = "clip"
    HIGHLIGHT = "highlight"


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Filters of what is found; None lets everything pass.

    Attributes:
        session_id: The session.
        channel_id: The channel or thread.
        author_id: The author.
        driver: The driver, whatever the case of its letters.
        ticker: A ticker that the message has a setup of.
        kind: What was extracted from the message.
        since: Posted then or later, aware UTC.
        until: Posted earlier, aware UTC.
        has_file: Whether the message must have an attachment.
    """

    session_id: str | None = None
    channel_id: int | None = None
    author_id: int | None = None
    driver: str | None = None
    ticker: str | None = None
    kind: MessageKind | None = None
    since: datetime | None = None
    until: datetime | None = None
    has_file: bool = False

    def parameters(self) -> dict[str, Any]:
        """Return the filters as queries take them."""
        return {**asdict(self), "kind": self.kind.value if self.kind else None}


@dataclass(frozen=True, slots=True)
class SnippetPart:
    """A piece of a snippet.

    Attributes:
        text: The piece, as it was written.
        is_match: Whether the query looks for it.
    """

    text: str
    is_match: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found.

    Attributes:
        row: Its row, every column of `messages`.
        snippet: The words around the first match.
        is_earlier: Whether these are of an earlier version, since the present one has no match.
        similarity: How similar its words are to the question, -1 to 1; None where they were not compared.
    """

    row: dict[str, Any]
    snippet: tuple[SnippetPart, ...]
    is_earlier: bool = False
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class ChannelCompleteness:
    """How far a channel is proven to be in the table.

    Attributes:
        channel_id: The channel.
        proven_from: Since when, aware UTC; None when nothing is proven.
        proven_until: Until when, aware UTC; None when nothing is proven.
        gaps: Ranges in between that are not proven.
    """

    channel_id: int
    proven_from: datetime | None
    proven_until: datetime | None
    gaps: int


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Found messages.

    Attributes:
        hits: The messages, in the order asked for.
        is_last: Whether there are no more.
        completeness: Of the channel that was asked for, else of those that the hits are in.
        vectors: How many messages could be found by their meaning; None when only words were looked for.
    """

    hits: tuple[Hit, ...]
    is_last: bool
    completeness: tuple[ChannelCompleteness, ...]
    vectors: VectorCoverage | None = None


def open_index(database: Database) -> SearchIndex:
    """Return a database's search index; nothing is touched yet."""
    if isinstance(database, DuckDBDatabase):
        return SqliteIndex(database, search_file(database.path))
    return PostgresIndex(database)


def bring_up_to_date(
    index: SearchIndex, *, seconds: float | None = None, progress: Callable[[int], None] | None = None
) -> int:
    """Take in every change of messages since the last time.

    Args:
        index: The index.
        seconds: How long it may take; as long as it needs when None.
        progress: Called with the number of changes taken in so far.

    Returns:
        How many changes were taken in.

    Raises:
        StorageUnavailable: There was more to take in than the time allows; what was done stays.
    """
    began, taken = time.monotonic(), 0
    while some := index.catch_up(CHANGES_AT_ONCE):
        taken += some
        if progress:
            progress(taken)
        if seconds is not None and time.monotonic() - began > seconds:
            raise StorageUnavailable(
                f"the search index is being brought up to date ({taken} changes so far): try again, or run "
                "`ingest search --rebuild`"
            )
    return taken


def search_messages(
    database: Database,
    text: str,
    wanted: SearchFilter,
    *,
    before: int = NEWEST,
    limit: int = 50,
    any_version: bool = False,
    index_seconds: float | None = None,
) -> SearchPage:
    """Search, newest first.

    Args:
        database: Where.
        text: The query; see `domain/search/query.py`.
        wanted: The filters.
        before: Only messages with lower ids: the last one of the page before.
        limit: How many at most.
        any_version: Whether messages are found by what they said before an edit, too.
        index_seconds: How long bringing the index up to date may take.

    Raises:
        BadInput: The query cannot be read.
        StorageUnavailable: The index is behind by more than the time allows, or cannot be used now.
    """
    query = parse_query(text)
    index = open_index(database)
    bring_up_to_date(index, seconds=index_seconds)

    def look(after: int, maximum: int) -> list[int]:
        return index.find(query, before=after, limit=maximum, any_version=any_version)

    return _page(database, query, wanted, _newest_first(look, before), limit, any_version=any_version)


def rank_messages(
    database: Database,
    text: str,
    wanted: SearchFilter,
    *,
    skip: int = 0,
    limit: int = 50,
    index_seconds: float | None = None,
) -> SearchPage:
    """Search, the best first: by the engine's own ranking, so the order may differ between engines.

    Args:
        skip: How many of the best were on the pages before.

    See `search_messages` for the others and for what is raised.
    """
    query = parse_query(text)
    page = _page(database, query, wanted, _best_first(database, query, index_seconds), skip + limit)
    return SearchPage(page.hits[skip:], page.is_last, page.completeness)


def best_rows(
    database: Database, query: Node, wanted: SearchFilter, limit: int, *, index_seconds: float | None = None
) -> list[dict[str, Any]]:
    """Return the rows of the best matches; see `rank_messages`."""
    looks = _best_first(database, query, index_seconds)
    with database.read() as connection:
        return _collect(connection, looks, wanted, limit)[:limit]


def _newest_first(look: Callable[[int, int], list[int]], before: int) -> Iterator[list[int]]:
    size = _FIRST_LOOK
    while ids := look(before, size):
        yield ids
        if len(ids) < size:
            return
        before, size = ids[-1], min(size * 4, _LARGEST_LOOK)


def _best_first(database: Database, query: Node, index_seconds: float | None) -> Iterator[list[int]]:
    index = open_index(database)
    bring_up_to_date(index, seconds=index_seconds)
    seen, size = 0, _FIRST_LOOK
    while ids := index.rank(query, skip=seen, limit=size):
        yield ids
        seen, size = seen + len(ids), min(size * 4, _LARGEST_LOOK)


def _page(
    database: Database,
    query: Node,
    wanted: SearchFilter,
    looks: Iterator[list[int]],
    limit: int,
    *,
    any_version: bool = False,
) -> SearchPage:
    with database.read() as connection:
        rows = _collect(connection, looks, wanted, limit)
        hits = [Hit(row, snippet(query, row["message_text"])) for row in rows[:limit]]
        if any_version:
            hits = _with_earlier(connection, query, hits)
        return SearchPage(tuple(hits), len(rows) <= limit, completeness_of_hits(connection, hits, wanted))


def _collect(
    connection: Connection, looks: Iterator[list[int]], wanted: SearchFilter, limit: int
) -> list[dict[str, Any]]:
    """Return the first rows that pass the filters, more than the limit if there are more."""
    rows: list[dict[str, Any]] = []
    for ids in looks:
        rows += passing(connection, ids, wanted)
        if len(rows) > limit:
            break
    return rows


def _with_earlier(connection: Connection, query: Node, hits: Sequence[Hit]) -> list[Hit]:
    """Return hits, those without a match in their present version with the latest one that has one."""
    without = [hit.row["discord_id"] for hit in hits if not any(part.is_match for part in hit.snippet)]
    earlier: dict[int, tuple[SnippetPart, ...]] = {}
    for version in connection.fetch_all("earlier_texts", discord_ids=without) if without else ():
        parts = snippet(query, version["message_text"])
        if any(part.is_match for part in parts):
            earlier.setdefault(version["discord_id"], parts)
    return [
        Hit(hit.row, earlier[found], is_earlier=True) if (found := hit.row["discord_id"]) in earlier else hit
        for hit in hits
    ]


def passing(connection: Connection, ids: Sequence[int], wanted: SearchFilter) -> list[dict[str, Any]]:
    """Return the rows of those messages that pass the filters, in the order given."""
    found = connection.fetch_all("filter_found", discord_ids=list(ids), **wanted.parameters())
    order = {discord_id: place for place, discord_id in enumerate(ids)}
    return sorted(found, key=lambda row: order[row["discord_id"]])


def completeness_of_hits(
    connection: Connection, hits: Sequence[Hit], wanted: SearchFilter
) -> tuple[ChannelCompleteness, ...]:
    """Return how complete the channel is that was asked for, else those that hits are in."""
    channels = {hit.row["channel_id"] for hit in hits} if wanted.channel_id is None else {wanted.channel_id}
    return tuple(_completeness(connection, channel_id) for channel_id in sorted(channels))


def _completeness(connection: Connection, channel_id: int) -> ChannelCompleteness:
    bounds = coverage_bounds(connection).get(channel_id)
    if bounds is None:
        return ChannelCompleteness(channel_id, None, None, 0)
    low, high = bounds
    holes = gaps(connection, channel_id, low, high)
    return ChannelCompleteness(channel_id, created_at(low), created_at(min(high, MAX_SNOWFLAKE)), len(holes))


def snippet(query: Node | None, text: str) -> tuple[SnippetPart, ...]:
    """Cut a text around the first match of a query and mark the matches.

    Args:
        query: What was looked for; None for no words.
        text: The text.
    """
    folded, places = offsets(text)
    found = [(places[start], places[end]) for start, end in spans(query, folded)] if query else []
    first = found[0][0] if found else 0
    start = 0 if first <= _SNIPPET_BEFORE else text.rfind(" ", 0, first - _SNIPPET_BEFORE) + 1
    end = min(len(text), start + _SNIPPET_CHARACTERS)
    parts: list[SnippetPart] = [SnippetPart("…", is_match=False)] if start else []
    at = start
    for low, high in found:
        if low < at or high > end:
            continue
        if low > at:
            parts.append(SnippetPart(text[at:low], is_match=False))
        parts.append(SnippetPart(text[low:high], is_match=True))
        at = high
    rest = text[at:end] + ("…" if end < len(text) else "")
    return (*parts, SnippetPart(rest, is_match=False)) if rest else tuple(parts)
