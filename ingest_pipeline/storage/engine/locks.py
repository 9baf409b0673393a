"""Locks of a database file: the turnstile between processes, and readers and one writer within a process.

DuckDB's own lock lets readers in as long as any reads, so readers without a pause keep a writer out for
ever. Here everybody passes one file lock first: readers let go of it at once, a writer keeps it until it is
done. So a writer that waits goes before readers that come later, and waits for those alone that were
there before it (the turnstile of the readers-writers problem, https://greenteapress.com/wp/semaphores/).
It orders, and protects nothing: where the lock is not available for want of rights or of support by the file
system, everybody goes on without.

DuckDB shares a file between connections of one process only when all are opened alike, so within a
process either several readers or one writer may have it open. Between processes the file's own
lock decides (https://duckdb.org/docs/stable/connect/concurrency).
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from ingest_pipeline.errors import DatabaseBusy

_FIRST_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.02


class Turnstile:
    """The lock that everybody passes who is about to open a database file.

    Args:
        path: The database file.
    """

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self._path = path
        self._lock_path = path.with_name(f"{path.name}.lock")
        # Of the threads of a process one waits for the other processes, the rest for it.
        self._here = threading.Lock()

    @contextmanager
    def held(self, deadline: float, *, wait_seconds: float, is_writer: bool) -> Iterator[None]:
        """Hold the lock.

        Args:
            deadline: When to give up, as `time.monotonic` counts.
            wait_seconds: The longest wait, for the error message.
            is_writer: Whether to leave word of who holds it, for the errors of those who wait.

        Raises:
            DatabaseBusy: It is not available in time.
        """
        if not self._here.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise busy(self._path, "another thread of this process", wait_seconds)
        try:
            file = self._opened()
            if file is None:
                yield
                return
            try:
                if not _locked(file, deadline):
                    raise busy(self._path, _holder(file), wait_seconds)
                if is_writer:
                    _leave_word(file)
                yield
            finally:
                # Explicitly: a forked child would keep it by its copy of the handle.
                fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)
        finally:
            self._here.release()

    def _opened(self) -> int | None:
        try:
            return os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None


def busy(path: Path, who: str, wait_seconds: float) -> DatabaseBusy:
    """Return the error for a database that could not be had in time."""
    return DatabaseBusy(
        f"{path} was in use by {who} for {wait_seconds:g} s: wait for it or stop it, "
        "raise INGEST_DATABASE_WAIT_SECONDS, or move to PostgreSQL with INGEST_DATABASE_URL, "
        "where many processes write at once"
    )


def _locked(file: int, deadline: float) -> bool:
    pause = _FIRST_POLL_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() + pause > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
        except OSError:
            # Not supported here.
            return True
        else:
            return True


def _leave_word(file: int) -> None:
    word = f"{os.getpid()} {sys.executable}".encode()
    os.pwrite(file, word, 0)
    os.ftruncate(file, len(word))


def _holder(file: int) -> str:
    pid, _, program = os.pread(file, 4096, 0).decode(errors="replace").partition(" ")
    return f"process {pid} ({program})" if pid else "another process"


_turnstiles: WeakValueDictionary[Path, Turnstile] = WeakValueDictionary()
_registry = threading.Lock()


def turnstile_for(path: Path) -> Turnstile:
    """Return the one turnstile of this process for a file; hold on to it while using it."""
    resolved = path.resolve()
    with _registry:
        found = _turnstiles.get(resolved)
        if found is None:
            found = _turnstiles[resolved] = Turnstile(resolved)
        return found


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
            DatabaseBusy: It is not available in time, or this thread has it in a way that excludes it.
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
_process_registry = threading.Lock()


def lock_for(path: Path) -> ProcessLock:
    """Return the one lock of this process for a file; hold on to it while using it."""
    resolved = path.resolve()
    with _process_registry:
        lock = _locks.get(resolved)
        if lock is None:
            lock = _locks[resolved] = ProcessLock(resolved)
        return lock
