"""Slices of an export's bytes, and its two halves.

Two ways to find the cuts. In an indented document the white space before the first element ends
every element too (`<that white space>}` and a comma), because a raw line break cannot occur inside
a JSON string: one backward search per chunk. Anything else is scanned token by token, which is
slower and always right.

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

CHUNK_BYTES = 128 * 1024
SEARCH_BYTES = 8 * 1024 * 1024

# A string without its closing quote matches up to the end of the buffer, with an empty group.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[\[\]{},]', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
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
    """The position of the token scanner in the buffer: it never reads a byte twice."""

    position: int = 0
    depth: int = 0
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
    while scan.depth >= 0 and (token := _TOKEN.search(buffer, scan.position)):
        byte = token[0][:1]
        if byte == b'"' and not token[1]:
            scan.position = token.start()
            break
        scan.position = token.end()
        if byte in _OPENING:
            scan.depth += 1
        elif byte in _CLOSING:
            scan.depth -= 1
        elif byte == b"," and scan.depth == 0:
            scan.cut = token.start()
    return scan.cut


def elements(run: bytes) -> Iterator[bytes]:
    """Yield the elements of a run one by one, however they are laid out."""
    scan = _Scan()
    start = 0
    while scan.depth >= 0 and (token := _TOKEN.search(run, scan.position)):
        scan.position = token.end()
        byte = token[0][:1]
        if byte in _OPENING:
            scan.depth += 1
        elif byte in _CLOSING:
            scan.depth -= 1
        elif byte == b"," and scan.depth == 0:
            yield run[start : token.start()]
            start = token.end()
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
