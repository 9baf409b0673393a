"""The HTTP interface as a process: started, asked, stopped; beside the stack, and without its port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from ingest_pipeline.errors import ExitCode
from ingest_pipeline.settings import load_settings
from ingest_pipeline.stack import start
from ingest_pipeline.stack.deployment import banner, real_deployment
from ingest_pipeline.stack.services import api_service
from ingest_pipeline_tests.cli_runs import OURS, PROJECT, Cli
from ingest_pipeline_tests.exports import message, write_export

PATIENCE_SECONDS = 90.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return int(listening.getsockname()[1])


def wait_until_ready(url: str) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(trust_env=False) as client:
        while True:
            try:
                assert client.get(f"{url}/livez").status_code == 200
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
            else:
                return


@contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Leave nothing of a process behind."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    """What was imported is there to be asked for; the sessions file is taken over; Ctrl-C ends it well."""
    cli = Cli(tmp_path)
    cli.add_session()
    export = write_export(tmp_path / "export.json", [message(10)])
    report = cli("import-messages", "--session-id", "race", "--file", str(export), "--json").json
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with stopping(cli.start("api", "--port", str(port))) as process:
        wait_until_ready(url)
        with httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
            assert client.get("/messages").json()["items"][0]["discord_id"] == message(10)["id"]
            assert client.get(f"/trace/{report['correlation_id']}").json()["status"] == "completed"
            assert "<title>ingest_pipeline</title>" in client.get("/").text
            assert client.get("/", headers={"Host": "evil.invalid"}).status_code == 400
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode in {0, ExitCode.INTERRUPTED}
    assert f"serving on {url}" in stderr.decode()
    assert "Traceback" not in stderr.decode()


def test_a_taken_port_ends_the_command_with_its_remedy(tmp_path: Path) -> None:
    """Before anything is opened."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        outcome = Cli(tmp_path)("api", "--port", str(port))
    assert outcome.code == ExitCode.CONFIGURATION
    assert f"--port {port + 1}" in outcome.stderr


@pytest.mark.slow
def test_the_part_of_the_stack_takes_its_settings_from_the_environment_alone(tmp_path: Path) -> None:
    """An .env file where it runs, which might lead to other data, is not read."""
    (tmp_path / ".env").write_text("INGEST_DATABASE_URL=nonsense\n")
    port = free_port()
    part = api_service("127.0.0.1", port)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment = {**inherited, "INGEST_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        part.command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with stopping(process):
        wait_until_ready(f"http://127.0.0.1:{port}")
        assert part.is_ready is not None
        assert part.is_ready()
        assert (
            httpx.get(f"http://127.0.0.1:{port}/status", trust_env=False, timeout=120).json()["engine"]
            == "duckdb"
        )
        process.terminate()
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert b"Traceback" not in stderr
    assert part.command[0] == sys.executable
    assert (tmp_path / "data" / "ingest.duckdb").exists()


def test_a_taken_port_leaves_the_rest_of_the_stack() -> None:
    """One line says why the interface does not run, and how to choose another port."""
    reason: list[str] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert start._api_services("127.0.0.1", port, reason.append) == []
    assert len(reason) == 1
    assert "everything else runs" in reason[0]
    assert f"--api-port {port + 1}" in reason[0]
    [part] = start._api_services("127.0.0.1", port, reason.append)
    assert (part.name, len(reason)) == ("api", 1)


def test_the_banner_names_the_live_page(tmp_path: Path) -> None:
    """When it runs."""
    deployment = real_deployment(load_settings(data_dir=tmp_path), {})
    web, live = "http://127.0.0.1:3000", "http://127.0.0.1:8000"
    assert live in banner(deployment, web, live)
    assert live not in banner(deployment, web)


@pytest.fixture
def traced(tmp_path: Path) -> tuple[Cli, str]:
    """The command on an imported message, and the correlation id of its batch."""
    cli = Cli(tmp_path)
    cli.add_session()
    export = write_export(tmp_path / "export.json", [message(10)])
    report = cli("import-messages", "--session-id", "race", "--file", str(export), "--json").json
    return cli, report["correlation_id"]


def test_a_journey_is_reported_in_words_and_as_json(traced: tuple[Cli, str]) -> None:
    """Of a message by its id, and of a batch by its correlation id."""
    cli, correlation_id = traced
    journey = cli("trace", message(10)["id"], "--json").json
    assert (journey["kind"], journey["status"], journey["run_id"]) == ("message", "stored", None)
    assert journey["completed_stages"][0] == "posted"
    assert journey["message"]["discord_id"] == message(10)["id"]
    words = cli("trace", correlation_id).stdout
    assert f"batch {correlation_id}: completed" in words
    assert "ingestion.completed" in words


def test_an_unknown_journey_ends_with_five(traced: tuple[Cli, str]) -> None:
    """And says what to give."""
    outcome = traced[0]("trace", "nothing")
    assert (outcome.code, outcome.stdout) == (ExitCode.BAD_INPUT, "")
    assert "correlation id" in outcome.stderr


def test_events_are_logged_as_json_with_json_and_not_in_words(traced: tuple[Cli, str]) -> None:
    """A command in words reports the same in its own."""
    cli, _ = traced
    arguments = ("import-messages", "--session-id", "race", "--file", str(cli.folder / "export.json"))
    lines = [json.loads(line) for line in cli(*arguments, "--json").stderr.splitlines()]
    reported = [json.loads(line["message"]) for line in lines if line["logger"] == "ingest_pipeline.events"]
    assert [event["event_type"] for event in reported] == ["ingestion.started", "ingestion.completed"]
    assert "event_type" not in cli(*arguments).stderr
