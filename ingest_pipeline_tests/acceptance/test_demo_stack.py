"""The whole stack, as `./start.sh` runs it: webserver, daemon, sensor, exporter processes, table."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.settings import load_settings
from ingest_pipeline.stack.forks import FORK_SERVER
from ingest_pipeline_tests.acceptance.stacks.watch_demo import kill_daemon, live_scene, stored_ids
from ingest_pipeline_tests.cli_runs import OURS

WAIT_SECONDS = 180
TICK_SECONDS = 5

PARTITIONS = """
query { assetNodeOrError(assetKey: {path: ["messages"]}) { ... on AssetNode {
  assetMaterializations(limit: 200) { partition metadataEntries { label } }
} } }
"""
SENSOR = """
query { sensorOrError(sensorSelector: {
  repositoryName: "__repository__", repositoryLocationName: "ingest_pipeline.definitions",
  sensorName: "live_session_sensor"}) {
    ... on Sensor { sensorState { status ticks(limit: 20) { status } } } } }
"""
BACKFILL = """
mutation($keys: [String!]!) { launchPartitionBackfill(backfillParams: {
  assetSelection: [{path: ["raw_export"]}, {path: ["normalized_messages"]}, {path: ["messages"]}],
  partitionNames: $keys}) { __typename ... on LaunchBackfillSuccess { backfillId }
  ... on PythonError { message } } }
"""


class Stack:
    """The running demo."""

    def __init__(self, folder: Path, port: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environment |= {"INGEST_DATA_DIR": str(folder), "POLL_INTERVAL_SECONDS": str(TICK_SECONDS)}
        self.port = port
        self.settings = load_settings(data_dir=folder / "demo")
        self.log = folder / "start.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingest_pipeline.cli.app", "demo", "--port", str(port)],
                cwd=PROJECT_ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask the webserver's GraphQL interface."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())["data"]

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
        """Return what a condition gives as soon as it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if result := condition():
                    return result
            except (OSError, IndexError):
                pass
            time.sleep(0.5)
        pytest.fail(f"{what} did not happen in {seconds} s:\n{self.log.read_text()[-5000:]}")

    def missing(self) -> set[int]:
        """Return the messages posted until half a minute ago that are not in the table."""
        _, scene = live_scene(self.settings)
        earlier = scene.truth(datetime.now(UTC) - timedelta(seconds=6 * TICK_SECONDS))
        now = scene.truth(datetime.now(UTC))
        expected = (earlier.visible.keys() & now.visible.keys()) - now.without_text
        return expected - set(stored_ids(self.settings, scene))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo in a folder of its own; stopped with Ctrl-C, which must be clean."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Stack(tmp_path_factory.mktemp("stack"), port)
    yield running
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=120) == 0, running.log.read_text()


@pytest.mark.timeout(600)
def test_the_live_session_arrives_by_itself(stack: Stack) -> None:
    """Nothing but starting it is needed: partitions, runs, rows, and the sensor's ticks."""
    stack.wait("the first rows", lambda: stored_ids(stack.settings, live_scene(stack.settings)[1]))
    stack.wait("completeness", lambda: not stack.missing())
    session_id, _ = live_scene(stack.settings)
    events = stack.wait(
        "the first materialisations",
        lambda: stack.ask(PARTITIONS)["assetNodeOrError"]["assetMaterializations"],
    )
    assert all(event["partition"].startswith(f"{session_id}|T+") for event in events)
    labels = {entry["label"] for entry in events[0]["metadataEntries"]}
    assert {"messages_per_minute", "run_created", "dagster/row_count", "correlation_id"} <= labels
    state = stack.ask(SENSOR)["sensorOrError"]["sensorState"]
    assert state["status"] == "RUNNING"
    assert "SUCCESS" in {tick["status"] for tick in state["ticks"]}


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="runs are fresh interpreters elsewhere")
def test_a_run_is_a_fork_of_a_process_that_has_everything_imported(stack: Stack) -> None:
    """None of them begins with an interpreter of its own."""
    seen: dict[int, tuple[int, str]] = {}

    def forked() -> bool:
        below = descendants(stack.process.pid)
        seen.update(below)

        def forks_above(process: int) -> int:
            parent, command = below.get(process, (0, ""))
            return 1 + forks_above(parent) if FORK_SERVER in command else 0

        # The process that services are forks of, the code server, its server of runs, a run.
        return any(forks_above(process) >= 4 for process in below)

    end = time.monotonic() + WAIT_SECONDS
    while not forked():
        assert time.monotonic() < end, f"no run was a fork of the code server's fork: {seen}"
        time.sleep(0.1)
    assert not [command for _, command in seen.values() if "multiprocessing.spawn" in command]


def descendants(root: int) -> dict[int, tuple[int, str]]:
    """Return the processes below one: their parents and command lines, which `ps` may cut short."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found[int(folder.name)] = parent, command
    below = {root}
    while more := {pid for pid, (parent, _) in found.items() if parent in below} - below:
        below |= more
    return {pid: found[pid] for pid in below - {root}}


@pytest.mark.timeout(600)
def test_a_killed_daemon_comes_back_and_nothing_is_missing(stack: Stack) -> None:
    """The outage heals by itself, because the plan is whatever is not proven."""
    stack.wait("the first rows", lambda: stored_ids(stack.settings, live_scene(stack.settings)[1]))
    assert kill_daemon(stack.settings) >= 1
    before = len(stored_ids(stack.settings, live_scene(stack.settings)[1]))
    stack.wait(
        "new rows", lambda: len(stored_ids(stack.settings, live_scene(stack.settings)[1])) > before, 300
    )
    stack.wait("completeness", lambda: not stack.missing())
    rows = stored_ids(stack.settings, live_scene(stack.settings)[1])
    assert len(rows) == len(set(rows))


@pytest.mark.timeout(600)
def test_a_finished_session_is_one_backfill_and_one_run(stack: Stack) -> None:
    """As the backfill dialog asks for it, with no further configuration."""
    sessions = stack.wait("the sessions", lambda: finished(stack))
    keys = [f"{sessions[0]}|T+{minute:03d}m" for minute in range(0, 60, 5)]
    launched = stack.ask(BACKFILL, keys=keys)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    stack.wait("the backfill", lambda: set(keys) <= materialised(stack), 300)


def finished(stack: Stack) -> list[str]:
    """Return the sessions in Dagster's partitions that are not live."""
    found = stack.ask(
        'query { assetNodeOrError(assetKey: {path: ["messages"]}) { ... on AssetNode {'
        " partitionKeysByDimension { name partitionKeys } } } }"
    )
    dimensions = found["assetNodeOrError"]["partitionKeysByDimension"]
    live, _ = live_scene(stack.settings)
    return [key for d in dimensions if d["name"] == "session" for key in d["partitionKeys"] if key != live]


def materialised(stack: Stack) -> set[str]:
    """Return the partitions of `messages` that have been materialised."""
    events = stack.ask(PARTITIONS)["assetNodeOrError"]["assetMaterializations"]
    return {event["partition"] for event in events}
