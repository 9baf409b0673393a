"""The lock of each embedded database file within this process.

DuckDB shares a file between connections of one process only when all are opened alike, so within a
process either several readers or one writer may have it open. Between processes the file's own
lock decides (https://duckdb.org/docs/stable/connect/concurrency).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from ingest_pipeline.errors import DatabaseBusy


class ProcessLock:
    """Several readers or one writer; a waiting writer goes before new readers.

    Args:
        path: What is locked, for error messages.

    Attributes:
        trying: Held by the thread that tries to open a file which another process holds.
    """

    def __init__(self, path: Path) -> None:
        """Begin unlocked."""
        self.trying = threading.Lock()
        self._path = path
        self._changed = threading.Condition()
        self._readers: Counter[int] = Counter()
        self._writer: int | None = None
        self._waiting_writers = 0

    @contextmanager
    def held(self, *, exclusive: bool, wait_seconds: float) -> Iterator[bool]:
        """Hold the lock as the writer or as one of the readers.

        Yields:
            Whether this thread has held it already.

        Raises:
            DatabaseBusy: It cannot be had in time, or this thread has it in a way that excludes it.
        """
        thread = threading.get_ident()
        deadline = time.monotonic() + wait_seconds
        with self._changed:
            self._refuse_nesting(thread, exclusive=exclusive)
            self._waiting_writers += exclusive
            free = self._is_free_for_writer if exclusive else lambda: self._is_free_for_reader(thread)
            try:
                if not self._changed.wait_for(free, timeout=deadline - time.monotonic()):
                    raise DatabaseBusy(
                        f"{self._path} was in use by another thread of this process for {wait_seconds:g} s: "
                        "try again later, or raise INGEST_DATABASE_WAIT_SECONDS"
                    )
            finally:
                self._waiting_writers -= exclusive
            is_again = thread in self._readers
            self._take(thread, exclusive=exclusive)
        try:
            yield is_again
        finally:
            with self._changed:
                self._release(thread, exclusive=exclusive)
                self._changed.notify_all()

    def _refuse_nesting(self, thread: int, *, exclusive: bool) -> None:
        if self._writer == thread or (exclusive and thread in self._readers):
            raise DatabaseBusy(
                f"this thread has a transaction on {self._path} open already: end it before beginning another"
            )

    def _is_free_for_writer(self) -> bool:
        return self._writer is None and not self._readers

    def _is_free_for_reader(self, thread: int) -> bool:
        # A reader that reads again must not wait for a writer that waits for it.
        return self._writer is None and (thread in self._readers or not self._waiting_writers)

    def _take(self, thread: int, *, exclusive: bool) -> None:
        if exclusive:
            self._writer = thread
        else:
            self._readers[thread] += 1

    def _release(self, thread: int, *, exclusive: bool) -> None:
        if exclusive:
            self._writer = None
            return
        self._readers[thread] -= 1
        if not self._readers[thread]:
            del self._readers[thread]


_locks: WeakValueDictionary[Path, ProcessLock] = WeakValueDictionary()
_registry = threading.Lock()


def lock_for(path: Path) -> ProcessLock:
    """Return the one lock of this process for a file; hold on to it while using it."""
    resolved = path.resolve()
    with _registry:
        lock = _locks.get(resolved)
        if lock is None:
            lock = _locks[resolved] = ProcessLock(resolved)
        return lock
