"""Slices of an export's bytes, and its two halves.

Two ways to find the cuts. In an indented document the white space before the first element ends
every element too (`<that white space>}` and a comma), because a raw line break cannot occur inside
a JSON string: one backward search per chunk. Anything else, such as what `jq -c` writes, is scanned
for quotes, brackets and commas.

Each half is offered as a document of its own. The cut is a comma between two messages, found by
the white space that ends every element of an indented array; exports that are not indented,
or not a plain file, are not cut.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

CHUNK_BYTES = 128 * 1024
SEARCH_BYTES = 8 * 1024 * 1024

# Bytes that decide where an element ends: those of an array of 256, by their code.
_IS_MARK = np.isin(np.arange(256), list(b'"[]{},'))
_STEP = np.zeros(256, np.int8)
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1
_ESCAPED = re.compile(rb'\\["\\]')
_NONE = np.empty(0, np.int64)
_WHITE_SPACE = b" \t\r\n"
_FIRST = re.compile(rb'"messages"\s*:\s*\[(\s*)\{')
_HEAD_BYTES = 256 * 1024
_SEARCH_BYTES = 8 * 1024 * 1024
# Of less than this the second process would read little before the first one is done.
LEAST_BYTES = 64 * 1024 * 1024
# What the first process reads while the second one starts.
HEAD_START_BYTES = 40 * 1024 * 1024


@dataclass(slots=True)
class _Scan:
    """The state of the scanner at its position in the buffer: it never reads a byte twice."""

    position: int = 0
    depth: int = 0
    is_in_string: bool = False
    cut: int = -1


def slices(stream: BinaryIO, buffer: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield runs of whole elements, separated by commas, and at last the rest of the stream.

    Args:
        stream: The bytes after `buffer`.
        buffer: What follows the array's opening bracket, as far as it is read already.

    Yields:
        `(elements, False)` for each run, without a comma at its end; then `(rest, True)` once: the
        last elements, the closing bracket and what comes after it, as far as the stream reached.
    """
    while not buffer.lstrip(_WHITE_SPACE) and (chunk := stream.read(CHUNK_BYTES)):
        buffer += chunk
    indent = buffer[: len(buffer) - len(buffer.lstrip(_WHITE_SPACE))]
    mark = indent + b"}," if b"\n" in indent else None
    scan = _Scan()
    while True:
        cut = buffer.rfind(mark) + len(mark) - 1 if mark and mark in buffer else -1
        if mark is None:
            cut = _scan(buffer, scan)
        elif cut < 0 and len(buffer) > SEARCH_BYTES:
            mark = None
            continue
        if cut > 0:
            yield buffer[:cut], False
            buffer = buffer[cut + 1 :]
            scan.position = max(scan.position - cut - 1, 0)
            scan.cut = -1
        chunk = stream.read(CHUNK_BYTES)
        if not chunk:
            yield buffer, True
            return
        buffer += chunk


def _scan(buffer: bytes, scan: _Scan) -> int:
    """Move the scanner to the buffer's end and return the last comma between elements, or -1."""
    commas = _commas(buffer, scan)
    if len(commas):
        scan.cut = int(commas[-1])
    return scan.cut


def _commas(buffer: bytes, scan: _Scan) -> npt.NDArray[np.int64]:
    """Move the scanner to the buffer's end, or the array's; return the commas between elements it passed."""
    begin, end = scan.position, len(buffer)
    if scan.depth < 0 or begin >= end:
        return _NONE
    # A backslash at the end belongs to what is not read yet.
    end -= (end - begin - len(buffer[begin:].rstrip(b"\\"))) % 2
    marks = _IS_MARK[np.frombuffer(buffer, np.uint8, end - begin, begin)]
    for escaped in _ESCAPED.finditer(buffer, begin, end):
        marks[escaped.start() + 1 - begin] = False
    places = np.flatnonzero(marks)
    signs = np.frombuffer(buffer, np.uint8)[places + begin]
    quotes = np.cumsum(signs == ord('"')) + scan.is_in_string
    steps = np.where(quotes % 2, 0, _STEP[signs])
    depths = np.cumsum(steps) + scan.depth
    over = np.flatnonzero(depths < 0)
    last = int(over[0]) + 1 if len(over) else len(depths)
    scan.position = end
    if last:
        scan.depth, scan.is_in_string = int(depths[last - 1]), bool(quotes[last - 1] % 2)
    is_cut = (signs[:last] == ord(",")) & (depths[:last] == 0) & (quotes[:last] % 2 == 0)
    commas: npt.NDArray[np.int64] = places[:last][is_cut] + begin
    return commas


def elements(run: bytes) -> Iterator[bytes]:
    """Yield the elements of a run one by one, however they are laid out."""
    start = 0
    for comma in _commas(run, _Scan()).tolist():
        yield run[start:comma]
        start = comma + 1
    yield run[start:]


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
        return io.BufferedReader(_Segment(self.file, 0, self.cut, after=b"]}"))

    def second(self) -> BinaryIO:
        """Return the second part, to the document's end, with a header that names no real channel."""
        opening = b'{"channel":{"id":"1"},"messages":['
        return io.BufferedReader(_Segment(self.file, self.cut + 1, self.size, before=opening))


class _Segment(io.RawIOBase):
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
    at = os.pread(file, _SEARCH_BYTES, middle).find(mark)
    return None if at < 0 else Halves(file, size, middle + at + len(mark) - 1)
