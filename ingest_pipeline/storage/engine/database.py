"""The database protocol that both engines implement.

The engines are in `duckdb_engine.py` and `postgres_engine.py`; what is read and written is in
`messages.py`, `ledger.py`, `sessions.py` and `state.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable

Result = TypeVar("Result")

MAX_ATTEMPTS = 20
RETRIES = Backoff(first_seconds=0.05, longest_seconds=5.0, jitter=0.9)
_logger = logging.getLogger(__name__)


class TransactionConflict(DatabaseBusy):
    """Another transaction was in the way: the same work may succeed when done again."""


class ConnectionLost(DatabaseUnavailable):
    """The server went away in mid-transaction: the work may succeed on a new connection."""


Names = Mapping[str, str] | None


class Connection(Protocol):
    """One transaction on a database.

    Queries are called by name (see `queries.py`); `names` fills the `{name}` places of those that
    have any.
    """

    engine: str

    def execute(self, query: str, names: Names = None, /, **parameters: object) -> int:
        """Run a statement and return how many rows it changed, 0 when it changes none."""
        ...

    def fetch_all(self, query: str, names: Names = None, /, **parameters: object) -> list[dict[str, Any]]:
        """Return all rows; times are aware UTC, JSON is text."""
        ...

    def fetch_one(self, query: str, names: Names = None, /, **parameters: object) -> dict[str, Any] | None:
        """Return the first row, or None."""
        ...

    def fetch_arrow(self, query: str, names: Names = None, /, **parameters: object) -> pa.Table:
        """Return all rows as an Arrow table; times are `timestamp[us, UTC]`."""
        ...

    def stage(self, table: str, rows: pa.Table) -> None:
        """Fill a temporary table again: `staged_readings` or `staged_messages`, with columns of `staged`."""
        ...

    def stage_like(self, name: str, table: str, rows: pa.Table) -> None:
        """Fill a temporary table again that has those columns of another table which the rows have."""
        ...

    def load(self, table: str, rows: pa.Table) -> None:
        """Append rows to a table; columns go by their names."""
        ...

    def run_script(self, script: str) -> None:
        """Run the statements of a migration."""
        ...


class Database(Protocol):
    """A database, opened lazily and brought to the newest schema on first use."""

    engine: str

    def write(self) -> AbstractContextManager[Connection]:
        """Open one transaction: committed on leaving, rolled back on an error; tried once.

        Raises:
            DatabaseBusy: Another process, thread or transaction was in the way for too long.
            DatabaseUnavailable: The database cannot be reached or written.
        """
        ...

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do work in one transaction, all of it again when a conflict or lost connection undoes it.

        Args:
            work: Called with the transaction; must be fit to be called more than once.

        Raises:
            DatabaseBusy: As for `write`.
            DatabaseUnavailable: As for `write`.
        """
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Open a read-only snapshot.

        Raises:
            DatabaseBusy: As for `write`.
            DatabaseUnavailable: As for `write`.
        """
        ...

    def inspect(self) -> AbstractContextManager[Connection | None]:
        """Open a read-only snapshot without migrating; None when there is no database yet."""
        ...

    def version(self) -> Hashable:
        """Return what another commit changes, at the price of a look; None when there is no database yet.

        Raises:
            DatabaseBusy: As for `write`.
            DatabaseUnavailable: As for `write`.
        """
        ...

    def migrate(self) -> list[str]:
        """Apply the migrations that are missing and return their names; safe in several processes at once.

        Raises:
            ConfigurationError: The database was written by a newer version of this project.
        """
        ...

    def close(self) -> None:
        """Close every connection; the next use opens a new one."""
        ...


def run_transaction(
    write: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], Result]
) -> Result:
    """Do work in one write transaction, again after a transient failure, `MAX_ATTEMPTS` times at most."""
    for attempt in range(1, MAX_ATTEMPTS):
        try:
            with write() as connection:
                return work(connection)
        except (TransactionConflict, ConnectionLost) as error:
            pause = RETRIES.delay(attempt)
            _logger.info("transaction rolled back (%s); repeating it in %.2f s", error, pause)
            time.sleep(pause)
    with write() as connection:
        return work(connection)
