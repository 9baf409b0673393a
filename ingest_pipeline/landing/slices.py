"""Slices of a JSON array that arrives as bytes, cut at the commas between its elements.

Two ways to find the cuts. In an indented document the white space before the first element ends
every element too (`<that white space>}` and a comma), because a raw line break cannot occur inside
a JSON string: one backward search per chunk. Anything else is scanned token by token, which is
slower and always right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CHUNK_BYTES = 128 * 1024
SEARCH_BYTES = 8 * 1024 * 1024

# A string without its closing quote matches up to the end of the buffer, with an empty group.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[\[\]{},]', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_WHITE_SPACE = b" \t\r\n"


@dataclass(slots=True)
class _Scan:
    """Where the token scanner stands in the buffer: it never reads a byte twice."""

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
