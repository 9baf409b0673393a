"""Arrow columns out of Python values, by way of their buffers.

`pyarrow.array` and `pyarrow.scalar` import pandas as soon as it is installed, to tell whether a value
is a pandas object: half a second and 50 MB for every process that stores one message.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values as a column; None is null.

    Args:
        values: Text, integers, booleans, or aware UTC times for a type of microseconds.
        kind: A string, integer, boolean or timestamp type.

    Raises:
        KeyError: There are no columns of this type here.
    """
    missing = values.count(None)
    # A column of nulls, or of nothing, has no first value.
    if missing == len(values):
        return pa.nulls(missing, kind)
    validity = _bits([value is not None for value in values]) if missing else None
    buffers = _BUFFERS[kind.id](values, kind)
    return pa.Array.from_buffers(kind, len(values), [validity, *buffers], missing)


def repeated(value: Any, kind: pa.DataType, length: int) -> pa.Array:
    """Return a column of one value."""
    return column([value] * length, kind)


def scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return a value as Arrow has it."""
    return column([value], kind)[0]


def _text(values: Sequence[str | None], _kind: pa.DataType) -> list[pa.Buffer]:
    if values.count(values[0]) == len(values):
        data = (values[0] or "").encode()
        ends = array("i", [len(data) * number for number in range(len(values) + 1)])
        return [pa.py_buffer(ends), pa.py_buffer(data * len(values))]
    texts = [value or "" for value in values]
    joined = "".join(texts)
    if joined.isascii():
        offsets = accumulate(map(len, texts), initial=0)
        return [pa.py_buffer(array("i", offsets)), pa.py_buffer(joined.encode())]
    encoded = [text.encode() for text in texts]
    return [
        pa.py_buffer(array("i", accumulate(map(len, encoded), initial=0))),
        pa.py_buffer(b"".join(encoded)),
    ]


def _integers(values: Sequence[int | None], kind: pa.DataType) -> list[pa.Buffer]:
    return [pa.py_buffer(array("i" if kind.bit_width == 32 else "q", [value or 0 for value in values]))]


def _flags(values: Sequence[bool | None], _kind: pa.DataType) -> list[pa.Buffer]:
    return [_bits(values)]


def _times(values: Sequence[datetime | None], _kind: pa.DataType) -> list[pa.Buffer]:
    return [pa.py_buffer(array("q", [(value - _EPOCH) // _MICROSECOND if value else 0 for value in values]))]


def _bits(flags: Sequence[bool | None]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(flags, np.bool_), bitorder="little"))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Buffers = Callable[[Sequence[Any], pa.DataType], list[pa.Buffer]]
_BUFFERS: dict[int, _Buffers] = {
    pa.string().id: _text,
    pa.int32().id: _integers,
    pa.int64().id: _integers,
    pa.bool_().id: _flags,
    pa.timestamp("us").id: _times,
}
