"""The schema of a database: its migrations, its tables, its version and its size.

Files are `sql/<engine>/migrations/NNNN_name.sql`, or `sql/shared/migrations/…` when both engines
take the same statements. A file that has been released is never changed; the next one corrects it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.queries import quoted, sql_folder

_FILE = re.compile(r"(\d{4})_\w+\.sql")
_CREATED = re.compile(r"^CREATE (?:UNIQUE )?(TABLE|VIEW|INDEX) (\w+)", re.MULTILINE)
_NAMES_SHOWN = 5
_COLUMNS = {"version", "name", "applied_at"}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    Attributes:
        version: Its number, from 1, without gaps.
        name: Its file name without `.sql`.
        script: Its statements.
    """

    version: int
    name: str
    script: str

    @property
    def created_names(self) -> set[str]:
        """The tables, views and indexes that it makes."""
        return {name for _, name in _CREATED.findall(self.script)}

    @property
    def created_tables(self) -> set[str]:
        """The tables that it makes."""
        return {name for kind, name in _CREATED.findall(self.script) if kind == "TABLE"}


@cache
def load_migrations(engine: str) -> tuple[Migration, ...]:
    """Read an engine's migrations in order.

    Raises:
        ValueError: The numbers are not 1, 2, 3, …
    """
    found: list[Migration] = []
    for part in ("shared", engine):
        folder = sql_folder(part) / "migrations"
        for entry in folder.iterdir() if folder.is_dir() else ():
            match = _FILE.fullmatch(entry.name)
            if match:
                script = entry.read_text(encoding="utf-8")
                found.append(Migration(int(match[1]), entry.name.removesuffix(".sql"), script))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations for {engine} are not numbered 1, 2, 3, …: {[m.name for m in found]}")
    return tuple(found)


@cache
def own_tables(engine: str) -> frozenset[str]:
    """Return the names of all tables that an engine's migrations make, without the history itself."""
    return frozenset().union(*(migration.created_tables for migration in load_migrations(engine)))


def applied_versions(connection: Connection) -> set[int]:
    """Return the numbers of the migrations that a database has; none when it is empty.

    Raises:
        ConfigurationError: Another application keeps its history in a table of the same name.
    """
    columns = {row["column_name"] for row in connection.fetch_all("migrations_columns")}
    if not columns:
        return set()
    if columns != _COLUMNS:
        raise _foreign({"schema_migrations"})
    return {row["version"] for row in connection.fetch_all("applied_migrations")}


def pending(connection: Connection) -> list[str]:
    """Return the names of the migrations that a database lacks.

    Raises:
        ConfigurationError: A newer version of this project has migrated it.
    """
    return [migration.name for migration in _missing(connection, applied_versions(connection))]


def apply_pending(connection: Connection) -> list[str]:
    """Apply what is missing inside an open transaction and return the names.

    Processes that start at once wait for each other: on DuckDB for the file, on PostgreSQL for an
    advisory lock. Those that come later find nothing to do.

    Raises:
        ConfigurationError: A newer version of this project has migrated it, or there are tables of another
            application under names of this project.
    """
    connection.execute("lock_migrations")
    applied = applied_versions(connection)
    missing = _missing(connection, applied)
    if missing:
        names = {row["name"] for row in connection.fetch_all("list_names")}
        known = load_migrations(connection.engine)
        own = set().union(*(each.created_names for each in known if each.version in applied))
        taken = (names - own) & set().union(*(migration.created_names for migration in missing))
        if taken:
            raise _foreign(taken)
    connection.execute("create_migrations_table")
    for migration in missing:
        connection.run_script(migration.script)
        connection.execute(
            "record_migration", version=migration.version, name=migration.name, applied_at=datetime.now(UTC)
        )
    if any("message_changes" in each.created_tables for each in load_migrations(connection.engine)):
        connection.execute("align_changes")
    return [migration.name for migration in missing]


def _missing(connection: Connection, applied: set[int]) -> list[Migration]:
    known = load_migrations(connection.engine)
    newest = max(applied, default=0)
    if newest > len(known):
        found = connection.fetch_all("name_migrations", newest=len(known))
        raise ConfigurationError(
            f"the database has schema version {newest} and this program knows {len(known)}, not yet "
            f"{', '.join(row['name'] for row in found)}: update the program"
        )
    return [migration for migration in known if migration.version not in applied]


