"""What watches the interface learns at once that the database is gone: on both engines, under load."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.api_worlds import LATEST, NOW, client_of, fill
from ingest_pipeline_tests.contract import processes
from ingest_pipeline_tests.contract.postgres_server import own_postgres

# A request that waited for the database would take as long as the database may be waited for. Both are far
# apart, so that a busy machine fails no test.
DATABASE_WAIT_SECONDS = 40
ANSWER_SECONDS = 20.0
PATIENCE_SECONDS = 120.0
# More than a server has threads and a pool connections.
WAITING_CLIENTS = 60


def family(process: int) -> list[int]:
    """Return a process and its children."""
    children = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(each.read_text().rpartition(")")[2].split()[1])
            if parent == process:
                children.append(int(each.parent.name))
    return [process, *children]


@contextmanager
def waiting_clients(url: str) -> Iterator[None]:
    """Let many ask for sessions, and wait for the answers that a stopped database does not give."""
    parts = urlsplit(url)
    with ExitStack() as stack:
        for _ in range(WAITING_CLIENTS):
            client = stack.enter_context(socket.create_connection((parts.hostname, parts.port)))
            client.sendall(f"GET /sessions HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        yield


def seconds_until(client: httpx.Client, status: int, *, each: float = PATIENCE_SECONDS) -> float:
    """Ask `/readyz` until it answers with a status, each time within some seconds; return how long."""
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        answer = client.get("/readyz")
        assert time.monotonic() - asked < each
        if answer.status_code == status:
            return time.monotonic() - began
        assert time.monotonic() - began < PATIENCE_SECONDS, answer.text
        time.sleep(0.05)


def lines_with(client: httpx.Client, name: str) -> list[str]:
    """Return the lines of the first scrape that has a metric."""
    began = time.monotonic()
    while True:
        lines = client.get("/metrics").text.splitlines()
        if any(line.startswith(name) for line in lines):
            return lines
        assert time.monotonic() - began < PATIENCE_SECONDS, name
        time.sleep(0.05)


def assert_down(client: httpx.Client) -> None:
    """Find scrape after scrape answered in time, and the database down in each."""
    for _ in range(3):
        asked = time.monotonic()
        metrics = client.get("/metrics").text
        assert time.monotonic() - asked < ANSWER_SECONDS
        assert "\ningest_database_up 0.0\n" in metrics
        assert "ingest_lag_seconds" not in metrics
        assert client.get("/readyz").status_code == 503
        assert [client.get(path).status_code for path in ("/livez", "/health")] == [200, 200]
        time.sleep(0.2)


def assert_watched(settings: Settings, stop: Callable[[], None], go_on: Callable[[], None] | None) -> None:
    """Stop a database under a served interface, and find that reported at once, and its return."""
    services = build_services(settings)
    fill(services)
    with client_of(services) as client:
        seconds_until(client, 200)
        assert "\ningest_database_up 1.0\n" in client.get("/metrics").text
        stop()
        with waiting_clients(str(client.base_url)):
            try:
                assert seconds_until(client, 503, each=ANSWER_SECONDS) < ANSWER_SECONDS
                assert_down(client)
            finally:
                if go_on:
                    go_on()
            if go_on:
                seconds_until(client, 200)
                assert "\ningest_database_up 1.0\n" in client.get("/metrics").text
    services.database.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_a_postgresql_that_is_gone_is_reported_at_once(tmp_path: Path, how: str) -> None:
    """A server that is frozen keeps its connections and answers nothing; one that is killed refuses."""
    with own_postgres() as server:
        postmaster = server.get_pid()
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            database_url=SecretStr(server.get_uri()),
            # Where connections are refused, the requests that wait only make the test longer.
            database_wait_seconds=DATABASE_WAIT_SECONDS if how == "frozen" else 5,
        )

        def send(signal_number: int) -> None:
            for process in family(postmaster):
                with suppress(ProcessLookupError):
                    os.kill(process, signal_number)

        if how == "frozen":
            assert_watched(settings, lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT))
        else:
            assert_watched(settings, lambda: send(signal.SIGKILL), None)


@pytest.mark.slow
def test_a_duckdb_file_that_a_writer_holds_is_reported_at_once(
    make_settings: Callable[[str], Settings],
) -> None:
    """Whoever watches does not wait in the queue for the file, and learns when the writer has gone."""
    settings = make_settings("duckdb").model_copy(update={"database_wait_seconds": DATABASE_WAIT_SECONDS})
    held = []

    def hold() -> None:
        held.append(processes.start("hold", "before", settings=settings))
        output = held[0].stdout
        assert output is not None
        assert output.readline() == "held\n"

    def let_go() -> None:
        held[0].kill()
        held[0].communicate()

    assert_watched(settings, hold, let_go)


def test_a_session_that_ended_incomplete_is_shown_until_it_is_complete(settings: Settings) -> None:
    """Also when another one has ended since; live and ended ones are distinguished."""
    services = build_services(settings)
    fill(services)
    another = replace(
        LATEST,
        session_id="qualifying",
        start_time=LATEST.end_time,
        end_time=LATEST.end_time + timedelta(hours=1),
    )
    services.database.run(lambda connection: save_sessions(connection, [another], now=NOW))
    with client_of(services) as client:
        lines = lines_with(client, "ingest_incomplete_sessions")
    services.database.close()
    lags = {line.split("{")[1].split("}")[0] for line in lines if line.startswith("ingest_lag_seconds{")}
    assert lags == {
        'session_id="race",state="live"',
        'session_id="practice",state="ended"',
        'session_id="qualifying",state="ended"',
    }
    assert "ingest_incomplete_sessions 2.0" in lines


def test_channels_beyond_a_bound_share_one_series(settings: Settings) -> None:
    """Whoever joins guilds by the hundred does not make as many series."""
    services = build_services(settings)
    channels = tuple(range(1, 301))
    wide = Session("wide", NOW - timedelta(minutes=30), NOW + timedelta(hours=1), channels)
    services.database.run(lambda connection: save_sessions(connection, [wide], now=NOW))
    with client_of(services) as client:
        lines = lines_with(client, "ingest_channel_coverage_gap_seconds{")
    services.database.close()
    gaps = [line for line in lines if line.startswith("ingest_channel_coverage_gap_seconds{")]
    assert len(gaps) == 100
