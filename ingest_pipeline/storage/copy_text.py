"""Arrow rows in the text format of PostgreSQL's COPY, made column by column.

The text format rather than CSV: before version 18 PostgreSQL takes a line of backslash and full stop
inside a quoted CSV value for the end of the data (PostgreSQL 18 release notes, COPY).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.storage.columns import scalar

_NULL = scalar("\\N", pa.string())
_TAB = scalar("\t", pa.string())
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))


def copy_text(rows: pa.Table) -> bytes:
    """Return a table as COPY text: UTF-8, tabs between columns, one line a row.

    Args:
        rows: Columns of any type that casts to text, and lists of integers.
    """
    return "".join(f"{line}\n" for line in copy_lines(rows).to_pylist()).encode()


def copy_lines(rows: pa.Table) -> pa.ChunkedArray:
    """Return each row as one line of COPY text; equal lines mean equal rows."""
    columns = [pc.fill_null(_as_text(column), _NULL) for column in rows.itercolumns()]
    return pc.binary_join_element_wise(*columns, _TAB)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type):
        lists = [None if value is None else _array_text(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(lists, pa.string())])
    text = column.cast(pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        for plain, escaped in _ESCAPES:
            text = pc.replace_substring(text, plain, escaped)
    return text


def _array_text(values: list[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
