"""Messages as a file for people: CSV, Parquet, JSON or a web page.

Columns and their order are those of `EXPORT_SCHEMA`, in every format alike. Rows pass in pages, so memory
does not grow with their number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.messages.mentions import readable
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.engine.columns import as_numpy, column, scalar
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import EXPORT_SCHEMA, MessageFilter, message_pages

_JSON_COLUMNS = frozenset({"attachments", "embeds", "stickers", "reactions", "highlight_reasons"})

# All values of these rows are texts in memory at once.
_JSON_ROWS = 5_000
# As many times more rows than different texts make it cheaper to look at these alone.
_FEW = 4

_FORMULA_BYTES = b"=+-@\t\r\n\xef"
_FORMULA = r"\A[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"

# Without it pandas makes floats of nullable integers, and ids lose digits
# (https://pandas.pydata.org/docs/development/developer.html).
_PANDAS = {
    "index_columns": [],
    "column_indexes": [],
    "columns": [
        {
            "name": each.name,
            "field_name": each.name,
            "pandas_type": str(each.type),
            "numpy_type": str(each.type).capitalize(),
            "metadata": None,
        }
        for each in EXPORT_SCHEMA
        if pa.types.is_integer(each.type)
    ],
}

Pages = Iterator[pa.Table]

_NO = scalar(False, pa.bool_())
_NULL = scalar("null", pa.string())


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
    texts = page["message_text"].combine_chunks()
    marked = pc.match_substring(texts, "<")
    written = texts.filter(marked).to_pylist()
    if not written:
        return page
    names = names_in(connection, written)
    shown = _replaced(texts, marked, [readable(text, names) for text in written])
    return page.set_column(page.schema.get_field_index("message_text"), "message_text", shown)


def _replaced(texts: pa.Array, places: pa.Array, values: list[str]) -> pa.Array:
    """Return a column with other values in some places."""
    return pc.replace_with_mask(texts, pc.fill_null(places, _NO), column(values, pa.string()))


def _write_csv(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    del heading
    from pyarrow.csv import CSVWriter

    with CSVWriter(stream, pa.schema([(name, _csv_type(name)) for name in EXPORT_SCHEMA.names])) as writer:
        for page in pages:
            columns = [_csv_column(each.combine_chunks()) for each in page.itercolumns()]
            writer.write_table(pa.table(columns, names=page.column_names))


def _csv_column(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        return _joined(_iso_times(values), "Z")
    if pa.types.is_string(values.type):
        return _without_formulas(values)
    return values


def without_formulas(rows: pa.Table) -> pa.Table:
    """Return rows for a CSV file, their texts with `'` before what a spreadsheet would take for a formula."""
    columns = [
        _without_formulas(each.combine_chunks()) if pa.types.is_string(each.type) else each
        for each in rows.itercolumns()
    ]
    return pa.table(columns, names=rows.column_names)


def _without_formulas(texts: pa.Array) -> pa.Array:
    # Whoever may write in a channel could otherwise have a formula run in the reader's spreadsheet:
    # https://owasp.org/www-community/attacks/CSV_Injection
    formulas = _beginning_like(texts, _FORMULA_BYTES)
    if formulas is None:
        return texts
    formulas = pc.and_(formulas, pc.match_substring_regex(texts, _FORMULA))
    written = texts.filter(formulas).to_pylist()
    return _replaced(texts, formulas, [f"'{text}" for text in written]) if written else texts


def _beginning_like(texts: pa.Array, firsts: bytes) -> pa.Array | None:
    """Return which texts begin with one of some bytes; None when none does."""
    bounds = pa.Array.from_buffers(pa.int32(), len(texts) + 1, [None, texts.buffers()[1]], 0, texts.offset)
    offsets, data = as_numpy(bounds), texts.buffers()[2]
    if data is None or not data.size:
        return None
    content = np.frombuffer(data, np.uint8)
    begins = content[np.minimum(offsets[:-1], len(content) - 1)]
    found = np.isin(begins, np.frombuffer(firsts, np.uint8)) & (offsets[1:] > offsets[:-1])
    if not found.any():
        return None
    flags = pa.Array.from_buffers(pa.uint8(), len(found), [None, pa.py_buffer(found.view(np.uint8))])
    return flags.cast(pa.bool_())


def _iso_times(times: pa.Array) -> pa.Array:
    """Return times in UTC as ISO 8601 without the zone: `2026-09-06T13:00:09.250000`."""
    # A zone, even this one, makes it twenty times as dear.
    return pc.binary_replace_slice(times.cast(pa.timestamp("us")).cast(pa.string()), 10, 11, "T")


def _csv_type(name: str) -> pa.DataType:
    kind = EXPORT_SCHEMA.field(name).type
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _write_parquet(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    del heading
    from pyarrow.parquet import ParquetWriter

    schema = EXPORT_SCHEMA.with_metadata({b"pandas": json.dumps(_PANDAS).encode()})
    with ParquetWriter(stream, schema, compression="zstd") as writer:
        for page in pages:
            writer.write_table(page.cast(schema))


def _write_json(pages: Pages, heading: Heading, stream: BinaryIO) -> None:
    del heading
    start = b"[\n"
    for page in pages:
        for first in range(0, len(page), _JSON_ROWS):
            rows = _json_rows(page.slice(first, _JSON_ROWS))
            # The texts of an array lie one after the other in memory, as they are to be in the file.
            end = as_numpy(pa.Array.from_buffers(pa.int32(), len(rows) + 1, [None, rows.buffers()[1]]))[-1]
            stream.write(start)
            stream.write(memoryview(rows.buffers()[2])[: end - len(start)])
            start = b",\n"
    stream.write(b"[]\n" if start == b"[\n" else b"\n]\n")


def _json_rows(page: pa.Table) -> pa.StringArray:
    parts: list[Any] = []
    for name, values in zip(page.column_names, page.itercolumns(), strict=True):
        parts += [f'{", " if parts else "{"}"{name}": ', _json_column(name, values.combine_chunks())]
    return _joined(*parts, "},\n")


def _joined(*parts: str | pa.Array) -> pa.StringArray:
    """Return texts joined row by row."""
    arrays = [scalar(part, pa.string()) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*arrays, scalar("", pa.string()))


def _json_column(name: str, values: pa.Array) -> pa.Array:
    """Return values as JSON has them: 64-bit integers lose digits in many readers, so they become strings."""
    kind = values.type
    if name in _JSON_COLUMNS:
        shown = _json_again(values)
    elif pa.types.is_string(kind):
        shown = _json_texts(values)
    elif pa.types.is_timestamp(kind):
        times = _iso_times(values)
        whole = pc.binary_replace_slice(times, 19, 26, "")
        times = pc.if_else(pc.ends_with(times, ".000000"), whole, times)
        shown = _joined('"', times, '+00:00"')
    elif pa.types.is_floating(kind):
        shown = _each_once(values, json.dumps)
    else:
        shown = values.cast(pa.string())
        if name.endswith(("_id", "_digest")):
            shown = _joined('"', shown, '"')
    return pc.fill_null(shown, _NULL) if shown.null_count else shown


def _json_texts(texts: pa.Array) -> pa.Array:
    encoded = texts.dictionary_encode()
    if len(encoded.dictionary) < len(texts) // _FEW:
        return _json_quoted(encoded.dictionary).take(encoded.indices)
    return _json_quoted(texts)


def _json_quoted(texts: pa.Array) -> pa.Array:
    awkward = pc.match_substring_regex(texts, r'["\\\x00-\x1f]')
    written = texts.filter(awkward).to_pylist()
    quoted = _joined('"', texts, '"')
    return _replaced(quoted, awkward, [_as_json(text) for text in written]) if written else quoted


def _json_again(texts: pa.Array) -> pa.Array:
    """Return JSON texts as Python writes them; most are empty lists, which are the same everywhere."""
    return _each_once(texts, lambda text: _as_json(json.loads(text)))


def _each_once(values: pa.Array, shown: Callable[[Any], str]) -> pa.Array:
    encoded = values.dictionary_encode()
    distinct = [shown(value) for value in encoded.dictionary.to_pylist()]
    return column(distinct, pa.string()).take(encoded.indices)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


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
