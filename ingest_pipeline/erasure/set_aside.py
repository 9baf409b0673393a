"""Other database files in the data folder: damaged and replaced ones that were kept, and backups.

One that can be opened is swept like the database itself, and brought to the newest schema for that. One that
cannot is deleted: nobody can say what is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ingest_pipeline.errors import DatabaseBusy, IngestError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.handles import log_path
from ingest_pipeline.storage.engine.duckdb.rewrite import rewrite_file
from ingest_pipeline.storage.engine.duckdb.undo import undo_path
from ingest_pipeline.storage.erasure.free_space import purge
from ingest_pipeline.storage.erasure.tables import end_pending, join_lists, settle_pending, sweep_tables

_MAGIC = b"DUCK"
_MAGIC_AT = 8
_NOT_LOOKED_INTO = frozenset(
    {"dagster", "demo", "landing", "normalized", "reports", "clips", "gateway", "logs"}
)
_logger = logging.getLogger(__name__)


def database_copies(data_dir: Path, own: Path) -> list[Path]:
    """Return the DuckDB files of a data folder but the database itself."""
    return sorted(path for path in _files(data_dir) if path != own and _is_database(path))


def _files(data_dir: Path) -> Iterator[Path]:
    if not data_dir.is_dir():
        return
    for entry in data_dir.iterdir():
        if entry.is_file():
            yield entry
        elif entry.is_dir() and entry.name not in _NOT_LOOKED_INTO and not entry.is_symlink():
            yield from (path for path in entry.rglob("*") if path.is_file())


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_MAGIC_AT + len(_MAGIC))
    return head[_MAGIC_AT:] == _MAGIC or ".damaged-" in path.name


def erase_from_copies(services: Services, *, dry_run: bool) -> tuple[int, list[str]]:
    """Erase in the other database files of the data folder.

    Returns:
        How many were changed or deleted, or would be looked into; and remarks.
    """
    settings, count, remarks = services.settings, 0, []
    for path in database_copies(settings.data_dir, settings.database_path):
        if path.name.endswith((".undo", ".wal")):
            continue
        if dry_run:
            count += 1
            continue
        copy = DuckDBDatabase(path, settings.database_wait_seconds)
        try:
            swept = copy_swept(services.database, copy)
        except DatabaseBusy:
            raise
        except IngestError as error:
            _logger.warning("%s cannot be searched (%s) and is deleted", path, error)
            remarks.append(f"{path.name} could not be searched and was deleted")
            path.unlink(missing_ok=True)
            swept = 1
        count += bool(swept)
        for beside in (undo_path(path), log_path(path), path.with_name(f"{path.name}.lock")):
            beside.unlink(missing_ok=True)
    return count, remarks


def copy_swept(database: Database, copy: DuckDBDatabase) -> int:
    """Sweep a copy by the list of the database; return how many rows were deleted."""
    with database.read() as connection:
        copy.run(partial(join_lists, other=connection))
    swept = sweep_tables(copy)
    if swept.rows:
        copy.run(end_pending)
        rewrite_file(copy)
    return swept.rows.total()


def sweep_restored(database: Database, join: partial[int]) -> int:
    """Put the list of erasures into a database that was restored, copied or made again, and sweep it.

    Args:
        database: Which.
        join: Puts the list into a write transaction's database, and returns how long the list is.

    Returns:
        How many rows were deleted.
    """

    def work(connection: Connection) -> int:
        return join(connection)

    if not database.run(work):
        return 0
    swept = sweep_tables(database)
    if swept.rows:
        database.run(settle_pending)
        purge(database)
        database.run(end_pending)
    return swept.rows.total()
