"""The search index of a DuckDB database: an SQLite file with full-text tables (FTS5) beside it.

DuckDB's own full-text extension indexes a table as a whole, once. The file is derived: a search brings it up
to date first, in one SQLite transaction with the position in the feed that it stands at, so a kill at any
moment leaves it as it was. One of another database, of another form or further than the feed is made again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from ingest_pipeline.domain.search.query import Every, Node, Term
from ingest_pipeline.domain.search.words import SearchableText
from ingest_pipeline.errors import StorageRejected, StorageUnavailable
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.queries import parse_queries, sql_folder
from ingest_pipeline.storage.messages.changes import newest_position
from ingest_pipeline.storage.search.indexed_texts import (
    INDEX_FORM,
    NEWEST,
    IndexBatch,
    IndexedMessage,
    feed_id,
    next_batch,
)

_WAIT_SECONDS = 30.0
_PURGED_AT_ONCE = 5_000


@cache
def _queries() -> dict[str, str]:
    text = (sql_folder("sqlite") / "search.sql").read_text(encoding="utf-8")
    return {query.name: query.text for query in parse_queries(text)}


def search_file(path: Path) -> Path:
    """Return where the index of a database file is."""
    return path.with_name(f"{path.name}.search")


class SqliteIndex:
    """The index of a DuckDB file; see `SearchIndex`.

    Args:
        path: The index's file; made when it is first needed.
    """

    def __init__(self, database: Database, path: Path) -> None:
        """Touch nothing yet."""
        self._database = database
        self.path = path

    def catch_up(self, limit: int) -> int:
        """See `SearchIndex`."""
        with self._open() as index:
            with self._database.read() as connection:
                feed, newest = feed_id(connection), newest_position(connection)
                position = _position(index, feed)
                if position > newest:
                    position = 0
                if position == newest:
                    return 0
                batch = next_batch(connection, position, limit)
            with _transaction(index):
                if position == 0:
                    _make(index)
                elif _position(index, feed) != position:
                    # Another process has taken in this part of the feed, and perhaps more.
                    return batch.changes
                _apply(index, batch)
                index.execute(_queries()["forget_position"])
                index.execute(
                    _queries()["write_position"],
                    {"feed_id": feed, "form": INDEX_FORM, "position": batch.position},
                )
            return batch.changes

    def clear(self) -> None:
        """See `SearchIndex`."""
        with self._open() as index, _transaction(index):
            _make(index)

    def purge(self) -> None:
        """Take in all changes, and leave nothing in the file of what was taken out."""
        if not self.path.exists():
            return
        while self.catch_up(_PURGED_AT_ONCE):
            pass
        with self._open() as index:
            for name in ("overwrite_deleted", "optimize_current", "optimize_earlier", "vacuum_index"):
                index.execute(_queries()[name])

    def find(self, query: Node, *, before: int = NEWEST, limit: int, any_version: bool = False) -> list[int]:
        """See `SearchIndex`."""
        name = "find_any_version" if any_version else "find_current"
        return self._ids(name, query=fts_query(query), before=before, maximum=limit)

    def rank(self, query: Node, *, skip: int = 0, limit: int) -> list[int]:
        """See `SearchIndex`."""
        return self._ids("rank_current", query=fts_query(query), skipped=skip, maximum=limit)

    def _ids(self, name: str, **parameters: object) -> list[int]:
        with self._open() as index:
            return [int(row[0]) for row in index.execute(_queries()[name], parameters)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)) as index:
                # Derived: what a power loss takes is made again.
                index.execute(_queries()["set_unsynchronized"])
                if not index.execute(_queries()["is_made"]).fetchone():
                    with _transaction(index):
                        _make(index)
                yield index
        except sqlite3.OperationalError as error:
            raise StorageUnavailable(
                f"the search index {self.path} cannot be used ({error}): try again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StorageRejected(
                f"the search index {self.path} is damaged ({error}): `ingest search --rebuild` makes it again"
            ) from error


@contextmanager
def _transaction(index: sqlite3.Connection) -> Iterator[None]:
    index.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        index.execute("ROLLBACK")
        raise
    index.execute("COMMIT")


def _position(index: sqlite3.Connection, feed: str) -> int:
    """Return how far the index has come in a feed, 0 for one that is to be made from the start."""
    found = index.execute(_queries()["read_position"]).fetchone()
    return int(found[2]) if found and found[:2] == (feed, INDEX_FORM) else 0


def _make(index: sqlite3.Connection) -> None:
    """Make the tables, or make them again."""
    for beginning in ("drop_", "create_"):
        for name, text in _queries().items():
            if name.startswith(beginning):
                index.execute(text)


def _apply(index: sqlite3.Connection, batch: IndexBatch) -> None:
    queries = _queries()
    ids = [{"discord_id": each} for each in batch.messages]
    # Never INSERT OR REPLACE: the old words would stay findable.
    for name in ("delete_current", "delete_earlier", "delete_earlier_versions"):
        index.executemany(queries[name], ids)
    current = [
        {"discord_id": each, **_row(message.current)}
        for each, message in batch.messages.items()
        if message.current is not None
    ]
    index.executemany(queries["insert_current"], current)
    for discord_id, message in batch.messages.items():
        _insert_earlier(index, discord_id, message)


def _insert_earlier(index: sqlite3.Connection, discord_id: int, message: IndexedMessage) -> None:
    for text in message.earlier.values():
        cursor = index.execute(_queries()["insert_earlier_version"], {"discord_id": discord_id})
        index.execute(_queries()["insert_earlier"], {"version": cursor.lastrowid, **_row(text)})


def _row(text: SearchableText) -> dict[str, str]:
    return {"words": " ".join(text.words), "marks": " ".join(text.marks)}


def fts_query(node: Node) -> str:
    """Return a query in FTS5's language, with every word quoted: unquoted ones may be operators."""
    if isinstance(node, Term):
        needed = ['{marks} : "' + mark + '"' for mark in node.marks]
        if node.mark_prefix:
            needed.append('{marks} : "' + node.mark_prefix + '" *')
        if node.words:
            needed.append('{words} : "' + " ".join(node.words) + '"' + (" *" if node.is_prefix else ""))
        return "(" + " AND ".join(needed) + ")"
    if isinstance(node, Every):
        wanted = " AND ".join(map(fts_query, node.wanted))
        return "(" + " NOT ".join([f"({wanted})", *map(fts_query, node.excluded)]) + ")"
    return "(" + " OR ".join(map(fts_query, node.options)) + ")"
