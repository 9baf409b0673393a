"""Arrow columns from Python values, through their buffers, and back.

`pyarrow.array` and `pyarrow.scalar` import pandas as soon as it is installed, to find out whether a value
is a pandas object, and so do times of a zone that become Python's: half a second and 50 MB for every
process that stores one message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import nanoarrow
import numpy as np
import pyarrow as pa


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values as a column; None is null.

    Args:
        values: Text, bytes, integers, 64 bit floats, decimals that the type has room for, booleans, dates, or
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
    return _converted(values, kind)


def repeated(value: Any, kind: pa.DataType, length: int) -> pa.Array:
    """Return a column of one value.

    Raises:
        KeyError: There are no columns of this type here.
    """
    if value is None:
        return pa.nulls(length, kind)
    if kind.id not in _REPEATED:
        return _converted([value] * length, kind)
    return pa.Array.from_buffers(kind, length, [None, *_REPEATED[kind.id](value, kind, length)], 0)


def counting(length: int) -> pa.Array:
    """Return the numbers from 0 on, int32."""
    return pa.Array.from_buffers(
        pa.int32(), length, [None, pa.py_buffer(np.arange(length, dtype=np.int32))], 0
    )


def positions(numbers: np.ndarray) -> pa.Array:
    """Return positions of rows as a column for `take`, int64."""
    data = np.ascontiguousarray(numbers, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


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


def in_one_piece(values: pa.ChunkedArray) -> pa.Array:
    """Return a column's values as one array; of none, `combine_chunks` would import pandas."""
    return values.combine_chunks() if values.num_chunks else pa.nulls(0, values.type)


def as_numpy(numbers: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return integers, times as such, or floats where they lie; where one is null, anything.

    `to_numpy` would import pandas.
    """
    if isinstance(numbers, pa.ChunkedArray):
        numbers = in_one_piece(numbers)
    layout = np.dtype("f8" if pa.types.is_floating(numbers.type) else f"i{numbers.type.bit_width // 8}")
    first = numbers.offset * layout.itemsize
    if not len(numbers):
        return np.empty(0, layout)
    return np.frombuffer(numbers.buffers()[1], layout, len(numbers), first)


def grouped(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each different combination of numbers, and each row's combination.

    Args:
        columns: At least one, int64, from 0, of one length.
    """
    if not len(columns[0]):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    combined = np.zeros(len(columns[0]), np.int64)
    for numbers in columns:
        span = int(numbers.max()) + 1
        if (int(combined.max()) + 1) * span > _MOST_COMBINED:
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
        combined = combined * span + numbers
    _, firsts, groups = np.unique(combined, return_index=True, return_inverse=True)
    return firsts, groups


def as_flags(flags: pa.ChunkedArray) -> np.ndarray:
    """Return booleans without nulls; `to_numpy` would import pandas."""
    return as_numpy(flags.cast(pa.int8())).astype(bool)


def _converted(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    stored, convert = _STORED[kind.id]
    if convert is None:
        return pa.array(nanoarrow.c_array(values, stored))
    plain = [None if value is None else convert(value, kind) for value in values]
    return pa.array(nanoarrow.c_array(plain, stored)).view(kind)


def _days(day: date, _kind: pa.DataType) -> int:
    return (day - _EPOCH_DAY).days


def _scaled(number: Decimal, kind: pa.DataType) -> bytes:
    return int(number.scaleb(kind.scale)).to_bytes(16, "little", signed=True)


def _microseconds(moment: datetime, _kind: pa.DataType) -> int:
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


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.date()
# Offsets of 32 bits reach no further.
_MOST_TEXT = 2**31
_MOST_COMBINED = 2**62
_Repeated = Callable[[Any, pa.DataType, int], list[pa.Buffer]]
_REPEATED: dict[int, _Repeated] = {
    pa.string().id: _same_text,
    pa.int32().id: _same_number,
    pa.int64().id: _same_number,
    pa.bool_().id: _same_flag,
    pa.timestamp("us").id: lambda moment, kind, length: _same_number(
        _microseconds(moment, kind), kind, length
    ),
}
# What nanoarrow makes of values that it does not take as they are; it reads the same memory as Arrow.
_STORED: dict[int, tuple[pa.DataType, Callable[[Any, pa.DataType], Any] | None]] = {
    pa.string().id: (pa.string(), None),
    pa.binary().id: (pa.binary(), None),
    pa.int32().id: (pa.int32(), None),
    pa.int64().id: (pa.int64(), None),
    pa.float64().id: (pa.float64(), None),
    pa.bool_().id: (pa.bool_(), None),
    pa.date32().id: (pa.int32(), _days),
    pa.timestamp("us").id: (pa.int64(), _microseconds),
    pa.decimal128(1).id: (pa.binary(16), _scaled),
}
