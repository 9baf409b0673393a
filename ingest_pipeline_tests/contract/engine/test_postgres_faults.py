"""PostgreSQL: deadlocks, lost connections, a server that goes away and comes back, and wrong URLs."""

from __future__ import annotations

import logging
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from ingest_pipeline.errors import ConfigurationError, DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, ConnectionLost, Database
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.engine.postgres.connection import PostgresConnection
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.postgres_server import own_postgres
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages
from ingest_pipeline_tests.contract.vanishing_server import vanishing_server
from ingest_pipeline_tests.waiting import wait_until

NOW = at(1000)


@pytest.fixture
def database(make_database: Callable[[str], Database]) -> Database:
    """An empty database on PostgreSQL."""
    return make_database("postgres")


def merge(connection: Connection, *ids: int) -> MergeCounts:
    """Merge a reading of each id."""
    return merge_messages(connection, staged(Reading(discord_id=each, posted=0) for each in ids), now=NOW)


def test_a_deadlock_is_undone_and_done_again(database: Database) -> None:
    """Two long transactions that lock in opposite orders both succeed."""
    database.migrate()
    meeting = threading.Barrier(2)

    def work(ids: tuple[int, int], tries: list[int], connection: Connection) -> None:
        tries.append(1)
        merge(connection, ids[0])
        if len(tries) == 1:
            meeting.wait(timeout=120)
        merge(connection, ids[1])

    low, high = 1, 1 << 50
    first: list[int] = []
    second: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        up = pool.submit(database.run, lambda c: work((low, high), first, c))
        down = pool.submit(database.run, lambda c: work((high, low), second, c))
        up.result(timeout=120)
        down.result(timeout=120)
    assert len(first) + len(second) == 3
    with database.read() as connection:
        assert len(stored_messages(connection)) == 2


def test_work_is_done_again_on_a_new_connection_when_the_old_one_breaks(
    database: Database, postgres_url: str
) -> None:
    """The server ends a session in mid-transaction."""
    tries: list[int] = []

    def work(connection: Any) -> MergeCounts:
        counts = merge(connection, 1)
        tries.append(1)
        if len(tries) == 1:
            terminate(postgres_url, connection._raw.info.backend_pid)
        return counts + merge(connection, 2)

    assert database.run(work) == MergeCounts(created=2)
    assert len(tries) == 2


def test_a_broken_connection_is_raised_where_nothing_is_repeated(
    database: Database, postgres_url: str
) -> None:
    """`write` tries once."""

    def work() -> None:
        with database.write() as connection:
            assert isinstance(connection, PostgresConnection)
            terminate(postgres_url, connection._raw.info.backend_pid)
            merge(connection, 1)

    with pytest.raises(ConnectionLost, match="broke"):
        work()


def count_sleeping(url: str) -> int:
    """Count the sessions of a server in which `pg_sleep` runs."""
    with psycopg.connect(url) as connection:
        return len(
            connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchall()
        )


def terminate(url: str, process: int) -> None:
    """End a session on the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [process])


def test_a_lock_that_is_held_for_too_long_is_busy(make_settings: Callable[[str], Settings]) -> None:
    """The wait for another transaction has a bound, and the error a remedy."""
    settings = make_settings("postgres")
    patient = open_database(settings)
    hasty = open_database(settings.model_copy(update={"database_wait_seconds": 1}))
    patient.migrate()
    with patient.write() as connection:
        merge(connection, 1)
        with pytest.raises(DatabaseBusy, match="INGEST_DATABASE_WAIT_SECONDS"):
            hasty.run(lambda c: merge(c, 1))
    patient.close()
    hasty.close()


@pytest.mark.parametrize(
    ("option", "error", "reported"),
    [
        ("-cdefault_transaction_read_only=on", DatabaseUnavailable, "read-only transaction"),
        ("-crole=pg_monitor", ConfigurationError, "grant it the rights"),
    ],
)
def test_a_database_that_may_not_be_written_is_reported(
    postgres_url: str, option: str, error: type[Exception], reported: str
) -> None:
    """A standby, or a user without rights."""
    separator = "&" if "?" in postgres_url else "?"
    database = PostgresDatabase(SecretStr(f"{postgres_url}{separator}options={quote(option)}"), 5)
    with pytest.raises(error, match=reported):
        database.migrate()
    database.close()


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A server that a test may stop."""
    with own_postgres() as server:
        yield server


