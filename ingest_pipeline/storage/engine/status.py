"""The status of a database: its engine, schema and size."""

from __future__ import annotations

from dataclasses import dataclass

from ingest_pipeline.storage.engine import migrations
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.tables import count_rows, split_tables


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
    """Look at a database; nothing is made or migrated.

    Raises:
        ConfigurationError: A newer version of this project has migrated it.
        DatabaseBusy: It is in use elsewhere.
        DatabaseUnavailable: It cannot be reached.
    """
    with database.inspect() as connection:
        if connection is None:
            missing = tuple(migration.name for migration in migrations.load_migrations(database.engine))
            return DatabaseStatus(database.engine, "", 0, missing, {}, 0)
        return DatabaseStatus(
            engine=database.engine,
            server_version=str(_value(connection, "server_version", "version")),
            schema_version=max(migrations.applied_versions(connection), default=0),
            pending=tuple(migrations.pending(connection)),
            rows={table.name: count_rows(connection, table.name) for table in split_tables(connection)[0]},
            size_bytes=int(_value(connection, "database_size", "bytes")),
        )


def _value(connection: Connection, query: str, column: str) -> str | int:
    row = connection.fetch_one(query)
    return row[column] if row else ""
