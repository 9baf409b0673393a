"""The server engine: PostgreSQL through psycopg 3 and a pool, for many processes that write at once.

Writers of the same messages take turns on advisory locks (see `sql/postgres/locks.sql`); what still
collides is undone and done again by `run`. The server, its roles and its pooler may be other people's: what
a transaction needs is set for that transaction alone, whatever the role's or the database's defaults are.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import TextLoader
from psycopg_pool import ConnectionPool, PoolTimeout
from pydantic import SecretStr

from ingest_pipeline.errors import ConfigurationError, DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.redaction import guard, redact
from ingest_pipeline.storage.engine import migrations
from ingest_pipeline.storage.engine.database import (
    RETRIES,
    Connection,
    ConnectionLost,
    Result,
    TransactionConflict,
    run_transaction,
)
from ingest_pipeline.storage.engine.postgres.connection import PostgresConnection, require_usable

MAX_CONNECTIONS = 10
URL_VARIABLE = "INGEST_DATABASE_URL"
# The URL's own values win. A server that vanishes without a word is noticed after ten seconds, by the
# kernel alone after 15 minutes: keepalives while it owes an answer, tcp_user_timeout (ms) while a receipt.
_PREFERRED = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
    "fallback_application_name": "ingest_pipeline",
}
# Errors that no waiting fixes, and the remedy; the first that fits is shown. The texts are libpq's, the
# server's and PgBouncer's, for a connection that is refused has no error code.
_TLS = r"(root|server) certificate|certificate verify|private key file|not support SSL|invalid sslmode"
_IDENTITY = r"authentication failed|no password|does not exist|no pg_hba\.conf entry|no such (user|database)"
_HOPELESS = {
    _TLS: "Correct sslmode, sslrootcert, sslcert or sslkey in it",
    r"unsupported startup parameter": "The pooler does not hand its options on: use ALTER ROLE … SET instead",
    _IDENTITY: "Correct its user, password or database",
}
_logger = logging.getLogger(__name__)


class PostgresDatabase:
    """A database on a PostgreSQL server.

    Args:
        url: `postgresql://user:password@host:port/database`.
        wait_seconds: Longest wait for the server, for a free connection and for a lock.
        origin: What names the URL: a variable, or an option of a command.
        is_patient: Whether a server that is not there is waited for.
    """

    engine = "postgres"

    def __init__(
        self, url: SecretStr, wait_seconds: float, origin: str = URL_VARIABLE, *, is_patient: bool = True
    ) -> None:
        """Connect to nothing yet."""
        guard(url.get_secret_value())
        self._url = url
        self._wait_seconds = wait_seconds
        self._origin = origin
        self._is_patient = is_patient
        self._opening = threading.Lock()
        self._pool: ConnectionPool[psycopg.Connection[Any]] | None = None
        self._is_usable = False
        self._is_migrated = False

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Database`."""
        self._migrate_once()
        with self._transaction() as connection:
            yield connection

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """See `Database`.

        When the connection is lost while committing, it is unknown whether the server did: the work
        is done again, which leaves the same tables, as everything stored here may be stored twice.
        """
        return run_transaction(self.write, work)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See `Database`."""
        self._migrate_once()
        with self._snapshot() as connection:
            yield connection

    @contextmanager
    def inspect(self) -> Iterator[Connection | None]:
        """See `Database`."""
        with self._snapshot() as connection:
            yield connection

    def version(self) -> Hashable:
        """See `Database`: which transactions of the server are over."""
        with self._snapshot() as connection:
            row = connection.fetch_one("read_version")
        return str(row["version"]) if row else None

    def migrate(self) -> list[str]:
        """See `Database`."""
        with self._transaction() as connection:
            applied = migrations.apply_pending(connection)
        self._is_migrated = True
        return applied

    def close(self) -> None:
        """See `Database`."""
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """Open a connection of its own for what the server does in no transaction, such as VACUUM.

        Raises:
            ConfigurationError: The user may not do it.
            DatabaseUnavailable: The database cannot be reached.
        """
        with self._translated_errors(), psycopg.connect(**_connection_options(self._url)) as raw:
            yield PostgresConnection(raw)

    def _migrate_once(self) -> None:
        if self._is_migrated:
            return
        with self._snapshot() as connection:
            is_current = not migrations.pending(connection)
        if not is_current:
            self.migrate()
        self._is_migrated = True

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._transaction(IsolationLevel.REPEATABLE_READ, read_only=True) as connection:
            yield connection

    @contextmanager
    def _transaction(
        self, isolation: IsolationLevel = IsolationLevel.READ_COMMITTED, *, read_only: bool | None = None
    ) -> Iterator[Connection]:
        """Open a transaction; the server decides whether it may write when `read_only` is None."""
        pool = self._open_pool()
        with self._translated_errors(), pool.connection(timeout=self._wait_seconds) as raw:
            # Named in BEGIN, as a role may have other defaults.
            raw.isolation_level, raw.read_only = isolation, read_only
            try:
                with raw.transaction():
                    yield self._configured(raw)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if raw.closed:
                    raise ConnectionLost(
                        f"the connection to PostgreSQL broke: {self._reason(error)}"
                    ) from error
                raise

    def _open_pool(self) -> ConnectionPool[psycopg.Connection[Any]]:
        with self._opening:
            if self._pool is None:
                self._wait_for_server()
                self._pool = ConnectionPool(
                    kwargs=_connection_options(self._url),
                    min_size=0,
                    max_size=MAX_CONNECTIONS,
                    configure=_keep_json_as_text,
                    check=ConnectionPool.check_connection,
                    open=True,
                    name="ingest_pipeline",
                )
            return self._pool

    def _configured(self, raw: psycopg.Connection[Any]) -> Connection:
        """Settle the open transaction's settings; look once whether the database will do."""
        connection = PostgresConnection(raw)
        connection.execute(
            "configure_transaction",
            lock_timeout=str(int(self._wait_seconds * 1000)),
            limit_name="transaction_timeout" if raw.info.server_version >= 170_000 else "statement_timeout",
        )
        if not self._is_usable:
            require_usable(connection)
            self._is_usable = True
        return connection

    def _wait_for_server(self) -> None:
        """Connect once, trying again with growing pauses, so that an error is reported and not a timeout."""
        deadline = time.monotonic() + (self._wait_seconds if self._is_patient else 0)
        attempts = 0
        while True:
            try:
                psycopg.connect(**_connection_options(self._url)).close()
            except psycopg.OperationalError as error:
                attempts += 1
                pause = RETRIES.delay(attempts)
                remedy = next((text for sign, text in _HOPELESS.items() if re.search(sign, str(error))), None)
                if remedy:
                    raise ConfigurationError(
                        f"PostgreSQL refuses {self._origin}: {self._reason(error)}. {remedy}"
                    ) from None
                if time.monotonic() + pause > deadline:
                    raise self._unreachable(error) from None
                level = logging.WARNING if attempts == 1 else logging.DEBUG
                _logger.log(level, "PostgreSQL cannot be reached, trying again: %s", self._reason(error))
                time.sleep(pause)
            except psycopg.ProgrammingError:
                raise ConfigurationError(
                    f"{self._origin} cannot be read: "
                    "write postgresql://user:password@host:5432/database, with special characters of the "
                    "password percent-encoded"
                ) from None
            else:
                return

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except (pg.SerializationFailure, pg.DeadlockDetected) as error:
            raise TransactionConflict(f"another transaction was in the way: {self._reason(error)}") from error
        except pg.LockNotAvailable as error:
            raise DatabaseBusy(
                f"another process held a lock for {self._wait_seconds:g} s: try again later, find it in "
                "pg_stat_activity, or raise INGEST_DATABASE_WAIT_SECONDS"
            ) from error
        except pg.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"the database user may not do this ({self._reason(error)}): grant it the rights, "
                f"or set another user in {self._origin}"
            ) from error
        except PoolTimeout as error:
            raise self._unreachable(error) from error
        except pg.ReadOnlySqlTransaction as error:
            raise DatabaseUnavailable(
                f"PostgreSQL does not write: {self._reason(error)}. Name the primary in {self._origin} "
                "when this is a standby, or set default_transaction_read_only = off for its user"
            ) from error
        except pg.QueryCanceled as error:
            raise DatabaseUnavailable(
                f"PostgreSQL ended a statement: {self._reason(error)}. It was cancelled on the server"
            ) from error
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                f"PostgreSQL cannot do this now: {self._reason(error)}. Check the server's disk and log"
            ) from error

    def _unreachable(self, error: Exception) -> DatabaseUnavailable:
        waited = f" for {self._wait_seconds:g} s" if self._is_patient else ""
        return DatabaseUnavailable(
            f"PostgreSQL gave no connection{waited} ({self._reason(error)}): "
            f"check that the server runs and that {self._origin} names it"
        )

    def _reason(self, error: Exception) -> str:
        """Return the first line of an error without the password."""
        return redact(str(error).strip().partition("\n")[0])


def _keep_json_as_text(raw: psycopg.Connection[Any]) -> None:
    for kind in ("json", "jsonb"):
        raw.adapters.register_loader(kind, TextLoader)


def _connection_options(url: SecretStr) -> dict[str, Any]:
    # Nothing is prepared: statements on temporary tables gain nothing, and poolers stay possible.
    return {
        **_PREFERRED,
        **conninfo_to_dict(url.get_secret_value()),
        "autocommit": True,
        "prepare_threshold": None,
        "client_encoding": "utf8",
    }
