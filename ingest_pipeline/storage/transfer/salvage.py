"""Salvage of a damaged DuckDB file: the readable rows, table by table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.migrations import Table, list_tables, order_to_fill
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.transfer.copy import PAGE_ROWS, Progress, table_pages

_MESSAGES = "messages"
# What is true whether the messages are there or not. The rest says what is stored, proven or read of them:
# without them it would claim what is not so.
_WITHOUT_MESSAGES = {
    "channels",
    "event_totals",
    "events",
    "guild_monitors",
    "guild_settings",
    "guilds",
    "install_intents",
    "sessions",
    "tombstones",
    "users",
    "watched_channels",
}
_NEVER = {"schema_migrations", "copy_progress"}


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of the tables of a damaged database.

    Attributes:
        kept: Rows by table, of tables that could be read whole.
        lost: Tables that could not be read, or say what is not so without those that could not.
        reason: Why nothing could be read at all; None when something could.
        messages: Ids and sources of the messages it had (`discord_id`, `source`); None when that cannot be
            told.
    """

    kept: dict[str, int]
    lost: tuple[str, ...]
    reason: str | None
    messages: pa.Table | None


def salvage(damaged: Path, target: Database, progress: Progress | None = None) -> Salvaged:
    """Copy every table that can be read whole from a damaged file into an empty database.

    Args:
        damaged: The file; it is only read.
        target: An empty database of the newest schema.
        progress: Called with a table's name and its rows copied so far.
    """
    with target.read() as connection:
        tables = order_to_fill(
            [table for table in list_tables(connection) if table.name not in _NEVER], connection
        )
    # Whether there are messages decides about other tables.
    tables.sort(key=lambda table: table.name != _MESSAGES)
    kept: dict[str, int] = {}
    try:
        with _opened(damaged) as source:
            for table in tables:
                if _MESSAGES in kept or table.name == _MESSAGES or table.name in _WITHOUT_MESSAGES:
                    rows = _copy(source, target, table, progress)
                    if rows is not None:
                        kept[table.name] = rows
            messages = _messages(source)
    except (duckdb.Error, OSError) as error:
        reason = str(error).partition("\n")[0]
        return Salvaged({}, tuple(sorted(table.name for table in tables)), reason, None)
    lost = sorted(table.name for table in tables if table.name not in kept)
    return Salvaged(kept, tuple(lost), None, messages)


@contextmanager
def _opened(path: Path) -> Iterator[Connection]:
    with closing(duckdb.connect(str(path), read_only=True)) as raw:
        connection = DuckDBConnection(raw)
        connection.execute("configure_session")
        yield connection


def _copy(source: Connection, target: Database, table: Table, progress: Progress | None) -> int | None:
    """Copy a table and return its rows, None when it cannot be read whole."""
    target.run(partial(_clear, table=table.name))
    rows = 0
    try:
        for page in table_pages(source, table, None, PAGE_ROWS):
            target.run(partial(_append, table=table.name, page=page))
            rows += page.num_rows
            if progress:
                progress(table.name, rows)
    except duckdb.Error:
        target.run(partial(_clear, table=table.name))
        return None
    return rows


def _messages(source: Connection) -> pa.Table | None:
    try:
        return source.fetch_arrow("list_message_sources")
    except duckdb.Error:
        return None


def _clear(connection: Connection, table: str) -> None:
    connection.execute("clear_table", {"table": quoted(table)})


def _append(connection: Connection, table: str, page: pa.Table) -> None:
    connection.load(table, page)
