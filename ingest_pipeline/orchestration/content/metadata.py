"""Metadata of the content assets for each window: counts, and items that need attention.

Counts named `run_…` are of the whole run; everything else is of the partition.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from ingest_pipeline.content.clip_files import ClipFile
from ingest_pipeline.content.extraction import ContentReport
from ingest_pipeline.content.found import rows_in_window
from ingest_pipeline.content.kind import Found, Kind
from ingest_pipeline.content.sessions import spans
from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.metadata import ROWS, Metadata, listed
from ingest_pipeline.storage.engine.database import Connection

_SHOWN = 20
_LONGEST_PROBLEM = 500


def content_metadata(
    services: Services, session: Session, keys: Sequence[str], kinds: Sequence[Kind], report: ContentReport
) -> dict[str, dict[str, Metadata]]:
    """Describe what each kind of content has for each window that has begun; the others hold nothing.

    Args:
        keys: The windows of the run.
        kinds: All kinds.
        report: What became of them; its kinds are described.
    """
    described: dict[str, dict[str, Metadata]] = {}
    if not report.kinds:
        return described
    begun = session_windows(services, session, keys)
    begun_spans = spans(services, session, keys)
    with services.database.read() as connection:
        for kind in kinds:
            changes = report.kinds.get(kind.name)
            if changes is None:
                continue
            found = [rows_in_window(connection, kind, session.channel_ids, span) for span in begun_spans]
            counts = {
                "run_created": len(changes.created),
                "run_changed": len(changes.changed),
                "run_withdrawn": len(changes.withdrawn),
            }
            described[kind.name] = {
                key: {**_describe(kind, _within(found, window)), **counts} for key, window in begun
            }
    return described


def describe_window(
    connection: Connection, kinds: Sequence[Kind], channel_ids: Sequence[int], window: Window
) -> dict[str, dict[str, Metadata]]:
    """Describe what each kind of content has in a window, by the name of its asset."""
    return {
        kind.name: _describe(kind, rows_in_window(connection, kind, channel_ids, window)) for kind in kinds
    }


def _within(found: Sequence[Found], window: Window) -> Found:
    """Join what was found in some ranges of time, as far as it is of a window."""
    names = found[0] if found else {}
    return {
        name: [row for part in found for row in part[name] if row["posted_at"] in window] for name in names
    }


def _describe(kind: Kind, found: Found) -> Metadata:
    described: Metadata = {ROWS: len(found.get(kind.table.name, ()))}
    if kind.describe and found:
        for name, value in kind.describe(found).items():
            described[name] = _shown(value)
    return described


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return dg.MetadataValue.timestamp(value)
    return listed(value, _SHOWN) if isinstance(value, list) else value


def clip_file_metadata(
    services: Services, session: Session, keys: Sequence[str], files: Sequence[ClipFile]
) -> dict[str, Metadata]:
    """Describe the clips that were tried, for each window that has begun."""
    described: dict[str, Metadata] = {}
    for key, window in session_windows(services, session, keys):
        tried = [file for file in files if file.posted_at in window]
        problems = [
            f"{as_code(file.clip_key)} {as_code(file.problem, _LONGEST_PROBLEM)}"
            for file in tried
            if file.problem
        ]
        described[key] = {
            ROWS: len(tried) - len(problems),
            "bytes": sum(file.stored_bytes or 0 for file in tried),
            "problems": len(problems),
        }
        if problems:
            described[key]["what"] = listed(problems, _SHOWN)
    return described
