"""DuckDB instances of this process, to which a database file is attached for each transaction.

Making an instance takes some 35 ms of computing, most of it for a catalogue of functions, and attaching a
file to one that is there 9 ms (DuckDB 2.0.0, 60 tables). So instances are kept for the next transaction: each
has one file at a time, none in between, and is given up after any error.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

import duckdb

from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection

# Extensions are never fetched from the network: all that is used here is linked into the wheel.
CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
# A second thread doubles the memory of a merge, not its speed. Closing the file writes the log into it, so
# that what is large had better not be written into the log first.
_WRITING: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "checkpoint_threshold": "1MB"}
_MOST_IDLE = 2

_idle: dict[bool, deque[duckdb.DuckDBPyConnection]] = {True: deque(), False: deque()}
_readers: dict[Path, _Attachment] = {}
_registry = threading.Lock()


class OpenFile:
    """A connection to a database file, which is closed with the last of them.

    Readers of a process share one attachment: closing a second one would drop the locks of the first
    (https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

    Args:
        path: The file; one that is opened to write is made when it is not there.
        read_only: Whether nothing is written.
        memory_mb: Most memory that DuckDB may take to write, in MiB; reading takes what the machine gives.

    Raises:
        duckdb.Error: DuckDB cannot open it.
    """

    def __init__(self, path: Path, *, read_only: bool, memory_mb: int) -> None:
        """Open the file."""
        self._path = path.resolve()
        self._read_only = read_only
        if read_only:
            with _registry:
                self._attachment = _readers.get(self._path) or _Attachment(self._path)
                _readers[self._path] = self._attachment
                self._attachment.users += 1
        else:
            self._attachment = _Attachment(self._path, memory_mb)
        self.raw = self._attachment.instance.cursor()
        try:
            DuckDBConnection(self.raw).execute("use_file")
        except BaseException:
            self.discard()
            raise

    def close(self) -> None:
        """Close the file, which writes what was committed into it, and keep the instance."""
        self.raw.close()
        if not self._read_only:
            self._attachment.end()
            return
        with _registry:
            self._attachment.users -= 1
            if not self._attachment.users:
                del _readers[self._path]
                self._attachment.end()

    def discard(self) -> None:
        """Close the file, and do not keep the instance."""
        self._attachment.is_clean = False
        self.close()


class _Attachment:
    """An instance and the file that is attached to it."""

    def __init__(self, path: Path, memory_mb: int | None = None) -> None:
        """Attach the file, to read it unless there is memory to write it."""
        self.users = 0
        self.is_clean = True
        self._read_only = memory_mb is None
        self._spill = path.with_name(f"{path.name}.tmp")
        self.instance = _take(self._spill, read_only=self._read_only)
        try:
            connection = DuckDBConnection(self.instance)
            if memory_mb is not None:
                connection.execute("limit_memory", {"memory": literal(f"{memory_mb}MB")})
            attach = "attach_to_read" if self._read_only else "attach_to_write"
            connection.execute(attach, {"path": literal(path)})
        except BaseException:
            self.instance.close()
            raise

    def end(self) -> None:
        """Detach the file; after an error, or when there is no room to write the log, close the instance."""
        idle = _idle[self._read_only]
        # One that has spilled keeps its folder until it is closed.
        if self.is_clean and len(idle) < _MOST_IDLE and not self._spill.exists():
            with suppress(duckdb.Error):
                DuckDBConnection(self.instance).execute("detach_file")
                idle.append(self.instance)
                return
        self.instance.close()


def literal(value: Path | str) -> str:
    """Return a text as SQL, where DuckDB takes no parameter."""
    return "'" + str(value).replace("'", "''") + "'"


def close_idle() -> None:
    """Close the instances that have no file."""
    for idle in _idle.values():
        with suppress(IndexError):
            while True:
                idle.pop().close()


def _take(spill: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Return an instance without a file, which writes what does not fit into memory to a folder."""
    with suppress(IndexError):
        while instance := _idle[read_only].pop():
            try:
                DuckDBConnection(instance).execute("spill_beside_file", {"folder": literal(spill)})
            except duckdb.Error:
                # It has spilled, and can be given no other folder.
                instance.close()
            else:
                return instance
    own = CONFIGURATION if read_only else CONFIGURATION | _WRITING
    return duckdb.connect(config=own | {"temp_directory": str(spill)})


def _before_fork() -> None:
    """Close what has threads, which are not there in the process that is forked."""
    _registry.acquire()
    close_idle()


os.register_at_fork(before=_before_fork, after_in_parent=_registry.release, after_in_child=_registry.release)
atexit.register(close_idle)
