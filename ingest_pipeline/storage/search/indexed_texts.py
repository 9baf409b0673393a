"""Texts in the search index: the words of the messages that the change feed names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ingest_pipeline.domain.search.query import Node
from ingest_pipeline.domain.search.words import SearchableText, searchable
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.changes import ChangeKind, read_changes

INDEX_FORM = 1
"""Raised when texts are cut into words in another way: an index of another form is made again."""
NEWEST = 2**63 - 1
"""Above every id."""

_OF_WORDS = {ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.DELETED, ChangeKind.ERASED}


@dataclass(frozen=True, slots=True)
class IndexedMessage:
    """The words of a message.

    Attributes:
        current: What it says; None for one that is deleted.
        earlier: What it said before, by digest.
    """

    current: SearchableText | None
    earlier: Mapping[int, SearchableText]


@dataclass(frozen=True, slots=True)
class IndexBatch:
    """The messages that a part of the feed names, as they stand now.

    Attributes:
        messages: By Discord id.
        position: The position of the last change.
        changes: How many changes there were.
    """

    messages: Mapping[int, IndexedMessage]
    position: int
    changes: int


class SearchIndex(Protocol):
    """The index of a database."""

    def catch_up(self, limit: int) -> int:
        """Take in changes of messages, and return how many; 0 when the index is up to date.

        Args:
            limit: How many at most.
        """
        ...

    def clear(self) -> None:
        """Empty the index; the next `catch_up` begins from the first change."""
        ...

    def find(self, query: Node, *, before: int = NEWEST, limit: int, any_version: bool = False) -> list[int]:
        """Return messages that match, newest first.

        Args:
            before: Only messages with lower ids.
            limit: How many at most.
            any_version: Whether what a message said before an edit counts too.
        """
        ...

    def rank(self, query: Node, *, skip: int = 0, limit: int) -> list[int]:
        """Return messages that match, the best first; which those are is the engine's."""
        ...


def feed_id(connection: Connection) -> str:
    """Return what distinguishes this database's feed from those of others."""
    found = connection.fetch_one("read_feed")
    return str(found["feed_id"]) if found else ""


def next_batch(connection: Connection, after: int, limit: int) -> IndexBatch:
    """Read what the feed names after a position.

    Args:
        connection: A snapshot.
        after: The position that the index has taken in.
        limit: How many changes at most.
    """
    changes = read_changes(connection, after=after, limit=limit)
    ids = sorted({each.discord_id for each in changes if each.change in _OF_WORDS})
    messages = _messages(connection, ids) if ids else {}
    return IndexBatch(messages, changes[-1].position if changes else after, len(changes))


def _messages(connection: Connection, ids: Collection[int]) -> dict[int, IndexedMessage]:
    earlier: dict[int, dict[int, SearchableText]] = defaultdict(dict)
    for row in connection.fetch_all("earlier_texts_of", discord_ids=ids):
        # Version 0 is the current one.
        earlier[row["discord_id"]][row["content_digest"] or 1] = text_of_message(row)
    current = {
        row["discord_id"]: text_of_message(row) for row in connection.fetch_all("texts_of", discord_ids=ids)
    }
    return {each: IndexedMessage(current.get(each), earlier.get(each, {})) for each in ids}


def text_of_message(row: Mapping[str, Any]) -> SearchableText:
    """Return the words of a message: `driver`, `message_text` and `raw_content` of its row."""
    driver, content = row["driver"], row["raw_content"]
    found = searchable(f"{driver}\n{row['message_text']}" if driver else row["message_text"])
    if ":" not in content:
        return found
    # Leading emoji are not among the words.
    return SearchableText(found.words, tuple(dict.fromkeys((*found.marks, *searchable(content).marks))))
