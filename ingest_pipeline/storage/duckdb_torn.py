"""What a writer that was killed may leave of a DuckDB file, and how that is mended.

A checkpoint writes data to blocks that are free, and at last the header that refers to them: a process
killed before that has changed nothing. Blocks of metadata alone are written in place (`Flush` in
https://github.com/duckdb/duckdb/blob/main/src/storage/metadata/metadata_manager.cpp). Each holds 64
parts. Those that the header in force refers to are the same in what was there and in what is written
over it, since a part that gets free is not used again before the next header. So a block that was
written up to its middle still says all that it said; but its checksum is that of another content, and
DuckDB refuses the whole file. Writing the checksum anew is all it takes.

A damaged disk looks the same to DuckDB. What tells them apart is the mark that each writer leaves beside
the file, durable before it writes and removed when it is done: where there is none, nothing is mended.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex

import duckdb
import numpy as np

# See https://duckdb.org/docs/stable/internals/storage: three headers, then blocks, each after its checksum.
BLOCK_BYTES = 262_144
FIRST_BLOCK = 12_288
_CHECKSUM_BYTES = 8
# `Checksum` in https://github.com/duckdb/duckdb/blob/main/src/common/checksum.cpp
_CHECKSUM_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_CHECKSUM_START = 5381
_REFUSED = re.compile(r"computed checksum \d+ does not match stored checksum \d+ in block at location (\d+)")

_logger = logging.getLogger(__name__)


def refused_location(error: duckdb.Error) -> int | None:
    """Return where the block begins whose checksum made DuckDB refuse the file; None for other errors."""
    found = _REFUSED.search(str(error))
    return int(found[1]) if found else None


def leave_mark(path: Path) -> Path:
    """Say beside a database file that a process is about to write it, and return where that is said."""
    mark = path.with_name(f"{path.name}.writer-{token_hex(4)}")
    mark.touch()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return mark


def remove_mark(mark: Path, path: Path) -> None:
    """Take back a mark, unless there is a log that is yet to be written into the file."""
    if not path.with_name(f"{path.name}.wal").exists():
        mark.unlink(missing_ok=True)


def marks_left(path: Path) -> list[Path]:
    """Return the marks beside a database file: of whoever writes it, and of writers that were killed."""
    prefix = f"{path.name}.writer-"
    return [entry for entry in path.parent.iterdir() if entry.name.startswith(prefix)]


def mend_blocks(path: Path, locations: Iterable[int]) -> list[int]:
    """Write the checksums of torn blocks anew; those that are whole stay as they are.

    The file must not be open in this process: its lock would go with the one taken here
    (https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

    Args:
        path: The database file.
        locations: Where blocks of metadata begin, in bytes.

    Returns:
        Where torn blocks begin.

    Raises:
        BlockingIOError: Another process has the file open.
        OSError: The file cannot be written.
    """
    torn = []
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for location in locations:
            block = os.pread(file.fileno(), BLOCK_BYTES, location)
            checksum = checksum_of(block[_CHECKSUM_BYTES:])
            if not block.startswith(checksum):
                os.pwrite(file.fileno(), checksum, location)
                torn.append(location)
        os.fsync(file.fileno())
    if torn:
        _logger.warning(
            "%s: a writer was killed while it wrote the metadata at %s; mended, nothing of it is lost",
            path,
            ", ".join(map(str, torn)),
        )
    return torn


def is_whole(path: Path, location: int) -> bool:
    """Return whether a block's checksum is that of its content; not while it is open in this process."""
    with path.open("rb") as file:
        block = os.pread(file.fileno(), BLOCK_BYTES, location)
    return block.startswith(checksum_of(block[_CHECKSUM_BYTES:]))


def checksum_of(content: bytes) -> bytes:
    """Return the checksum of a block's content as DuckDB writes it before that: 8 bytes."""
    words = np.frombuffer(content, "<u8") * _CHECKSUM_FACTOR
    return (int(np.bitwise_xor.reduce(words)) ^ _CHECKSUM_START).to_bytes(_CHECKSUM_BYTES, "little")
