"""Arrow columns from Python values, through their buffers, and back.

`pyarrow.array` and `pyarrow.scalar` import pandas as soon as it is installed, to tell whether a value
is a pandas object, and so do times of a zone that become Python's: half a second and 50 MB for every
process that stores one message.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values as a column; None is null.

    Args:
        values: Text, integers, 64 bit floats, decimals that the type has room for, booleans, dates, or
            aware UTC times for a type of microseconds.
        kind: The type for them.

    Raises:
        KeyError: There are no columns of this type here.
    """
    length = len(values)
    if not length:
        return pa.nulls(0, kind)
    # Most columns of most messages hold one value throughout.
    if values[0] == values[-1] and values.count(values[0]) == length:
        return repeated(values[0], kind, length)
    present = [value is not None for value in values]
    missing = present.count(False)
    validity = _bits(present) if missing else None
    buffers = _BUFFERS[kind.id](values, kind)
    return pa.Array.from_buffers(kind, length, [validity, *buffers], missing)


def repeated(value: Any, kind: pa.DataType, length: int) -> pa.Array:
    """Return a column of one value.

    Raises:
        KeyError: There are no columns of this type here.
    """
    if value is None:
        return pa.nulls(length, kind)
    if kind.id in _REPEATED:
        buffers = _REPEATED[kind.id](value, kind, length)
    else:
        buffers = _BUFFERS[kind.id]([value] * length, kind)
    return pa.Array.from_buffers(kind, length, [None, *buffers], 0)


def counting(length: int) -> pa.Array:
    """Return the numbers from 0 on, int32."""
    return pa.Array.from_buffers(
        pa.int32(), length, [None, pa.py_buffer(np.arange(length, dtype=np.int32))], 0
    )


def scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return a value as Arrow has it."""
    return repeated(value, kind, 1)[0]


def as_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table's rows as Python values: times are aware UTC."""
    columns = [values_of(each) for each in table.itercolumns()]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def values_of(values: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values: times are aware UTC."""
    if not (pa.types.is_timestamp(values.type) and values.type.tz):
        return values.to_pylist()  # type: ignore[no-any-return]
    moments = values.cast(pa.timestamp("us")).to_pylist()
    return [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]


def as_numpy(numbers: pa.Array) -> np.ndarray:
    """Return integers, times as such, or floats where they lie; where one is null, anything.

    `to_numpy` would import pandas.
    """
    layout = np.dtype("f8" if pa.types.is_floating(numbers.type) else f"i{numbers.type.bit_width // 8}")
    first = numbers.offset * layout.itemsize
    return np.frombuffer(numbers.buffers()[1], layout, len(numbers), first)


def _text(values: Sequence[str | None], _kind: pa.DataType) -> list[pa.Buffer]:
    # A NUL between the texts shows in the bytes where each one ends, unless it is in a text too.
    joined = "\0".join(["" if value is None else value for value in values]).encode()
    ends = np.flatnonzero(np.frombuffer(joined, np.uint8) == 0)
    if len(ends) == len(values) - 1 and len(joined) < _MOST_TEXT:
        offsets = np.zeros(len(values) + 1, np.int32)
        offsets[1:-1] = ends - np.arange(len(ends))
        offsets[-1] = len(joined) - len(ends)
        return [pa.py_buffer(offsets), pa.py_buffer(joined.replace(b"\0", b""))]
    encoded = [(value or "").encode() for value in values]
    return [
        pa.py_buffer(array("i", accumulate(map(len, encoded), initial=0))),
        pa.py_buffer(b"".join(encoded)),
    ]


def _integers(values: Sequence[int | None], kind: pa.DataType) -> list[pa.Buffer]:
    width = np.int32 if kind.bit_width == 32 else np.int64
    return [pa.py_buffer(np.array([value or 0 for value in values], width))]


def _floats(values: Sequence[float | None], _kind: pa.DataType) -> list[pa.Buffer]:
    return [pa.py_buffer(np.array([value or 0.0 for value in values], np.float64))]


def _days(values: Sequence[date | None], _kind: pa.DataType) -> list[pa.Buffer]:
    return [pa.py_buffer(np.array([(value - _EPOCH_DAY).days if value else 0 for value in values], np.int32))]


def _decimals(values: Sequence[Decimal | None], kind: pa.DataType) -> list[pa.Buffer]:
    scaled = [int(value.scaleb(kind.scale)) if value else 0 for value in values]
    return [pa.py_buffer(b"".join(number.to_bytes(16, "little", signed=True) for number in scaled))]


def _flags(values: Sequence[bool | None], _kind: pa.DataType) -> list[pa.Buffer]:
    return [_bits(values)]


def _times(values: Sequence[datetime | None], _kind: pa.DataType) -> list[pa.Buffer]:
    return [pa.py_buffer(np.array([_microseconds(value) if value else 0 for value in values], np.int64))]


def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _same_text(text: str, _kind: pa.DataType, length: int) -> list[pa.Buffer]:
    data = text.encode()
    if len(data) * length >= _MOST_TEXT:
        raise OverflowError(f"{length} times a text of {len(data)} bytes is too much for one column")
    offsets = np.arange(length + 1, dtype=np.int32) * np.int32(len(data))
    return [pa.py_buffer(offsets), pa.py_buffer(data * length)]


def _same_number(number: int, kind: pa.DataType, length: int) -> list[pa.Buffer]:
    return [pa.py_buffer(np.full(length, number, np.int32 if kind.bit_width == 32 else np.int64))]


def _same_flag(flag: object, _kind: pa.DataType, length: int) -> list[pa.Buffer]:
    return [pa.py_buffer((b"\xff" if flag else b"\0") * (-(-length // 8)))]


def _bits(flags: Sequence[bool | None]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(flags, np.bool_), bitorder="little"))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.date()
_MICROSECOND = timedelta(microseconds=1)
# Offsets of 32 bits reach no further.
_MOST_TEXT = 2**31
_Repeated = Callable[[Any, pa.DataType, int], list[pa.Buffer]]
_REPEATED: dict[int, _Repeated] = {
    pa.string().id: _same_text,
    pa.int32().id: _same_number,
    pa.int64().id: _same_number,
    pa.bool_().id: _same_flag,
    pa.timestamp("us").id: lambda moment, kind, length: _same_number(_microseconds(moment), kind, length),
}
_Buffers = Callable[[Sequence[Any], pa.DataType], list[pa.Buffer]]
_BUFFERS: dict[int, _Buffers] = {
    pa.string().id: _text,
    pa.int32().id: _integers,
    pa.int64().id: _integers,
    pa.float64().id: _floats,
    pa.date32().id: _days,
    pa.decimal128(1).id: _decimals,
    pa.bool_().id: _flags,
    pa.timestamp("us").id: _times,
}
