"""The whole stack in a folder of its own, as `./start.sh` runs it, and its cost."""

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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.jobs import PROJECT
from benchmarks.processes import Usage, usage

_START_SECONDS = 300.0
_TICKS = """
query($sensor: String!) { sensorOrError(sensorSelector: {
  repositoryName: "__repository__", repositoryLocationName: "ingest_pipeline.definitions",
  sensorName: $sensor}) { ... on Sensor { sensorState {
    ticks(limit: 1000) { timestamp endTimestamp status runIds skipReason } } } } }
"""


class Stack:
    """A running stack."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        """Take over a process just started."""
        self.process = process
        self._port = port
        self._log = log

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask the webserver's GraphQL interface."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.loads(answer.read())["data"]

    def size_of(self, query: str, **variables: Any) -> tuple[float, int]:
        """Ask, and return the seconds until the whole answer was there and its bytes."""
        began = time.perf_counter()
        answer = self.ask(query, **variables)
        return time.perf_counter() - began, len(json.dumps(answer))

    def ticks(self, sensor: str = "live_session_sensor") -> list[dict[str, Any]]:
        """Return the sensor's ticks, newest first."""
        answer = self.ask(_TICKS, sensor=sensor)
        return list(answer["sensorOrError"]["sensorState"]["ticks"])

    def usage(self) -> Usage:
        """Return what the stack has taken so far, all its processes together."""
        return usage(self.process.pid)

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = _START_SECONDS) -> Any:
        """Return what a condition gives as soon as it is true.

        Raises:
            RuntimeError: The stack ended.
            TimeoutError: It did not become true.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the stack ended: {self._log.read_text(encoding='utf-8')[-2000:]}")
            with suppress(OSError, KeyError, TypeError, IndexError):
                if result := condition():
                    return result
            time.sleep(0.5)
        log = self._log.read_text(encoding="utf-8")[-2000:]
        raise TimeoutError(f"{what} did not happen in {seconds:.0f} s: {log}")


@contextmanager
def running_stack(folder: Path, *, demo: bool, environment: dict[str, str] | None = None) -> Iterator[Stack]:
    """Start the stack and stop it afterwards.

    Args:
        folder: Its data folder; the demo makes one inside.
        demo: Whether the simulated session runs.
        environment: Settings beside the data folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, api_port = _free_ports()
    log = folder / "start.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ingest_pipeline.cli.app", "start"),
                *(["--demo"] if demo else []),
                *("--port", str(port), "--api-port", str(api_port)),
            ],
            cwd=PROJECT,
            env={**os.environ, "INGEST_DATA_DIR": str(folder), **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    stack = Stack(process, port, log)
    try:
        stack.wait("the webserver's start", lambda: stack.ask("query { version }"))
        stack.wait("the first tick", stack.ticks)
        yield stack
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
