"""Handles of a database file beside DuckDB's, and the look into its write-ahead log.

Closing any handle of a file drops all locks that its process holds on it
(https://man7.org/linux/man-pages/man2/fcntl_locking.2.html), DuckDB's among them. So a handle is either never
closed, or opened while the process has no connection to the file.

An entry of the log is its size, its checksum and its content. DuckDB checks the checksums, but
takes one whose size goes past the end for one that a killed writer did not finish, and drops it and all
after it without a word: one wrong bit in a size loses commits. It reads the beginning of the log without
any checksum. See `ReplayLog` in https://github.com/duckdb/duckdb/blob/main/src/storage/wal_replay.cpp.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

import duckdb

from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.storage.engine.duckdb.layout import CHECKSUM_BYTES, HEADER_BYTES, Headers, Unreadable

_ENTRY_HEAD_BYTES = 16
# The checksum and content of the entry that ends a commit: always the same.
_COMMIT = bytes.fromhex("e7fe7d722fed3d5e") + bytes.fromhex("640064ffff")
_POLL_SECONDS = 0.05
_COPY_BYTES = 8 * 1024 * 1024


def log_path(path: Path) -> Path:
    """Return where the log of a database file is."""
    return path.with_name(f"{path.name}.wal")


def check_log(log: bytes, headers: Headers) -> None:
    """Check what DuckDB does not.

    Args:
        log: All bytes of the log; what a killed writer did not finish is at its end.
        headers: The headers of its database file.

    Raises:
        Unreadable: The log is damaged, or of another file.
    """
    # A checkpoint that was finished but for the log's removal leaves one of the iteration before.
    iterations = (headers.iteration, max(headers.iteration - 1, 0))
    beginnings = [_beginning(headers, iteration) for iteration in iterations]
    beginning = next((each for each in beginnings if log.startswith(each)), None)
    if beginning is None:
        if any(each.startswith(log) for each in beginnings):
            return
        raise Unreadable("the log at its beginning")
    position = len(beginning)
    while position + _ENTRY_HEAD_BYTES <= len(log):
        size = int.from_bytes(log[position : position + 8], "little")
        if position + _ENTRY_HEAD_BYTES + size > len(log):
            break
        position += _ENTRY_HEAD_BYTES + size
    # Commits are written in order, so nothing that was not finished is followed by the end of a commit.
    if _COMMIT in log[position:]:
        raise Unreadable(f"the log at byte {position}")


def _beginning(headers: Headers, iteration: int) -> bytes:
    """Return how a log begins: its version, and which checkpoint of which file it goes on from."""
    identifier = b"".join(_number(byte) for byte in headers.identifier)
    return (
        b"\x64\x00\x62\x65\x00\x02\x66\x00"
        + _number(len(headers.identifier))
        + identifier
        + b"\x67\x00"
        + _number(iteration)
        + b"\xff\xff"
    )


def _number(value: int) -> bytes:
    """Write a number in groups of seven bits, the last ones first."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def kept_open(path: Path) -> int:
    """Open a file for reading and never close it: other threads may have it open by DuckDB."""
    status = path.stat()
    return _handle(path, status.st_dev, status.st_ino)


@cache
def _handle(path: Path, device: int, inode: int) -> int:  # noqa: ARG001 - another file of the name is another
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def version_of(path: Path) -> Hashable:
    """Return what a commit changes: the numbers of the checkpoints, and the log; None without a file."""
    try:
        file = kept_open(path)
        checkpoints = [os.pread(file, 2 * CHECKSUM_BYTES, header * HEADER_BYTES) for header in (1, 2)]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatabaseUnavailable(f"{path} cannot be read ({error.strerror})") from error
    try:
        log = log_path(path).stat()
    except FileNotFoundError:
        return (os.fstat(file).st_ino, *checkpoints)
    return (os.fstat(file).st_ino, *checkpoints, log.st_size, log.st_mtime_ns)


@contextmanager
def locked(path: Path, deadline: float) -> Iterator[int]:
    """Open a file for writing while no process has it open, this one included.

    Args:
        path: The database file.
        deadline: When to give up, as `time.monotonic` counts.

    Raises:
        DatabaseBusy: Other processes have it open.
        DatabaseUnavailable: It cannot be opened.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseUnavailable(f"{path} cannot be opened ({error.strerror})") from error
    try:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise DatabaseBusy(
                        f"{path} is in use by other processes: stop them and try again"
                    ) from error
                time.sleep(_POLL_SECONDS)
        yield file
    finally:
        os.close(file)


def copy_bytes(file: int, target: BinaryIO) -> None:
    """Write all bytes of an open file to another one and make them durable."""
    position = 0
    while part := os.pread(file, _COPY_BYTES, position):
        target.write(part)
        position += len(part)
    target.flush()
    os.fsync(target.fileno())


def is_in_use(error: duckdb.Error) -> bool:
    """Whether DuckDB refused a file because somebody else has it open."""
    # The second is DuckDB's error when the file is open in this process, but not by this package.
    return "Could not set lock on file" in str(error) or isinstance(error, duckdb.ResourceInUseException)