def _foreign(names: set[str]) -> ConfigurationError:
    some = ", ".join(sorted(names)[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return ConfigurationError(
        f"the database has {some} of another application: take a database of its own, or "
        "with PostgreSQL a schema (CREATE SCHEMA ingest; then ?options=-csearch_path%3Dingest at the end of "
        "INGEST_DATABASE_URL)"
    )


@dataclass(slots=True)
class Table:
    """A table's shape.

    Attributes:
        name: Its name.
        columns: Its columns and the engine's names of their types, in order.
        key: The columns of its primary key, in order.
    """

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    key: list[str] = field(default_factory=list)


def list_tables(connection: Connection) -> list[Table]:
    """Return every table of the schema, ordered by name."""
    tables: dict[str, Table] = {}
    keys: dict[str, dict[int, str]] = {}
    for row in connection.fetch_all("list_columns"):
        table = tables.setdefault(row["table_name"], Table(row["table_name"]))
        table.columns[row["column_name"]] = row["data_type"]
        if row["key_position"] is not None:
            keys.setdefault(table.name, {})[row["key_position"]] = row["column_name"]
    for name, columns in keys.items():
        tables[name].key = [columns[position] for position in sorted(columns)]
    return list(tables.values())


def recorded_tables(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the tables of kinds of content that no migration makes, by name.

    Returns:
        `name`, `key` and `columns` (SQL types by name) of each.
    """
    rows = connection.fetch_all("list_content_kinds")
    return {table["name"]: table for row in rows for table in json.loads(row["tables"])}


def split_tables(connection: Connection) -> tuple[list[Table], list[str]]:
    """Return this project's tables, and the names of others, such as a user's own or Dagster's."""
    tables = list_tables(connection)
    own = own_tables(connection.engine)
    if any(table.name == "content_kinds" for table in tables):
        own |= recorded_tables(connection).keys()
    others = [table.name for table in tables if table.name not in own and table.name != "schema_migrations"]
    return [table for table in tables if table.name in own], others


def order_to_fill(tables: list[Table], connection: Connection) -> list[Table]:
    """Return tables in an order in which they can be filled: each after those that its rows refer to.

    Args:
        tables: The tables, by name.
        connection: The database that is to be filled.
    """
    needed: dict[str, set[str]] = {table.name: set() for table in tables}
    for row in connection.fetch_all("list_references"):
        # A table of the user's own may refer to one of these.
        if row["table_name"] in needed:
            needed[row["table_name"]].add(row["needed_table"])
    by_name = {table.name: table for table in tables}
    return [by_name[name] for name in TopologicalSorter(needed).static_order()]


def count_rows(connection: Connection, table: str) -> int:
    """Return how many rows a table has."""
    row = connection.fetch_one("count_rows", {"table": quoted(table)})
    return int(row["n"]) if row else 0


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """A database, looked at without changing it.

    Attributes:
        engine: `duckdb` or `postgres`.
        server_version: The engine's version; empty when there is no database yet.
        schema_version: The number of the newest migration applied, 0 for none.
        pending: The names of the migrations that are missing, in order.
        rows: Rows by table.
        size_bytes: What it takes on disk, in bytes.
    """

    engine: str
    server_version: str
    schema_version: int
    pending: tuple[str, ...]
    rows: dict[str, int]
    size_bytes: int


def database_status(database: Database) -> DatabaseStatus:
    """Inspect a database without creating or migrating anything.

    Raises:
        ConfigurationError: A newer version of this project has migrated it.
        DatabaseBusy: It is in use elsewhere.
        DatabaseUnavailable: It cannot be reached.
    """
    with database.inspect() as connection:
        if connection is None:
            missing = tuple(migration.name for migration in load_migrations(database.engine))
            return DatabaseStatus(database.engine, "", 0, missing, {}, 0)
        return DatabaseStatus(
            engine=database.engine,
            server_version=str(_value(connection, "server_version", "version")),
            schema_version=max(applied_versions(connection), default=0),
            pending=tuple(pending(connection)),
            rows={table.name: count_rows(connection, table.name) for table in split_tables(connection)[0]},
            size_bytes=int(_value(connection, "database_size", "bytes")),
        )


def _value(connection: Connection, query: str, column: str) -> str | int:
    row = connection.fetch_one(query)
    return row[column] if row else ""
