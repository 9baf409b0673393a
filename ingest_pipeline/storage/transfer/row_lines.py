"""Arrow rows as lines of text, made column by column, to compare rows."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.storage.engine.columns import scalar

_NULL = scalar("\\N", pa.string())
_TAB = scalar("\t", pa.string())
_NOTHING = scalar("", pa.string())
_UTC = scalar("Z", pa.string())
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))


def row_lines(rows: pa.Table) -> pa.ChunkedArray:
    """Return each row as one line: equal lines mean equal rows.

    Args:
        rows: Columns of any type that casts to text, and lists of integers.
    """
    columns = [pc.fill_null(_as_text(column), _NULL) for column in rows.itercolumns()]
    return pc.binary_join_element_wise(*columns, _TAB)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type):
        lists = [None if value is None else _array_text(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(lists, pa.string())])
    if pa.types.is_timestamp(column.type) and column.type.tz == "UTC":
        # Many times faster than times of a zone, each of which is looked up in the zone's table.
        local = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
        return pc.binary_join_element_wise(local, _NOTHING, _UTC)
    text = column.cast(pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        for plain, escaped in _ESCAPES:
            text = pc.replace_substring(text, plain, escaped)
    return text


def _array_text(values: list[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
