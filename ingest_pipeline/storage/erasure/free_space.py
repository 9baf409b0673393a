"""Free space after an erasure: where an engine keeps what was deleted until it needs the room."""

from __future__ import annotations

from collections.abc import Collection

from ingest_pipeline.errors import ConfigurationError, IngestError
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.rewrite import rewrite_file
from ingest_pipeline.storage.engine.migrations import count_rows, split_tables
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.search.sqlite_index import SqliteIndex, search_file

WAL_REMARK = (
    "the server's write-ahead log, its archives and its replicas hold earlier pages until the server "
    "recycles them: that is the server's own"
)


def purge(database: Database) -> list[str]:
    """Leave nothing of what was deleted in the database's files, nor in the search index.

    Returns:
        Remarks on what only somebody else can do.

    Raises:
        DatabaseBusy: Others have it open for too long; run it again.
        DatabaseUnavailable: It cannot be written anew.
    """
    if isinstance(database, DuckDBDatabase):
        SqliteIndex(database, search_file(database.path)).purge()
        rewrite_file(database)
        return []
    if not isinstance(database, PostgresDatabase):
        raise TypeError(f"{database.engine} is no engine of this project")
    with database.read() as connection:
        tables = [table.name for table in split_tables(connection)[0]]
    return [*_vacuum(database, tables), WAL_REMARK]


def _is_stale(connection: Connection, table: str) -> bool:
    # ANALYZE leaves the statistics of a table as they are when it finds it empty.
    found = connection.fetch_one("count_stale_statistics", table_name=table)
    return bool(found and found["n"]) and not count_rows(connection, table)


def _vacuum(database: PostgresDatabase, tables: Collection[str]) -> list[str]:
    remarks = []
    with database.outside_transactions() as connection:
        can_clear = (connection.fetch_one("can_clear_statistics") or {})["can_clear"]
        for table in tables:
            if can_clear:
                connection.fetch_all("clear_statistics", table_name=table)
            connection.execute("vacuum_table", {"table": quoted(table)})
            if not can_clear and _is_stale(connection, table):
                remarks.append(
                    f"the server keeps statistics of {table}, which is empty, and they may quote values: let "
                    "a superuser delete its rows of pg_statistic"
                )
    for query, remedy in (
        ("vacuum_statistics", "let the database's owner run VACUUM (FULL) pg_catalog.pg_statistic"),
        ("checkpoint", "let a user with the role pg_checkpoint run CHECKPOINT, or wait for the next one"),
    ):
        try:
            with database.outside_transactions() as connection:
                connection.execute(query)
        except ConfigurationError as error:
            remarks.append(f"{error}; {remedy}")
        except IngestError as error:
            remarks.append(str(error))
    return remarks
