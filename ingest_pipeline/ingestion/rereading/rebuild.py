"""The rebuild of a database from what has landed.

A damaged DuckDB file is read as far as it can be; then every landed document of every session, and every raw
reading of the bot and of history, goes the way of any other into a new file beside it, which takes its place
when it is complete. On PostgreSQL they are merged into the tables as they are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.ingest import OnRowsMerged
from ingest_pipeline.ingestion.rereading.reread import RereadReport, reread
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.rewrite import replace_database
from ingest_pipeline.storage.transfer.backup import Salvaged, salvage
from ingest_pipeline.userconfig.session_files import sync_sessions_file

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """A finished rebuild.

    Attributes:
        sessions: Sessions whose landed documents were merged.
        documents: Landed documents that were merged.
        readings: Raw readings of the bot and of history that were merged.
        messages: Messages stored now.
        kept_tables: Rows by table that could be read of the file that was there.
        lost_tables: Its tables that could not, and those that are not true without them.
        unreadable: Why nothing of it could be read; None when something could, or there was none.
        lost_messages: Messages that it had and nothing that has landed holds, by how they were first read;
            None when that is unknown.
        damaged_documents: Landed documents and files of raw readings that were refused, and why.
        unknown_sessions: Landed sessions that are stored nowhere, so that nobody knows their times.
        replaced: Where the file that was there is kept.
        seconds: Wall time.
    """

    sessions: int
    documents: int
    readings: int
    messages: int
    kept_tables: dict[str, int]
    lost_tables: tuple[str, ...]
    unreadable: str | None
    lost_messages: dict[str, int] | None
    damaged_documents: dict[str, str]
    unknown_sessions: tuple[str, ...]
    replaced: str | None
    seconds: float


def rebuild_database(
    services: Services,
    reading: Callable[[Services], OnRowsMerged | None],
    progress: Progress | None = None,
) -> RebuildReport:
    """Make the database again from what has landed, and report what could not be.

    Nothing is read from Discord. A message from a file that was imported, or that came by the bot or from
    history before raw readings were kept, is there afterwards only if it could be read of the old file or has
    landed, too.

    Args:
        reading: Returns what brings the content of messages in line with them, as `reading_content` does.
        progress: Called with what is being done.

    Raises:
        DatabaseBusy: The database is in use elsewhere for too long.
        DatabaseUnavailable: The new one cannot be written.
        StorageUnavailable: The landing store does not answer.
    """
    began = time.monotonic()
    report_progress = progress or (lambda _: None)
    database = services.database
    if not isinstance(database, DuckDBDatabase):
        found = _merge_all(services, reading(services), report_progress)
        return _report(services, found, Salvaged({}, (), None, None), began)
    database.path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".rebuild-", dir=database.path.parent) as folder:
        draft = DuckDBDatabase(Path(folder) / database.path.name, services.settings.database_wait_seconds)
        drafting = replace(services, database=draft)
        draft.migrate()
        salvaged = Salvaged({}, (), None, None)
        if database.path.exists():
            salvaged = salvage(
                database.path, draft, lambda table, rows: report_progress(f"{table}: {rows:,} rows kept")
            )
        found = _merge_all(drafting, reading(drafting), report_progress)
        report = _report(drafting, found, salvaged, began)
        replaced = replace_database(database, draft.path)
    return replace(report, replaced=str(replaced) if replaced else None, seconds=time.monotonic() - began)


def _merge_all(
    services: Services, on_rows_merged: OnRowsMerged | None, report_progress: Progress
) -> RereadReport:
    refused: dict[str, str] = {}
    try:
        sync_sessions_file(services.database, services.settings, datetime.now(UTC))
    except BadInput as error:
        refused[str(services.settings.sessions_file)] = str(error)
    found = reread(services, on_rows_merged, progress=report_progress)
    found.damaged = refused | found.damaged
    return found


def _report(services: Services, found: RereadReport, salvaged: Salvaged, began: float) -> RebuildReport:
    with services.database.read() as connection:
        stored = connection.fetch_arrow("list_message_sources")
    return RebuildReport(
        sessions=found.sessions,
        documents=found.documents,
        readings=found.readings,
        messages=stored.num_rows,
        kept_tables=salvaged.kept,
        lost_tables=salvaged.lost,
        unreadable=salvaged.reason,
        lost_messages=_lost(salvaged.messages, stored),
        damaged_documents=found.damaged,
        unknown_sessions=found.unknown_sessions,
        replaced=None,
        seconds=time.monotonic() - began,
    )


def _lost(before: pa.Table | None, stored: pa.Table) -> dict[str, int] | None:
    if before is None:
        return None
    is_there = pc.is_in(before["discord_id"], value_set=stored["discord_id"])
    return dict(Counter(before.filter(pc.invert(is_there))["source"].to_pylist()))
