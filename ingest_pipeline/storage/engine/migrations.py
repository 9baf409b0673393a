"""The schema's history: numbered SQL files, each applied once and recorded.

Files are `sql/<engine>/migrations/NNNN_name.sql`, or `sql/shared/migrations/…` when both engines
take the same statements. A file that has been released is never changed; the next one corrects it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import sql_folder

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
    """Return the names of all tables that an engine's migrations make; the history itself is none of them."""
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
            application under names of ours.
    """
    connection.execute("lock_migrations")
    applied = applied_versions(connection)
    missing = _missing(connection, applied)
    if missing:
        names = {row["name"] for row in connection.fetch_all("list_names")}
        taken = names & set().union(*(migration.created_names for migration in missing))
        if taken:
            raise _foreign(taken)
    connection.execute("create_migrations_table")
    for migration in missing:
        connection.run_script(migration.script)
        connection.execute(
            "record_migration", version=migration.version, name=migration.name, applied_at=datetime.now(UTC)
        )
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
