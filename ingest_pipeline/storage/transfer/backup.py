"""Backups of a database, and salvage of a damaged one.

A DuckDB database is copied as a file while it is read, so writers wait for as long as that takes; a
PostgreSQL database is copied table by table from one snapshot. What was written is read again and held
against its source before it is given its name or put in place.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from ingest_pipeline.errors import ConfigurationError, CopyDiffers, DatabaseDamaged, DatabaseUnavailable
from ingest_pipeline.storage.engine import migrations
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.repair import copy_file
from ingest_pipeline.storage.engine.duckdb.rewrite import replace_database
from ingest_pipeline.storage.engine.duckdb.undo import sync_folder
from ingest_pipeline.storage.engine.migrations import Table, list_tables, order_to_fill
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.transfer.copy import PAGE_ROWS, Progress, copy_database, table_pages

_WAIT_SECONDS = 60.0
_MESSAGES = "messages"
# Tables that are true with or without the messages. The others record what is stored, proven or read of them:
# without them it would claim what is not so.
_WITHOUT_MESSAGES = {
    "channels",
    "erasure_keys",
    "erasures",
    "event_totals",
    "events",
    "guild_monitors",
    "guild_settings",
    "guilds",
    "install_intents",
    "sessions",
    "tombstones",
    "profiles",
    "users",
    "watched_channels",
}
_NEVER = {"schema_migrations", "copy_progress"}


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table that was saved or brought back, the same on both sides.

    Attributes:
        name: Its name.
        rows: Its rows.
        digest: A digest of all its rows: 16 hexadecimal digits.
    """

    name: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A finished backup or restore.

    Attributes:
        tables: Every table, by name.
        seconds: Wall time.
        replaced: Where the database file that was there before is kept; None when there was none.
    """

    tables: tuple[SavedTable, ...]
    seconds: float
    replaced: Path | None = None


def back_up(database: Database, target: Path, progress: Progress | None = None) -> Saved:
    """Save a database to a new file.

    Args:
        database: What to save; it is read from one snapshot.
        target: The file, which must not be there yet.
        progress: Called with a table's name and its rows saved so far; not for DuckDB.

    Raises:
        ConfigurationError: The file is there, or cannot be made there.
        CopyDiffers: The file does not hold what the database does.
        DatabaseBusy: The database is in use elsewhere for too long.
        DatabaseUnavailable: It cannot be read, or the file cannot be written.
    """
    began = time.monotonic()
    if target.exists():
        raise ConfigurationError(f"{target} exists already: name another file, or remove it")
    with _folder_beside(target) as folder:
        draft = DuckDBDatabase(folder / "draft.duckdb", _WAIT_SECONDS)
        if isinstance(database, DuckDBDatabase):
            with database.read() as connection:
                expected = _contents(connection)
                copy_file(database.path, draft.path)
            # A log that was copied with it is written into it.
            with draft.write():
                pass
            saved = _contents_of(draft.path)
            _check_same(expected, saved)
        else:
            copy_database(database, draft, progress)
            saved = _contents_of(draft.path)
        draft.path.rename(target)
    sync_folder(target.parent)
    return Saved(saved, time.monotonic() - began)


def restore(database: Database, source: Path, progress: Progress | None = None) -> Saved:
    """Replace the present database by that of a file.

    The file of a DuckDB database is replaced as a whole, in any state, and kept beside. A
    PostgreSQL database must be empty.

    Args:
        database: What to replace or fill.
        source: A file that `back_up` made.
        progress: Called with a table's name and its rows copied so far; not for DuckDB.

    Raises:
        ConfigurationError: There is no such file, a newer version of this project made it, or a PostgreSQL
            database has rows.
        CopyDiffers: What was copied is not what the file holds.
        DatabaseBusy: The database is in use elsewhere for too long.
        DatabaseDamaged: The file is damaged.
        DatabaseUnavailable: The database cannot be written.
    """
    began = time.monotonic()
    if not source.is_file():
        raise ConfigurationError(f"{source} does not exist: check the path")
    expected = _contents_of(source)
    home = database.path if isinstance(database, DuckDBDatabase) else source
    with _folder_beside(home) as folder:
        draft = DuckDBDatabase(folder / "draft.duckdb", _WAIT_SECONDS)
        copy_file(source, draft.path)
        _check_same(expected, _contents_of(draft.path))
        draft.migrate()
        draft.run(lambda connection: connection.execute("renew_feed_id"))
        if isinstance(database, DuckDBDatabase):
            replaced = replace_database(database, draft.path)
            return Saved(expected, time.monotonic() - began, replaced)
        copy_database(draft, database, progress)
    return Saved(expected, time.monotonic() - began)


def _contents_of(path: Path) -> tuple[SavedTable, ...]:
    """Read all of a file that nothing else has open."""
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as raw:
            connection = DuckDBConnection(raw)
            migrations.pending(connection)
            return _contents(connection)
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise DatabaseDamaged(f"{path} cannot be read ({reason}): take another backup") from error


def _contents(connection: Connection) -> tuple[SavedTable, ...]:
    found = []
    for table in list_tables(connection):
        row = connection.fetch_one("read_whole_table", {"table": quoted(table.name)})
        if row:
            found.append(SavedTable(table.name, row["n"], f"{row['digest'] or 0:016x}"))
    return tuple(found)


def _check_same(expected: tuple[SavedTable, ...], found: tuple[SavedTable, ...]) -> None:
    for one, other in zip(expected, found, strict=True):
        if one != other:
            raise CopyDiffers(
                f"table {one.name} differs after copying: {one.rows} rows with digest {one.digest} here, "
                f"{other.rows} rows with digest {other.digest} there. Check the disks and try again"
            )


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=".draft-", dir=path.parent)
    except OSError as error:
        raise DatabaseUnavailable(f"{path.parent} cannot be written ({error.strerror})") from error
    with folder as name:
        yield Path(name)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The result of a salvage, by table.

    Attributes:
        kept: Rows by table, of tables that could be read whole.
        lost: Tables that could not be read, or are not true without those.
        reason: Why nothing could be read at all; None when something could.
        messages: Ids and sources of the messages it had (`discord_id`, `source`); None when that is
            unknown.
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
