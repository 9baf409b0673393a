"""A DuckDB file replaced by another, or written anew: what is deleted stays in free blocks for long.

Everything in the file is copied, tables of others too, into a new one that takes its place under the lock of
writers. Nothing of the old one is kept.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ingest_pipeline.errors import CopyDiffers, DatabaseUnavailable
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.handles import log_path
from ingest_pipeline.storage.engine.duckdb.instances import literal
from ingest_pipeline.storage.engine.duckdb.repair import replace_file
from ingest_pipeline.storage.engine.queries import quoted

_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": "1GB"}


def replace_database(database: DuckDBDatabase, draft: Path) -> Path | None:
    """Replace a database's file, damaged or not, while all other processes wait.

    Returns:
        Where the file that was there is kept, None when there was none.

    Raises:
        DatabaseBusy: Others have it open for too long.
        DatabaseUnavailable: It cannot be replaced.
    """
    with database.alone() as deadline:
        return replace_file(database.path, draft, deadline)


def rewrite_file(database: DuckDBDatabase) -> int:
    """Write a database's file anew, while all other processes wait.

    Returns:
        By how many bytes it is smaller.

    Raises:
        CopyDiffers: The copy does not hold what the file does; the file is as it was.
        DatabaseBusy: Others have it open for too long; the file is as it was.
        DatabaseUnavailable: It cannot be written; the file is as it was.
    """
    path = database.path
    # A log that a killed writer left is written into the file first.
    with database.write():
        pass
    with database.alone() as deadline, TemporaryDirectory(prefix=".rewrite-", dir=path.parent) as folder:
        before = path.stat().st_size
        draft = Path(folder) / path.name
        try:
            _copy(path, draft)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise DatabaseUnavailable(
                f"{path} cannot be written anew ({reason}): it takes as much room again meanwhile; make room"
            ) from error
        kept = replace_file(path, draft, deadline)
        if kept is not None:
            kept.unlink()
            log_path(kept).unlink(missing_ok=True)
        return before - path.stat().st_size


def _copy(path: Path, draft: Path) -> None:
    with closing(duckdb.connect(config=_CONFIGURATION)) as raw:
        connection = DuckDBConnection(raw)
        connection.execute("configure_session")
        connection.execute("attach_source", {"path": literal(path)})
        connection.execute("attach_target", {"path": literal(draft)})
        connection.execute("copy_whole_file")
        contents = _contents(connection)
        if contents["source_file"] != contents["target_file"]:
            raise CopyDiffers(
                f"{path} differs after it was written anew: nothing was replaced. Check the disk and memory"
            )


def _contents(connection: DuckDBConnection) -> dict[str, dict[str, tuple[int, int]]]:
    """Return the number of rows and a digest of each table of both files."""
    found: dict[str, dict[str, tuple[int, int]]] = {"source_file": {}, "target_file": {}}
    for table in connection.fetch_all("list_tables_of_files"):
        name = f"{quoted(table['schema_name'])}.{quoted(table['table_name'])}"
        row = connection.fetch_one("read_whole_table", {"table": f"{table['database_name']}.{name}"}) or {}
        found[table["database_name"]][name] = (row["n"], row["digest"] or 0)
    return found
