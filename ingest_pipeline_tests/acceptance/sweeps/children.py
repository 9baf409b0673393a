"""Real processes for tests, each a fork of one process that has everything imported already.

A run of the project begins some seconds after its process: that long the imports take. Forked, it
begins after hundredths of a second, which is what makes hundreds of kills affordable.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from uuid import uuid4

from ingest_pipeline_tests.acceptance.sweeps.boundaries import Boundary, traced
from ingest_pipeline_tests.acceptance.sweeps.clock import stop_clock

_OURS = ("INGEST_", "DISCORD_", "POLL_", "DAGSTER_")
_LONGEST_SECONDS = 240.0
_PRELOADED = [
    "duckdb",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "psycopg_pool",
    "rich.progress",
    "upath.implementations.local",
    "dagster._core.storage.base_storage",
    "dagster._core.execution.execute_in_process",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.migration.utils",
    "dagster._core.storage.sqlite_storage",
    "ingest_pipeline.cli.app",
    "ingest_pipeline.ingestion.imports",
    "ingest_pipeline.userconfig.session_files",
    "ingest_pipeline.storage.engine.duckdb.engine",
    "ingest_pipeline.storage.engine.postgres.engine",
    "ingest_pipeline.orchestration.runtime.code_server",
    "ingest_pipeline.definitions",
    "ingest_pipeline_tests.acceptance.sweeps.actions",
]


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do.

    Attributes:
        work: A function of `actions.py`.
        arguments: For it.
        folder: Current folder, and where its output goes.
        environment: Its settings; none come from outside.
        now: Where its clock stands still; None for the real time.
        boundary: Where it stops.
        name: First part of the names of its output files.
    """

    work: Callable[..., None]
    arguments: Sequence[object]
    folder: Path
    environment: Mapping[str, str]
    now: datetime | None = None
    boundary: Boundary | None = None
    name: str = field(default_factory=lambda: f"run-{uuid4().hex[:8]}")

    def output(self, kind: str) -> Path:
        """Return the file for `stdout`, `stderr` or `boundary`."""
        return self.folder / f"{self.name}.{kind}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Exit code; negative for the signal that killed it.
        stdout: What it wrote there.
        stderr: What it wrote there.
        boundary: Where it was stopped, or how many boundaries it passed; empty when nobody asked.
        seconds: How long it took.
    """

    code: int
    stdout: str
    stderr: str
    boundary: str
    seconds: float


class Child:
    """A process that works on an order."""

    def __init__(self, order: Order) -> None:
        """Start it."""
        self._order = order
        self._began = time.monotonic()
        self._process = _context().Process(target=_obey, args=(order,), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def send(self, signal_number: int) -> None:
        """Send it a signal, if it still is."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal_number)

    def wait_until_stopped(self) -> None:
        """Wait until it has stopped itself at its boundary.

        Raises:
            AssertionError: It ended instead.
        """
        deadline = time.monotonic() + _LONGEST_SECONDS
        while _state(self.pid) != "T":
            assert self.is_alive, self.ended()
            assert time.monotonic() < deadline, "it neither stopped nor ended"
            time.sleep(0.005)

    def ended(self, longest_seconds: float = _LONGEST_SECONDS) -> Ended:
        """Wait for its end.

        Raises:
            AssertionError: It takes too long; it is killed then.
        """
        self._process.join(longest_seconds)
        in_time = not self._process.is_alive()
        if not in_time:
            self._process.kill()
            self._process.join()
        kinds = ("stdout", "stderr", "boundary")
        stdout, stderr, boundary = (_text(self._order.output(kind)) for kind in kinds)
        assert in_time, f"no end after {longest_seconds} s: {stdout}\n{stderr}"
        code = self._process.exitcode
        assert code is not None
        return Ended(code, stdout, stderr, boundary.strip(), time.monotonic() - self._began)


@cache
def _context() -> ForkServerContext:
    # More threads than cores help nobody here, and a process with threads is not forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _obey(order: Order) -> None:
    for kind, stream in (("stdout", 1), ("stderr", 2)):
        file = os.open(order.output(kind), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    os.environ.update(order.environment)
    os.chdir(order.folder)
    # Chosen again from the environment, should the process that this is a fork of have asked for it.
    tempfile.tempdir = None
    if order.now:
        stop_clock(order.now)
    if order.boundary:
        traced(lambda: order.work(*order.arguments), order.boundary, order.output("boundary"))
    else:
        order.work(*order.arguments)


def _state(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def stop_all(children: Iterable[Child]) -> None:
    """Kill whatever is left of some processes."""
    for child in children:
        child.send(signal.SIGKILL)
