"""Messages as a file for people: CSV, Parquet, JSON or a web page.

Columns and their order are those of `EXPORT_SCHEMA`, in every format alike. Rows pass in pages, so memory
does not grow with their number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.mentions import readable
from ingest_pipeline.domain.session import Session
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import EXPORT_SCHEMA, MessageFilter, message_pages

_JSON_COLUMNS = frozenset({"attachments", "embeds", "stickers", "reactions", "highlight_reasons"})

_FORMULA = r"\A[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"

Pages = Iterator[pa.Table]


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a web page of messages.

    Attributes:
        title: What they are of.
        when: From when to when.
    """

    title: str
    when: str = ""


def export_session(connection: Connection, session: Session, kind: ExportFormat, stream: BinaryIO) -> int:
    """Write a session's live messages; see `export_messages`."""
    wanted = MessageFilter(session.session_id)
    return export_messages(connection, wanted, session_heading(session), kind, stream)


def session_heading(session: Session) -> Heading:
    """Return the heading of a session's messages."""
    return Heading(
        session.event_name or session.session_id,
        f"{session.start_time:%Y-%m-%d %H:%M} to {session.end_time:%Y-%m-%d %H:%M} UTC",
    )


def export_messages(
    connection: Connection, wanted: MessageFilter, heading: Heading, kind: ExportFormat, stream: BinaryIO
) -> int:
    """Write live messages, oldest first, with names for mentions in `message_text`.

    Args:
        connection: An open transaction, of which the file is a snapshot.
        wanted: Which.
        heading: What a web page says above them.
        kind: The format. CSV is UTF-8 with a header line, times as ISO 8601 in UTC, and an apostrophe
            before what a spreadsheet would take for a formula; Parquet keeps every
            type; JSON is an array of objects, a line each, ids as strings; HTML is one page.
        stream: Where to.

    Returns:
        How many messages were written.
    """
    counted = 0

    def pages() -> Pages:
        nonlocal counted
        for page in message_pages(connection, wanted):
            counted += page.num_rows
            yield _with_names(connection, page)

    _WRITERS[kind](pages(), heading, stream)
    return counted


def _with_names(connection: Connection, page: pa.Table) -> pa.Table:
    texts = page["message_text"].to_pylist()
    names = names_in(connection, texts)
    shown = pa.array([readable(text, names) for text in texts], pa.string())
    return page.set_column(page.schema.get_field_index("message_text"), "message_text", shown)


def _write_csv(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    del heading
    from pyarrow.csv import CSVWriter

    with CSVWriter(stream, pa.schema([(name, _csv_type(name)) for name in EXPORT_SCHEMA.names])) as writer:
        for page in pages:
            columns = [_csv_column(column) for column in page.itercolumns()]
            writer.write_table(pa.table(columns, names=page.column_names))


def _csv_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_string(column.type):
        # Whoever may write in a channel could otherwise have a formula run in the reader's spreadsheet:
        # https://owasp.org/www-community/attacks/CSV_Injection
        marked = pc.binary_join_element_wise("'", column, "")
        return pc.if_else(pc.match_substring_regex(column, _FORMULA), marked, column)
    return column


def _csv_type(name: str) -> pa.DataType:
    kind = EXPORT_SCHEMA.field(name).type
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _write_parquet(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    del heading
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(stream, EXPORT_SCHEMA, compression="zstd") as writer:
        for page in pages:
            writer.write_table(page)


def _write_json(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    del heading
    separator = b"[\n"
    for page in pages:
        for row in page.to_pylist():
            shown = {name: _json_value(name, value) for name, value in row.items()}
            stream.write(separator + json.dumps(shown, ensure_ascii=False).encode("utf-8", "replace"))
            separator = b",\n"
    stream.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _json_value(name: str, value: Any) -> Any:
    """Return a value as JSON has it: 64-bit integers lose digits in many readers, so they become strings."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if name in _JSON_COLUMNS:
        return json.loads(value)
    return str(value) if name.endswith(("_id", "_digest")) and not isinstance(value, str) else value


def _write_html(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    from ingest_pipeline.reporting.templates import load_template

    page = load_template("messages.html").stream(
        heading=heading.title,
        when=heading.when,
        rows=(row for rows in pages for row in rows.to_pylist()),
    )
    page.enable_buffering(1_000)
    page.dump(stream, "utf-8", "replace")


_WRITERS: dict[ExportFormat, Callable[[Pages, Heading, BinaryIO], None]] = {
    ExportFormat.CSV: _write_csv,
    ExportFormat.PARQUET: _write_parquet,
    ExportFormat.JSON: _write_json,
    ExportFormat.HTML: _write_html,
}
