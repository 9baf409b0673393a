"""Metadata of materializations: columns, counts, text in Markdown.

Counts named `run_…` are of the whole run, since all windows of a run are merged by one statement;
everything else is of the partition.

Messages, channel names, addresses and the exporter's messages are written by anybody: as Markdown they could
load a picture from elsewhere, link to it, or look like words of this project.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents.normalized_store import StoredDocument, taken_rows
from ingest_pipeline.ingestion.ingest import IngestReport
from ingest_pipeline.ingestion.refresh import Exported, session_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.audit import count_landed
from ingest_pipeline.reporting.charts import as_markdown, messages_chart
from ingest_pipeline.storage.engine.columns import values_of
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import proven_until
from ingest_pipeline.storage.messages.deletions import count_in_window, messages_per_minute, table_summary
from ingest_pipeline.storage.messages.schema import MERGED_SCHEMA, STAGING_SCHEMA

_DESCRIPTIONS = {
    "discord_id": "The message's snowflake: its identity",
    "guild_id": "The guild's snowflake; empty for direct messages",
    "channel_id": "The channel's snowflake",
    "posted_at": "When it was posted, UTC",
    "edited_at": "When it was last edited, UTC",
    "driver": "The driver who speaks, as named in the message",
    "author_id": "The author's snowflake",
    "author_name": "The author's user name",
    "author_nickname": "The author's name in the guild when it was read",
    "author_is_bot": "Whether a bot or a webhook wrote it",
    "raw_content": "The content as it came",
    "message_text": "All words of the message, the content without emoji and driver first",
    "parts": "JSON array of the words besides the content: at, text",
    "forwarded": "JSON object: what the message forwards",
    "author_roles": "JSON array: id, name; empty where the source does not say",
    "inline_emojis": "JSON array of the content's custom emojis: id, name",
    "normalizer_version": "Which version of the rules made the row",
    "message_type": "One name for its type, such as Default or Reply; a number when unknown",
    "is_pinned": "Whether it was pinned when it was read",
    "reference_id": "The message it answers or forwards",
    "attachments": "JSON array: id, file_name, url, size_bytes, content_type",
    "attachment_count": "How many attachments",
    "embeds": "JSON array",
    "embed_count": "How many embeds",
    "stickers": "JSON array",
    "reactions": "JSON array: emoji, count",
    "reaction_count": "How many reactions in all",
    "is_highlight_candidate": "Whether it may be worth a clip",
    "source": "export, file, history or gateway",
    "observed_at": (
        "When Discord was read, UTC: the order of two versions without an edit; 2015-01-01 if unknown"
    ),
    "content_digest": "Distinguishes two versions of a message",
    "correlation_id": "The journey that brought it: the run id of a Dagster run",
    "skip_reason": "Why the channel's policy does not take it; empty if it does",
    "details": "JSON object: what only the bot and history read; empty for exports",
    "details_parts": "JSON array of the words in it: at, text",
    "details_text": "These words",
    "details_said_text": "The same without emoji and driver",
    "details_driver": "The driver whom they name",
    "details_digest": "Distinguishes two versions of details; 0 for none",
}
_TABLE_COLUMNS = {
    "session_id": "The session that its channel and time belong to; empty for none",
    "first_observed_at": "When this content was first read, UTC",
    "deleted_at": "When it was deleted, UTC, as far as known",
    "created_at": "When the row was inserted, UTC",
    "updated_at": "When the row's content last changed, UTC",
}
_MARKDOWN = frozenset("\\`*_[]<>#!|~")
Metadata = dict[str, Any]
ROWS = "dagster/partition_row_count"
PICTURE = "messages_per_minute"
_MINUTE = timedelta(minutes=1)
_LONGEST_WARNING = 300
_WARNINGS = 100


def normalized_columns() -> dg.TableSchema:
    """Return the columns of the normalized Parquet files."""
    return dg.TableSchema(_columns(STAGING_SCHEMA))


def table_columns() -> dg.TableSchema:
    """Return the columns of the table `messages`."""
    added = [
        dg.TableColumn(name, "string" if name == "session_id" else "timestamp[us, tz=UTC]", description)
        for name, description in _TABLE_COLUMNS.items()
    ]
    return dg.TableSchema([*_columns(MERGED_SCHEMA), *added])


def _columns(schema: pa.Schema) -> list[dg.TableColumn]:
    return [
        dg.TableColumn(
            field.name,
            str(field.type),
            _DESCRIPTIONS[field.name],
            constraints=dg.TableColumnConstraints(nullable=field.nullable, unique=field.name == "discord_id"),
        )
        for field in schema
    ]


def escaped(text: str) -> str:
    """Return a text in one line, with a backslash before each character that means something in Markdown."""
    return "".join(f"\\{each}" if each in _MARKDOWN else each for each in " ".join(text.split()))


def listed(lines: Sequence[str], shown: int) -> dg.MarkdownMetadataValue:
    """Return a list of the first lines, which are Markdown already, and how many more there are."""
    rest = [f"- and {len(lines) - shown} more"] if len(lines) > shown else []
    return dg.MetadataValue.md("\n".join([f"- {line}" for line in lines[:shown]] + rest))


def landing_metadata(
    services: Services, session: Session, keys: Sequence[str], exported: Sequence[Exported]
) -> dict[str, Metadata]:
    """Describe what landed for each window key."""
    begun = session_windows(services, session, keys)
    channels = len(session.channel_ids)
    described = {
        key: _landing(window, [run for run in exported if key in run.keys], channels) for key, window in begun
    }
    return {**_nothing_to_do(services, session, keys), **described}


def normalized_metadata(
    services: Services, session: Session, keys: Sequence[str], documents: Sequence[StoredDocument]
) -> dict[str, Metadata]:
    """Describe the normalized rows of each window key."""
    begun = session_windows(services, session, keys)
    described = {
        key: _normalized(window, [each for each in documents if each.window and each.window.start in window])
        for key, window in begun
    }
    return {**_nothing_to_do(services, session, keys), **described}


def table_metadata(
    services: Services, session: Session, keys: Sequence[str], report: IngestReport
) -> dict[str, Metadata]:
    """Describe what the table holds for each window key, with a picture of the session so far."""
    begun = session_windows(services, session, keys)
    with services.database.read() as connection:
        minutes = messages_per_minute(connection, session.channel_ids, session.window)
        rows_in_table = table_summary(connection)["rows"]
        described: dict[str, Metadata] = {
            key: {
                PICTURE: _picture(session, minutes, window),
                "window": _times(window),
                ROWS: count_in_window(connection, session.channel_ids, window),
                "dagster/row_count": rows_in_table,
                "proven_until": dg.MetadataValue.timestamp(_proven(connection, session, window)),
                **_report(report),
            }
            for key, window in begun
        }
    notes = _nothing_to_do(services, session, keys)
    # The catalogue shows the latest event of an asset: after a backfill, that of its last window.
    notes[keys[-1]] |= {PICTURE: _picture(session, minutes, None), "dagster/row_count": rows_in_table}
    return {**notes, **described}


def _landing(window: Window, runs: Sequence[Exported], channels: int) -> Metadata:
    if not runs:
        return {"window": _times(window), "note": "nothing to do: every channel is proven"}
    landed = [each for run in runs for each in run.documents if each.window.start in window]
    warnings = [warning for run in runs for warning in run.warnings]
    described: Metadata = {
        "window": _times(window),
        **_rows(
            window,
            [each.window for each in landed],
            sum(map(count_landed, landed)),
            is_of_all=len({run.channel_id for run in runs}) == channels,
        ),
        "bytes": sum(document.size_bytes for document in landed),
        "landed": _paths([str(document.path) for document in landed]),
        "exporter_runs": len(runs),
        "exporter_seconds": round(sum(run.seconds for run in runs), 3),
        "exporter_messages": sum(run.messages for run in runs),
    }
    if warnings:
        described["warnings"] = listed([as_code(line, _LONGEST_WARNING) for line in warnings], _WARNINGS)
    return described


def _normalized(window: Window, documents: Sequence[StoredDocument]) -> Metadata:
    skipped = sum((document.tally.left_out for document in documents), Counter[str]())
    times = [document.window for document in documents if document.window]
    described: Metadata = {
        "window": _times(window),
        **_rows(window, times, sum(document.tally.taken for document in documents)),
        "received": sum(document.tally.received for document in documents),
        "skipped": skipped.total(),
        **{f"skipped_{reason}": count for reason, count in sorted(skipped.items())},
        "files": _paths([str(document.path) for document in documents]),
    }
    return {**described, **_posted_range(documents)}


def _rows(window: Window, read: Sequence[Window], rows: int, *, is_of_all: bool = True) -> Metadata:
    """Return the number of rows of the window, or of the part that a live run has read."""
    first = min(read, default=window)
    if first.start == window.start and is_of_all:
        return {ROWS: rows}
    return {"read": _times(Window(first.start, max(read, default=window).end)), "rows_read": rows}


def _report(report: IngestReport) -> Metadata:
    return {
        "run_received": report.received,
        "run_created": report.created,
        "run_updated": report.updated,
        "run_unchanged": report.unchanged,
        "run_stale": report.stale,
        **{f"run_skipped_{reason}": count for reason, count in sorted(report.skipped.items())},
        "run_merge_seconds": round(report.seconds, 3),
    }


def _nothing_to_do(services: Services, session: Session, keys: Sequence[str]) -> dict[str, Metadata]:
    """Say of every window that it held nothing to do; what did is described in its place."""
    notes: dict[str, Metadata] = {}
    for key in keys:
        window = services.grid.window(key, session.window)
        reason = (
            f"nothing to do yet: this window begins at {_time(window.start)}"
            if window
            else f"nothing to do: the session ends at {_time(session.end_time)}, before this window"
        )
        notes[key] = {ROWS: 0, "note": reason}
    return notes


def _posted_range(documents: Sequence[StoredDocument]) -> Metadata:
    posted = [moment for document in documents if document.tally.taken for moment in _posted_at(document)]
    if not posted:
        return {}
    return {
        "first_posted": dg.MetadataValue.timestamp(min(posted)),
        "last_posted": dg.MetadataValue.timestamp(max(posted)),
    }


def _posted_at(document: StoredDocument) -> list[datetime]:
    return values_of(taken_rows(document.path, ["posted_at"])["posted_at"])


def _proven(connection: Connection, session: Session, window: Window) -> datetime:
    """Return the time up to which every channel is proven complete from a window's start on."""
    return min(
        created_at(proven_until(connection, channel_id, window.low) + 1) for channel_id in session.channel_ids
    )


def _picture(
    session: Session, minutes: Sequence[tuple[datetime, int]], window: Window | None
) -> dg.MarkdownMetadataValue:
    """Draw the session from its start up to now, with a window in the strong colour."""
    end = min(
        session.end_time, max(datetime.now(UTC), window.end if window else session.start_time + _MINUTE)
    )
    span = Window(session.start_time, end)
    svg = messages_chart(minutes, span, session.session_id, highlighted=window)
    return dg.MetadataValue.md(as_markdown(svg, f"messages per minute of {session.session_id}"))


def _paths(paths: Sequence[str]) -> dg.MetadataValue[str] | str:
    if not paths:
        return "none"
    if len(paths) == 1:
        return dg.MetadataValue.path(paths[0])
    return dg.MetadataValue.md("\n".join(f"- `{path}`" for path in paths))


def _times(window: Window) -> str:
    return f"{_time(window.start)} to {_time(window.end)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
