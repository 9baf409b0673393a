"""Metadata of the content assets for each window: counts, and items that need attention.

Counts named `run_…` are of the whole run; everything else is of the partition.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ingest_pipeline.content.clip_files import ClipFile
from ingest_pipeline.content.extraction import ContentKind, ContentReport
from ingest_pipeline.content.sessions import spans
from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.metadata import ROWS, Metadata, as_code, listed
from ingest_pipeline.storage.content.queries import (
    Rows,
    biases_in_window,
    clips_in_window,
    highlights_in_window,
    radio_in_window,
    setups_in_window,
    unparsed_in_window,
)
from ingest_pipeline.storage.engine.database import Connection

_SHOWN = 20
_LONGEST_PROBLEM = 500


def content_metadata(
    services: Services, session: Session, keys: Sequence[str], report: ContentReport
) -> dict[ContentKind, dict[str, Metadata]]:
    """Describe what each kind of content has for each window that has begun; the others hold nothing.

    Args:
        keys: The windows of the run.
        report: What became of them; its kinds are described.
    """
    begun = session_windows(services, session, keys)
    with services.database.read() as connection:
        found = {
            kind: [
                _FETCH[kind](connection, session.channel_ids, span) for span in spans(services, session, keys)
            ]
            for kind in report.kinds
        }
    described: dict[ContentKind, dict[str, Metadata]] = {}
    for kind, changes in report.kinds.items():
        counts = {
            "run_created": len(changes.created),
            "run_changed": len(changes.changed),
            "run_withdrawn": len(changes.withdrawn),
        }
        described[kind] = {
            key: {**_DESCRIBE[kind](_joined([_within(part, window) for part in found[kind]])), **counts}
            for key, window in begun
        }
    return described


def describe_window(
    connection: Connection, channel_ids: Sequence[int], window: Window
) -> dict[str, Metadata]:
    """Describe what each kind of content has in a window, by the name of its asset."""
    return {
        kind.value: _DESCRIBE[kind](fetch(connection, channel_ids, window)) for kind, fetch in _FETCH.items()
    }


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


Found = dict[str, Rows]


def _fetch_radio(connection: Connection, channel_ids: Sequence[int], window: Window) -> Found:
    return {"radio": radio_in_window(connection, channel_ids, window)}


def _fetch_setups(connection: Connection, channel_ids: Sequence[int], window: Window) -> Found:
    return {
        "setups": setups_in_window(connection, channel_ids, window),
        "biases": biases_in_window(connection, channel_ids, window),
        "unparsed": unparsed_in_window(connection, channel_ids, window),
    }


def _fetch_clips(connection: Connection, channel_ids: Sequence[int], window: Window) -> Found:
    return {"clips": clips_in_window(connection, channel_ids, window)}


def _fetch_highlights(connection: Connection, channel_ids: Sequence[int], window: Window) -> Found:
    return {"highlights": highlights_in_window(connection, channel_ids, window)}


def _within(found: Found, window: Window) -> Found:
    return {name: [row for row in rows if row["posted_at"] in window] for name, rows in found.items()}


def _joined(parts: Sequence[Found]) -> Found:
    return {name: [row for part in parts for row in part[name]] for name in (parts[0] if parts else {})}


def _describe_radio(found: Found) -> Metadata:
    rows = found["radio"]
    unknown = Counter(row["driver"] for row in rows if row["driver_code"] is None)
    described: Metadata = {
        ROWS: len(rows),
        "drivers": len({row["driver_code"] for row in rows if row["driver_code"]}),
        "unknown_drivers": len(unknown),
    }
    if unknown:
        lines = [f"{as_code(driver)}: {count}" for driver, count in unknown.most_common()]
        described["unknown"] = listed(lines, _SHOWN)
    return described


def _describe_setups(found: Found) -> Metadata:
    described: Metadata = {
        ROWS: len(found["setups"]),
        "biases": len(found["biases"]),
        "unparsed_lines": len(found["unparsed"]),
        "suspect_targets": sum(row["has_suspect_targets"] for row in found["setups"]),
    }
    tickers = sorted({row["ticker"] for row in found["setups"]})
    if tickers:
        described["tickers"] = ", ".join(tickers)
    if found["unparsed"]:
        described["unparsed"] = listed(
            [f"{as_code(row['line_text'])} {row['reason']}" for row in found["unparsed"]], _SHOWN
        )
    return described


def _describe_clips(found: Found) -> Metadata:
    clips = found["clips"]
    described: Metadata = {
        ROWS: len(clips),
        "bytes": sum(clip["size_bytes"] or 0 for clip in clips),
        "fetched": sum(clip["sha256"] is not None for clip in clips),
    }
    now = datetime.now(UTC)
    coming = [clip["expires_at"] for clip in clips if clip["expires_at"] and clip["expires_at"] > now]
    if coming:
        described["next_expiry"] = dg.MetadataValue.timestamp(min(coming))
    return described


def _describe_highlights(found: Found) -> Metadata:
    candidates = [row for row in found["highlights"] if row["is_candidate"]]
    described: Metadata = {ROWS: len(found["highlights"]), "candidates": len(candidates)}
    if candidates:
        described["top"] = listed([_highlight(row) for row in candidates], _SHOWN)
    return described


def _highlight(row: Mapping[str, Any]) -> str:
    reasons = "; ".join(json.loads(row["reasons"]))
    return f"**{row['score']:.2f}** {as_code(row['message_text'])} ({reasons})"


_FETCH: Mapping[ContentKind, Callable[[Connection, Sequence[int], Window], Found]] = {
    ContentKind.TEAM_RADIO: _fetch_radio,
    ContentKind.TRADE_SETUPS: _fetch_setups,
    ContentKind.CLIPS: _fetch_clips,
    ContentKind.HIGHLIGHTS: _fetch_highlights,
}
_DESCRIBE: Mapping[ContentKind, Callable[[Found], dict[str, Any]]] = {
    ContentKind.TEAM_RADIO: _describe_radio,
    ContentKind.TRADE_SETUPS: _describe_setups,
    ContentKind.CLIPS: _describe_clips,
    ContentKind.HIGHLIGHTS: _describe_highlights,
}
