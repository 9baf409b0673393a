"""The embedded engine: one DuckDB file, opened for each transaction.

DuckDB lets one process write or several read, never both, so no connection outlives its
transaction, and a file that is in use elsewhere is tried again within a bound.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.storage.engine import migrations
from ingest_pipeline.storage.engine.database import (
    RETRIES,
    Connection,
    ConnectionLost,
    Result,
    TransactionConflict,
    run_transaction,
)
from ingest_pipeline.storage.engine.duckdb import repair
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.duckdb.handles import is_in_use, version_of
from ingest_pipeline.storage.engine.duckdb.instances import CONFIGURATION, OpenFile
from ingest_pipeline.storage.engine.locks import busy, lock_for, turnstile_for

# What DuckDB may use it does use, joining row groups for one. Work that needs more is done again with more.
_LEAST_MEMORY_MB = 64
_MOST_MEMORY_MB = 5120
_MEMORY_SHORT = re.compile(r"out of memory|could not allocate|failed to (?:allocate|pin)", re.IGNORECASE)
_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")
_LONGEST_POLL_SECONDS = 0.25
# Such a file system gets the file made in its place.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
# A commit that cannot be written is a TransactionException.
_OUT_OF_REACH = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
)


class DuckDBDatabase:
    """The embedded database in one file.

    Args:
        path: The file; made, with its folder, by the first write.
        wait_seconds: Longest wait for another process or thread to let go of it.
    """

    engine = "duckdb"

    def __init__(self, path: Path, wait_seconds: float) -> None:
        """Touch nothing yet."""
        self._path = path
        self._wait_seconds = wait_seconds
        self._lock = lock_for(path)
        self._turnstile = turnstile_for(path)
        self._is_migrated = False
        self._memory_mb = _LEAST_MEMORY_MB

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Database`."""
        with self._current(read_only=False) as connection:
            yield connection

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """See `Database`."""
        return run_transaction(self.write, work)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See `Database`."""
        with self._current(read_only=True) as connection:
            yield connection

    @contextmanager
    def inspect(self) -> Iterator[Connection | None]:
        """See `Database`."""
        if not self._path.exists():
            yield None
            return
        with self._transaction(read_only=True) as connection:
            yield connection

    def version(self) -> Hashable:
        """See `Database`; the file is not waited for."""
        return version_of(self._path)

    def migrate(self) -> list[str]:
        """See `Database`."""
        opened = partial(self._transaction, read_only=False)
        applied = run_transaction(opened, migrations.apply_pending)
        self._is_migrated = True
        return applied

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @contextmanager
    def alone(self) -> Iterator[float]:
        """Keep all others from opening this file to write, and new readers too.

        Yields:
            When to stop waiting for readers that have it open still, as `time.monotonic` counts.

        Raises:
            DatabaseBusy: Others write it for too long.
        """
        deadline = time.monotonic() + self._wait_seconds
        turn = partial(self._turnstile.held, deadline, wait_seconds=self._wait_seconds, is_writer=True)
        with self._lock.held(exclusive=True, wait_seconds=self._wait_seconds), turn():
            self._is_migrated = False
            yield deadline

    def close(self) -> None:
        """See `Database`; nothing stays open between transactions."""

    @contextmanager
    def _current(self, *, read_only: bool) -> Iterator[Connection]:
        while True:
            # The file may have been deleted since: then it is rebuilt, not found without tables.
            if not self._path.exists():
                self.migrate()
            with self._transaction(read_only=read_only) as connection:
                # Looked at here, since it is opening the file that takes time.
                if self._is_migrated or not migrations.pending(connection):
                    self._is_migrated = True
                    yield connection
                    return
            self.migrate()

    @contextmanager
    def _transaction(self, *, read_only: bool) -> Iterator[Connection]:
        deadline = time.monotonic() + self._wait_seconds
        with (
            self._translated_errors(deadline, read_only=read_only),
            self._opened(deadline, read_only=read_only) as raw,
        ):
            try:
                connection = DuckDBConnection(raw)
                connection.execute("configure_session")
                raw.begin()
                yield connection
                raw.commit()
            except BaseException:
                with suppress(duckdb.Error):
                    raw.rollback()
                raise

    @contextmanager
    def _opened(self, deadline: float, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        refused: Exception | None = None
        while True:
            with self._turn(deadline, read_only=read_only):
                try:
                    opened = self._open(deadline, read_only=read_only)
                except (duckdb.Error, repair.Torn) as error:
                    if refused is not None or not repair.may_be_damage(error):
                        raise
                    refused = error
                else:
                    try:
                        yield opened.raw
                    except BaseException:
                        opened.close(is_clean=False)
                        raise
                    opened.close()
                    return
            self._restore(deadline)

    @contextmanager
    def _turn(self, deadline: float, *, read_only: bool) -> Iterator[None]:
        """Wait until this transaction may open the file."""
        with self._lock.held(exclusive=not read_only, wait_seconds=self._wait_seconds) as is_again:
            if is_again:
                # Whoever waits at the turnstile waits for this thread.
                yield
                return
            turn = partial(self._turnstile.held, deadline, wait_seconds=self._wait_seconds)
            if read_only:
                with turn(is_writer=False):
                    repair.refuse_damaged_log(self._path)
                yield
                return
            with turn(is_writer=True):
                repair.refuse_damaged_log(self._path)
                yield

    def _open(self, deadline: float, *, read_only: bool) -> repair.Guard:
        file = self._connected(deadline, read_only=read_only)
        try:
            self._refuse_other_file(DuckDBConnection(file.raw))
            guard = repair.Guard(self._path, file, is_writer=not read_only)
        except BaseException:
            file.discard()
            raise
        try:
            guard.save()
        except BaseException:
            guard.abandon()
            raise
        return guard

    def _connected(self, deadline: float, *, read_only: bool) -> OpenFile:
        if not (read_only or self._path.exists()):
            self._make_file()
        connect = partial(self._connect, read_only=read_only)
        try:
            return connect()
        except duckdb.Error as error:
            if not is_in_use(error):
                raise
            # An attempt costs some 10 ms of computing: one thread of this process tries for all that wait.
            if not self._lock.trying.acquire(timeout=max(deadline - time.monotonic(), 0)):
                raise self._busy(error) from error
        try:
            return self._connected_in_time(connect, deadline)
        finally:
            self._lock.trying.release()

    def _connected_in_time(self, connect: Callable[[], OpenFile], deadline: float) -> OpenFile:
        attempts = 0
        while True:
            try:
                return connect()
            except duckdb.Error as error:
                if not is_in_use(error):
                    raise
                attempts += 1
                pause = min(RETRIES.delay(attempts), _LONGEST_POLL_SECONDS)
                if time.monotonic() + pause > deadline:
                    raise self._busy(error) from error
                time.sleep(pause)

    def _connect(self, *, read_only: bool) -> OpenFile:
        try:
            return OpenFile(self._path, read_only=read_only, memory_mb=self._memory_mb)
        except duckdb.CatalogException as error:
            raise repair.other_file(self._path) from error

    def _restore(self, deadline: float) -> bool:
        """Restore blocks torn by a killed writer; no connection of this thread may be open."""
        with self._lock.held(exclusive=True, wait_seconds=self._wait_seconds):
            return repair.restore(self._path, deadline)

    def _refuse_other_file(self, connection: DuckDBConnection) -> None:
        if not connection.fetch_one("read_open_file"):
            raise repair.other_file(self._path)

    def _make_file(self) -> None:
        """Make an empty database beside its place and link it there.

        DuckDB makes a file in several writes: a process that opens it in between finds it invalid, and
        one that is killed in between leaves it so.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".new-", dir=self._path.parent) as folder:
                draft = Path(folder) / self._path.name
                duckdb.connect(str(draft), config=CONFIGURATION).close()
                with suppress(FileExistsError):
                    self._path.hardlink_to(draft)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return
            raise DatabaseUnavailable(
                f"{self._path} cannot be made ({error.strerror}): "
                "set INGEST_DATA_DIR to a folder that can be written"
            ) from error

    def _busy(self, error: duckdb.Error) -> DatabaseBusy:
        holder = _HOLDER.search(str(error))
        who = f"process {holder[2]} ({holder[1]})" if holder else "other code in this process"
        return busy(self._path, who, self._wait_seconds)

    @contextmanager
    def _translated_errors(self, deadline: float, *, read_only: bool) -> Iterator[None]:
        try:
            yield
        except repair.Torn as error:
            raise repair.damaged(self._path, str(error)) from error
        except RuntimeError as error:
            # Ctrl-C during a query, as DuckDB reports it.
            if str(error) == "Query interrupted":
                raise KeyboardInterrupt from error
            raise
        except duckdb.Error as error:
            if repair.may_be_damage(error):
                raise self._damaged(error, deadline) from error
            if not isinstance(error, _OUT_OF_REACH):
                raise
            # What reads has as much as the machine gives, and is not done again.
            can_grow = not read_only and self._memory_mb < _MOST_MEMORY_MB
            if can_grow and _MEMORY_SHORT.search(str(error)):
                self._memory_mb *= 4
                raise TransactionConflict(
                    f"{self._path} needs more memory ({_first_line(error)}): it now gets {self._memory_mb} MB"
                ) from error
            raise self._unavailable(error) from error

    def _damaged(self, error: duckdb.Error, deadline: float) -> DatabaseUnavailable:
        """Put back what came to light in a transaction, and return what to raise in its place."""
        with suppress(DatabaseBusy):
            if self._restore(deadline):
                return ConnectionLost(f"{self._path} was torn by a killed writer, and is whole again")
        return repair.damaged(self._path, f"what DuckDB was reading ({_first_line(error)})")

    def _unavailable(self, error: duckdb.Error) -> DatabaseUnavailable:
        if _MEMORY_SHORT.search(str(error)):
            return DatabaseUnavailable(
                f"{self._path} needs more memory than this machine gives ({_first_line(error)}): stop what "
                "else uses it, lower INGEST_BATCH_ROWS, or move to PostgreSQL with INGEST_DATABASE_URL"
            )
        return DatabaseUnavailable(
            f"{self._path} cannot be used: {_first_line(error)}. Check that the disk has room, that the "
            "folder can be written and that the file is an ingest_pipeline database"
        )


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
