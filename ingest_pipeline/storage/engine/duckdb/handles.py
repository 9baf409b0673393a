"""File handles of a database file other than DuckDB's.

Closing any handle of a file drops all locks that its process holds on it
(https://man7.org/linux/man-pages/man2/fcntl_locking.2.html), DuckDB's among them. So a handle is either never
closed, or opened while the process has no connection to the file.
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

from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.storage.engine.duckdb.layout import CHECKSUM_BYTES, HEADER_BYTES
from ingest_pipeline.storage.engine.duckdb.log import log_path

_POLL_SECONDS = 0.05
_COPY_BYTES = 8 * 1024 * 1024


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
