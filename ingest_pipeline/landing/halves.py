"""The split of a large export in two halves, so that two processes can read it at once.

Each half is offered as a document of its own. The cut is a comma between two messages, found as in
`slices.py` by the white space that ends every element of an indented array; exports that are not indented,
or not a plain file, are not cut.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

_FIRST = re.compile(rb'"messages"\s*:\s*\[(\s*)\{')
_HEAD_BYTES = 256 * 1024
_SEARCH_BYTES = 8 * 1024 * 1024
# Of less than this the second process would read little before the first one is done.
LEAST_BYTES = 64 * 1024 * 1024
# What the first process reads while the second one starts.
HEAD_START_BYTES = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Halves:
    """A document in two parts.

    Attributes:
        file: Descriptor of the open file; it is never moved in, so processes can share it.
        size: Its length in bytes.
        cut: Where the comma between the parts stands.
    """

    file: int
    size: int
    cut: int

    def first(self) -> BinaryIO:
        """Return the first part, closed to a document without `messageCount`."""
        return io.BufferedReader(_Stretch(self.file, 0, self.cut, after=b"]}"))

    def second(self) -> BinaryIO:
        """Return the second part, to the document's end, with a header that names no real channel."""
        opening = b'{"channel":{"id":"1"},"messages":['
        return io.BufferedReader(_Stretch(self.file, self.cut + 1, self.size, before=opening))


class _Stretch(io.RawIOBase):
    """Some bytes of a file, with others before and after them."""

    def __init__(self, file: int, begin: int, end: int, before: bytes = b"", after: bytes = b"") -> None:
        self._file = file
        self._position = begin
        self._end = end
        self._before = before
        self._after = after

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._before:
            part, self._before = self._before[: len(buffer)], self._before[len(buffer) :]
        elif wanted := min(len(buffer), self._end - self._position):
            part = os.pread(self._file, wanted, self._position)
            # A file that became shorter ends here.
            self._position = self._position + len(part) if part else self._end
        else:
            part, self._after = self._after[: len(buffer)], self._after[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def halves_of(stream: BinaryIO) -> Halves | None:
    """Return an export's halves; None when it is small or cannot be cut.

    Args:
        stream: The export, at its start. It must stay open as long as its halves are read.
    """
    if not (isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO)):
        return None
    file = stream.fileno()
    size = os.fstat(file).st_size
    opening = _FIRST.search(os.pread(file, _HEAD_BYTES, 0)) if size >= LEAST_BYTES else None
    if opening is None or b"\n" not in opening[1]:
        return None
    middle = (size + min(HEAD_START_BYTES, size // 2)) // 2
    mark = opening[1] + b"},"
    place = os.pread(file, _SEARCH_BYTES, middle).find(mark)
    return None if place < 0 else Halves(file, size, middle + place + len(mark) - 1)
