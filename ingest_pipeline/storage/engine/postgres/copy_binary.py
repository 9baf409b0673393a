"""Arrow rows in the binary format of PostgreSQL's COPY, made column by column.

A row is its number of fields, 16 bits, and then each field: its length, 32 bits, or -1 for null, and its
bytes. Numbers have their highest byte first, times are microseconds since 2000 and dates are days since then
(https://www.postgresql.org/docs/current/sql-copy.html, and the `*recv` functions of the types).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.storage.engine.columns import as_numpy, scalar

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""What comes before the rows: the signature, no flags, no extension."""

TRAILER = b"\xff\xff"
"""What comes after them."""

_NOTHING = scalar("", pa.string()).cast(pa.binary())
_LENGTH_OF_NULL = -1
_NULL = scalar(_LENGTH_OF_NULL, pa.int32())
_DAYS_TO_2000 = (datetime(2000, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
_MICROSECONDS_TO_2000 = _DAYS_TO_2000 * 86_400_000_000
_FIXED = {
    pa.bool_().id: (pa.int8(), "i1", 0),
    pa.int16().id: (pa.int16(), ">i2", 0),
    pa.int32().id: (pa.int32(), ">i4", 0),
    pa.int64().id: (pa.int64(), ">i8", 0),
    pa.float64().id: (pa.float64(), ">f8", 0),
    pa.date32().id: (pa.int32(), ">i4", _DAYS_TO_2000),
    pa.timestamp("us").id: (pa.int64(), ">i8", _MICROSECONDS_TO_2000),
}


def is_copied_binary(kind: pa.DataType) -> bool:
    """Whether values of a type are written here.

    Text, booleans, 16 to 64 bit integers, 64 bit floats, dates, and times in microseconds are.
    """
    if pa.types.is_timestamp(kind):
        return bool(kind.unit == "us")
    return kind.id in _FIXED or pa.types.is_string(kind)


def copy_binary(rows: pa.Table) -> memoryview:
    """Return rows as the binary format has them, without `HEADER` and `TRAILER`.

    Args:
        rows: Columns that `is_copied_binary`, of the width that the table's columns have.
    """
    fields = np.full(len(rows), rows.num_columns, ">i2")
    parts = [_fixed(fields, len(rows))]
    for column in rows.itercolumns():
        parts.extend(_field(column.combine_chunks()))
    _, offsets, data = pc.binary_join_element_wise(*parts, _NOTHING).buffers()
    return memoryview(data)[: memoryview(offsets).cast("i")[len(rows)]]


def _field(column: pa.Array) -> Iterator[pa.Array]:
    """Return what each value of a column is joined from."""
    if column.type.id in _FIXED:
        yield _numbers(column)
        return
    texts = column.cast(pa.binary())
    lengths = pc.fill_null(pc.binary_length(texts), _NULL)
    yield _fixed(as_numpy(lengths).astype(">i4"), len(column))
    yield pc.fill_null(texts, _NOTHING) if texts.null_count else texts


def _numbers(column: pa.Array) -> pa.Array:
    plain, layout, epoch = _FIXED[column.type.id]
    width = np.dtype(layout).itemsize
    whole = np.zeros(len(column), [("length", ">i4"), ("value", layout)])
    whole["length"] = width
    whole["value"] = as_numpy(column.cast(plain)) - epoch
    if not column.null_count:
        return _fixed(whole, len(column))
    present = as_numpy(column.is_valid().cast(pa.int8())).astype(np.bool_)
    whole["length"][~present] = _LENGTH_OF_NULL
    # Of a null there is the length alone.
    kept = np.ones((len(column), 4 + width), np.bool_)
    kept[~present, 4:] = False
    ends = np.zeros(len(column) + 1, np.int32)
    np.cumsum(kept.sum(axis=1), out=ends[1:])
    data = whole.view(np.uint8).reshape(len(column), 4 + width)[kept]
    return pa.Array.from_buffers(pa.binary(), len(column), [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _fixed(values: np.ndarray, length: int) -> pa.Array:
    """Return the bytes of numbers, one value each."""
    kind = pa.binary(values.dtype.itemsize)
    return pa.Array.from_buffers(kind, length, [None, pa.py_buffer(values)]).cast(pa.binary())
