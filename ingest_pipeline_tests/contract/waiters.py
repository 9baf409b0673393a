"""Whether a transaction waits for another one, asked of the engines themselves."""

from __future__ import annotations

from typing import cast

from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.locks import lock_for, turnstile_for
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline_tests.waiting import wait_until

_WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"


def wait_for_waiting_writer(database: Database, *, on_another_process: bool = False) -> None:
    """Wait until a writer of this process waits for a transaction that is open.

    Args:
        database: Written by both.
        on_another_process: Whether the open transaction is another process's; of this one otherwise.
    """

    def waits() -> bool:
        if isinstance(database, DuckDBDatabase):
            if on_another_process:
                return turnstile_for(database.path)._here.locked()
            return lock_for(database.path)._waiting_writers > 0
        with cast("PostgresDatabase", database).read() as connection:
            return bool(connection._raw.execute(_WAITING).fetchall())  # type: ignore[attr-defined]

    wait_until("a writer that waits", waits)