def test_a_server_that_goes_away_and_comes_back_is_waited_for(
    own_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Work begun while it is away is done when it is back."""
    database = PostgresDatabase(SecretStr(own_server.get_uri()), 30)
    assert database.run(lambda c: merge(c, 1)) == MergeCounts(created=1)
    own_server.stop()
    with ThreadPoolExecutor(1) as pool:
        with caplog.at_level(logging.INFO, "ingest_pipeline.storage"):
            working = pool.submit(database.run, lambda c: merge(c, 1, 2))
            wait_until("a first attempt that failed", lambda: caplog.records)
        own_server.ensure_postgres_running()
        assert working.result(timeout=120) == MergeCounts(created=1, unchanged=1)
    database.close()


def test_a_server_that_stays_away_is_unavailable(own_server: Any) -> None:
    """The wait has a bound, for a database in use and for one that was never reached."""
    used = PostgresDatabase(SecretStr(own_server.get_uri()), 1)
    used.migrate()
    own_server.stop()
    with pytest.raises(DatabaseUnavailable, match="check that the server runs"):
        used.run(lambda c: merge(c, 1))
    used.close()
    never = PostgresDatabase(SecretStr(own_server.get_uri()), 1)
    with pytest.raises(DatabaseUnavailable, match=r"No such file or directory|refused"):
        never.run(lambda c: merge(c, 1))
    own_server.ensure_postgres_running()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what arrives, and times what it sent")
@pytest.mark.parametrize(
    ("preferred", "least", "longest"),
    [
        ({}, 5, 20),
        (
            {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 1, "tcp_user_timeout": 1000},
            0,
            5,
        ),
    ],
    ids=["by default", "as the URL says"],
)
def test_a_server_that_vanishes_without_a_word_is_noticed_in_seconds(
    postgres_url: str, preferred: dict[str, Any], least: float, longest: float
) -> None:
    """While its answer is awaited, and when something is sent to it; what the URL says of it counts."""
    opened, vanished = threading.Semaphore(0), threading.Event()
    begins: list[Callable[[], object]] = [lambda: None, vanished.wait]

    def seconds_until_lost(begin: Callable[[], object]) -> float:
        began = time.monotonic()
        with suppress(ConnectionLost), behind.write() as connection:
            opened.release()
            begin()
            connection.run_script("SELECT pg_sleep(60)")
        return time.monotonic() - began

    with ThreadPoolExecutor(2) as pool, vanishing_server(postgres_url) as server:
        behind = PostgresDatabase(SecretStr(make_conninfo(server.conninfo, **preferred)), 30)
        behind.migrate()
        lost = [pool.submit(seconds_until_lost, begin) for begin in begins]
        for _ in lost:
            assert opened.acquire(timeout=30)
        # The first waits for the answer to its statement; the second has sent none yet.
        wait_until("a statement on its way", lambda: count_sleeping(postgres_url))
        server.vanish()
        vanished.set()
        for each in lost:
            assert least < each.result(timeout=40) < longest
        behind.close()


def test_an_unreachable_server_is_reported_without_the_password() -> None:
    """The reason is there, the secret is not."""
    database = PostgresDatabase(SecretStr("postgresql://me:s3cr3t@127.0.0.1:1/db"), 1)
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1") as caught:
        database.migrate()
    assert "s3cr3t" not in f"{caught.value} {caught.value.__cause__}"


def test_a_database_that_does_not_exist_is_a_wrong_setting(postgres_url: str) -> None:
    """There is no point in waiting for it."""
    parts = urlsplit(postgres_url)
    wrong = parts._replace(path="/nowhere").geturl()
    with pytest.raises(ConfigurationError, match="nowhere"):
        PostgresDatabase(SecretStr(wrong), 20).migrate()


def test_a_server_without_tls_is_not_waited_for_when_the_url_wants_it(
    postgres_url: str, tmp_path: Path
) -> None:
    """Nor one whose certificate cannot be checked: the message says which part of the URL is about it."""
    parts = urlsplit(postgres_url)
    options = f"host=127.0.0.1&port=1&hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={tmp_path}/none.crt"
    with serving(b"S") as port:
        url = parts._replace(query=options.replace("port=1", f"port={port}")).geturl()
        with pytest.raises(ConfigurationError, match=r"none\.crt.*does not exist.*sslrootcert"):
            PostgresDatabase(SecretStr(url), 20).migrate()
    with serving(b"N") as port:
        url = parts._replace(query=options.replace("port=1", f"port={port}")).geturl()
        with pytest.raises(ConfigurationError, match=r"does not support SSL.*sslmode"):
            PostgresDatabase(SecretStr(url), 20).migrate()


@contextmanager
def serving(answer: bytes) -> Iterator[int]:
    """Answer each request for TLS with a byte, as a server does, and yield the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(8)
            self.request.sendall(answer)
            with suppress(OSError):
                self.request.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("mysql://u:s3cr3t@h/d", "not a PostgreSQL URL"),
        ("data/ingest.duckdb", "not a PostgreSQL URL"),
        ("postgresql://u:s3cr3t@[h/d", "not a PostgreSQL URL"),
        ("postgresql://u:s3@cr3t@h/d", "%40"),
        ("postgresql://u:s3cr3t@h/d?nonsense=s3cr3t", "cannot be read"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(tmp_path: Path, url: str, remedy: str) -> None:
    """The message names the variable and how to write it, never a part that may be secret."""
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=SecretStr(url))
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        open_database(settings).migrate()
    assert "s3" not in str(caught.value)
