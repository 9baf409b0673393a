"""The search index of a PostgreSQL database: a table of `tsvector` in it, with a GIN index.

The words are cut by `domain/search/words.py` and handed over as lexemes with positions, so the server's own
parser and dictionaries, which lose words between `<` and `>` and make `-25` of `18-25`, are not used.
"""

from __future__ import annotations

from ingest_pipeline.domain.search.query import Every, Node, Term
from ingest_pipeline.domain.search.words import SearchableText
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.changes import newest_position
from ingest_pipeline.storage.search.indexed_texts import INDEX_FORM, NEWEST, IndexBatch, next_batch

# Positions of a tsvector end here; phrases further on in a text are not found as phrases.
_LAST_POSITION = 16_383


class PostgresIndex:
    """The index in a PostgreSQL database; see `SearchIndex`."""

    def __init__(self, database: Database) -> None:
        """Touch nothing yet."""
        self._database = database

    def catch_up(self, limit: int) -> int:
        """See `SearchIndex`."""
        with self._database.read() as connection:
            if _position(connection) == newest_position(connection):
                return 0

        def work(connection: Connection) -> int:
            connection.execute("lock_search")
            position = _position(connection)
            if position == 0 or position > newest_position(connection):
                connection.execute("clear_searchable")
                position = 0
            batch = next_batch(connection, position, limit)
            _apply(connection, batch)
            connection.execute("note_indexed", form=INDEX_FORM, position=batch.position)
            return batch.changes

        return self._database.run(work)

    def clear(self) -> None:
        """See `SearchIndex`."""

        def work(connection: Connection) -> None:
            connection.execute("lock_search")
            connection.execute("clear_searchable")
            connection.execute("note_indexed", form=INDEX_FORM, position=0)

        self._database.run(work)

    def find(self, query: Node, *, before: int = NEWEST, limit: int, any_version: bool = False) -> list[int]:
        """See `SearchIndex`."""
        name = "find_any_version" if any_version else "find_current"
        return self._ids(name, query=ts_query(query), before=before, maximum=limit)

    def rank(self, query: Node, *, skip: int = 0, limit: int) -> list[int]:
        """See `SearchIndex`."""
        return self._ids("rank_current", query=ts_query(query), skipped=skip, maximum=limit)

    def _ids(self, name: str, **parameters: object) -> list[int]:
        with self._database.read() as connection:
            return [row["discord_id"] for row in connection.fetch_all(name, **parameters)]


def _position(connection: Connection) -> int:
    found = connection.fetch_one("read_feed") or {}
    return int(found["indexed_position"]) if found.get("indexed_form") == INDEX_FORM else 0


def _apply(connection: Connection, batch: IndexBatch) -> None:
    if not batch.messages:
        return
    connection.execute("forget_searchable", discord_ids=list(batch.messages))
    rows = [
        (discord_id, version, ts_vector(text))
        for discord_id, message in batch.messages.items()
        for version, text in ((0, message.current), *message.earlier.items())
        if text is not None
    ]
    ids, versions, texts = (list(each) for each in zip(*rows, strict=True)) if rows else ([], [], [])
    connection.execute("keep_searchable", discord_ids=ids, versions=versions, texts=texts)


def ts_vector(text: SearchableText) -> str:
    """Return a text's words as the text of a `tsvector`; marks have no position, so no phrase has them."""
    positions: dict[str, list[int]] = {}
    for place, word in enumerate(text.words, 1):
        positions.setdefault(word, []).append(min(place, _LAST_POSITION))
    # The server keeps 256 positions of a word.
    words = [f"{_quoted(word)}:{','.join(map(str, found[:256]))}" for word, found in positions.items()]
    return " ".join([*words, *map(_quoted, text.marks)])


def ts_query(node: Node) -> str:
    """Return a query as the text of a `tsquery`."""
    if isinstance(node, Term):
        needed = list(map(_quoted, node.marks))
        if node.mark_prefix:
            needed.append(_quoted(node.mark_prefix) + ":*")
        if node.words:
            needed.append(f"({' <-> '.join(map(_quoted, node.words))}{':*' if node.is_prefix else ''})")
        return "(" + " & ".join(needed) + ")"
    if isinstance(node, Every):
        excluded = [f"!{ts_query(each)}" for each in node.excluded]
        return "(" + " & ".join([*map(ts_query, node.wanted), *excluded]) + ")"
    return "(" + " | ".join(map(ts_query, node.options)) + ")"


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
