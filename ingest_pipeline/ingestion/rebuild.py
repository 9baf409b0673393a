"""The rebuild of a database from landed documents.

A damaged DuckDB file is read as far as it can be; then every landed document of every session goes the way of
any other into a new file beside it, which takes its place when it is complete. On PostgreSQL the
documents are merged into the tables as they are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.session import Session
from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.export_document import ExportDocument
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.ingest import OnRowsMerged, new_correlation_id
from ingest_pipeline.ingestion.refresh import landed_documents
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.transfer.backup import Salvaged, salvage
from ingest_pipeline.userconfig.session_files import sync_sessions_file

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """A finished rebuild.

    Attributes:
        sessions: Sessions whose landed documents were merged.
        documents: Landed documents that were merged.
        messages: Messages stored now.
        kept_tables: Rows by table that could be read of the file that was there.
        lost_tables: Its tables that could not, and those that say nothing without them.
        unreadable: Why nothing of it could be read; None when something could, or there was none.
        lost_messages: Messages that it had and nothing that has landed holds, by how they were first read;
            None when that cannot be told.
        damaged_documents: Landed documents that were refused, and why.
        unknown_sessions: Landed sessions that are stored nowhere, so that nobody knows their times.
        replaced: Where the file that was there is kept.
        seconds: Wall time.
    """

    sessions: int
    documents: int
    messages: int
    kept_tables: dict[str, int]
    lost_tables: tuple[str, ...]
    unreadable: str | None
    lost_messages: dict[str, int] | None
    damaged_documents: dict[str, str]
    unknown_sessions: tuple[str, ...]
    replaced: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def rebuild_database(
    services: Services,
    reading: Callable[[Services], OnRowsMerged | None],
    progress: Progress | None = None,
) -> RebuildReport:
    """Make the database again from what has landed, and say what could not be.

    Nothing is read from Discord. A message that came by the bot or from history, or from a file that was
    imported, is there afterwards only if it could be read of the old file or has landed, too.

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
        replaced = database.replace(draft.path)
    return replace(report, replaced=str(replaced) if replaced else None, seconds=time.monotonic() - began)


@dataclass(slots=True)
class _Found:
    """The content of the landing store."""

    sessions: int = 0
    documents: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def _merge_all(services: Services, on_rows_merged: OnRowsMerged | None, report_progress: Progress) -> _Found:
    found = _Found()
    try:
        sync_sessions_file(services.database, services.settings, datetime.now(UTC))
    except BadInput as error:
        _note(found, str(services.settings.sessions_file), error)
    with services.database.read() as connection:
        sessions = list_sessions(connection)
    known = {session.session_id for session in sessions}
    found.unknown = tuple(sorted(set(services.landing.session_ids()) - known))
    for number, session in enumerate(sessions, 1):
        report_progress(f"session {session.session_id}, {number} of {len(sessions)}")
        documents = _merge_session(services, session, on_rows_merged, found)
        found.documents += documents
        found.sessions += documents > 0
    return found


def _merge_session(
    services: Services, session: Session, on_rows_merged: OnRowsMerged | None, found: _Found
) -> int:
    correlation_id = new_correlation_id()
    keys = services.grid.keys
    try:
        documents = [each for _, each in landed_documents(services, session, keys, correlation_id)]
    except BadInput:
        documents = _readable(services, session, correlation_id, found)
    if not documents:
        return 0
    try:
        merge_documents(services, documents, correlation_id, on_rows_merged=on_rows_merged)
    except BadInput:
        # One of them is damaged: each by itself, so that the others are there.
        merged = 0
        for document in documents:
            try:
                merge_documents(services, [document], correlation_id, on_rows_merged=on_rows_merged)
                merged += 1
            except BadInput as error:
                _note(found, document.name, error)
        return merged
    return len(documents)


def _readable(
    services: Services, session: Session, correlation_id: str, found: _Found
) -> list[ExportDocument]:
    """Return the landed documents of a session whose beginning can be read."""
    documents = []
    for key in services.grid.keys:
        try:
            documents += [each for _, each in landed_documents(services, session, [key], correlation_id)]
        except BadInput as error:
            _note(found, f"{session.session_id} {key}", error)
    return documents


def _note(found: _Found, name: str, error: BadInput) -> None:
    found.damaged[name] = str(error)


def _report(services: Services, found: _Found, salvaged: Salvaged, began: float) -> RebuildReport:
    with services.database.read() as connection:
        stored = connection.fetch_arrow("list_message_sources")
    return RebuildReport(
        sessions=found.sessions,
        documents=found.documents,
        messages=stored.num_rows,
        kept_tables=salvaged.kept,
        lost_tables=salvaged.lost,
        unreadable=salvaged.reason,
        lost_messages=_lost(salvaged.messages, stored),
        damaged_documents=found.damaged,
        unknown_sessions=found.unknown,
        replaced=None,
        seconds=time.monotonic() - began,
    )


def _lost(before: pa.Table | None, stored: pa.Table) -> dict[str, int] | None:
    if before is None:
        return None
    is_there = pc.is_in(before["discord_id"], value_set=stored["discord_id"])
    return dict(Counter(before.filter(pc.invert(is_there))["source"].to_pylist()))
