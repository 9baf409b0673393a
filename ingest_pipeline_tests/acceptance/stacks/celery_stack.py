"""A Celery deployment on one machine: a coordinator and workers that share nothing but servers.

Each has a folder of its own, as if on a machine of its own: PostgreSQL, the broker and the bucket are
all that they have in common. The files under `deploy/celery` are used as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import dagster as dg
import psycopg
import yaml

from ingest_pipeline.demo.session import DEMO_TOKEN, Demo, build_demo
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import window_grid
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, range_tags
from ingest_pipeline.settings import Settings
from ingest_pipeline.stack.processes import kill
from ingest_pipeline_tests.waiting import PATIENCE_SECONDS, wait_until

DEPLOY = PROJECT_ROOT / "deploy" / "celery"
REDELIVERY_SECONDS = 12
# Twelve windows instead of 72: less to record, for a test in less time.
GRID: dict[str, Any] = {"window_minutes": 10, "session_max_hours": 2}
_NOW = datetime(2026, 3, 8, tzinfo=UTC)


def build_world(folder: Path) -> Demo:
    """Build the demo with two finished sessions, the same in every folder.

    Its clock stands still: nicknames, signed addresses and such change from one reading to the next.
    """
    build_demo(folder, _NOW - timedelta(days=3))
    demo = build_demo(folder, _NOW)
    world = json.loads(demo.world.read_text())
    demo.world.write_text(json.dumps({**world, "now": _NOW.isoformat()}))
    return demo


@dataclass(slots=True)
class Worker:
    """A Celery worker with a folder of its own.

    Attributes:
        name: Its name.
        folder: Its own files: the fake exporter and its world, settings, logs.
        process: It, leading a session of processes.
    """

    name: str
    folder: Path
    process: subprocess.Popen[bytes]

    def fault(self, name: str) -> None:
        """Make this worker's exporter fail in some way; none when empty."""
        (self.folder / "demo_world.json.fault").write_text(name)

    def kill(self) -> None:
        """End it and all it started, as a power cut would."""
        _end(self.process, self.folder)


@dataclass(slots=True)
class Stack:
    """A running deployment.

    Attributes:
        settings: The deployment's settings, as the coordinator has them.
        instance: Dagster's memory of it.
        sessions: The finished sessions.
        workers: Its workers.
        environment: The coordinator's.
    """

    settings: Settings
    instance: dg.DagsterInstance
    sessions: list[Session]
    workers: list[Worker]
    environment: dict[str, str]

    def start_backfill(self, session: Session) -> None:
        """Put a run of all windows of a session into the queue, as the web interface does."""
        keys = window_grid(self.settings).keys
        tags = range_tags(session.session_id, keys, window_grid(self.settings))
        launch = ["-m", "dagster", "job", "launch", "-j", "ingest_job", "--tags", json.dumps(tags)]
        subprocess.run(
            [sys.executable, *launch, "-w", str(DEPLOY / "workspace.yaml")],
            env=self.environment,
            cwd=self.settings.data_dir,
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )

    def finished_run(self, session: Session) -> dg.DagsterRun:
        """Wait for the run of a session to end and return it."""
        grid = window_grid(self.settings)
        of_session = dg.RunsFilter(tags=range_tags(session.session_id, grid.keys, grid))
        wait_until(
            f"the run of {session.session_id}",
            lambda: all(run.is_finished for run in self.instance.get_runs(of_session)),
            look_seconds=0.2,
        )
        (run,) = self.instance.get_runs(of_session)
        return run

    def workers_of(self, run: dg.DagsterRun) -> dict[str, list[str]]:
        """Return the workers that began each step of a run, in their order."""
        began: dict[str, list[str]] = {}
        for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            found = event.engine_event_data.metadata.get("Celery worker") if event else None
            if event and event.step_key and found:
                began.setdefault(event.step_key, []).append(str(found.value).partition("@")[0])
        return began

    def exporting_worker(self) -> Worker:
        """Wait for a worker whose exporter has begun to write, and return it."""
        writing: list[Worker] = []

        def begun() -> bool:
            writing[:] = [
                worker
                for worker in self.workers
                if any(path.stat().st_size for path in (worker.folder / "tmp").rglob("*") if path.is_file())
            ]
            return bool(writing)

        wait_until("an exporter at work", begun)
        return writing[0]


@contextmanager
def running_stack(
    folder: Path, postgres_url: str, broker_url: str, landing_url: str, environment: Mapping[str, str]
) -> Iterator[Stack]:
    """Start a coordinator and two workers, and stop them with all that they started.

    Args:
        folder: Gets a folder for each of them.
        postgres_url: A server; databases of its own are made on it.
        landing_url: Where exports land.
        environment: What leads to the landing store.
    """
    with ExitStack() as stack:
        common = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT_ROOT),
            "INGEST_EXECUTOR": "celery",
            "INGEST_CELERY_BROKER_URL": broker_url,
            "INGEST_CELERY_REDELIVERY_SECONDS": str(REDELIVERY_SECONDS),
            "INGEST_DATABASE_URL": stack.enter_context(_database(postgres_url, "data")),
            "INGEST_DAGSTER_POSTGRES_URL": stack.enter_context(_database(postgres_url, "dagster")),
            "INGEST_LANDING_URL": landing_url,
            # Only what the test asks for is read.
            "INGEST_POST_SESSION_HOURS": "0",
            **{f"INGEST_{name.upper()}": str(value) for name, value in GRID.items()},
            **environment,
        }
        stack.enter_context(_environment(common))
        coordinator = folder / "coordinator"
        sessions = _prepare_coordinator(coordinator)
        settings = Settings(_env_file=None, data_dir=coordinator)
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(coordinator / "home")))
        workers = [_start_worker(stack, folder / name, common) for name in ("worker-1", "worker-2")]
        own = _start_coordinator(stack, coordinator, common)
        wait_until(
            "the first tick of the sensor",
            lambda: (
                {session.session_id for session in sessions}
                <= set(instance.get_dynamic_partitions(SESSION_PARTITIONS))
            ),
            look_seconds=0.2,
        )
        yield Stack(settings, instance, sessions, workers, own)


def _prepare_coordinator(folder: Path) -> list[Session]:
    """Write the coordinator's own files; it has no exporter."""
    home = folder / "home"
    home.mkdir(parents=True)
    shutil.copy(DEPLOY / "dagster.yaml", home)
    with TemporaryDirectory() as elsewhere:
        sessions = build_world(Path(elsewhere)).sessions[:-1]
    rows = [
        {
            "session_id": session.session_id,
            "start_time": session.start_time.isoformat(),
            "end_time": session.end_time.isoformat(),
            "channel_ids": list(session.channel_ids),
        }
        for session in sessions
    ]
    (folder / "sessions.yaml").write_text(yaml.safe_dump({"sessions": rows}))
    return sessions


def _start_coordinator(stack: ExitStack, folder: Path, common: Mapping[str, str]) -> dict[str, str]:
    """Start the coordinator's parts and return their environment."""
    # Not below the test's own folder, whose path leaves no room for a socket's name.
    code_socket = Path(stack.enter_context(TemporaryDirectory(prefix="ingest-"))) / "code.sock"
    environment = {
        **common,
        "DAGSTER_HOME": str(folder / "home"),
        "INGEST_DATA_DIR": str(folder),
        "INGEST_CODE_SOCKET": str(code_socket),
        "INGEST_EXPORTER_PATH": str(folder / "none"),
    }
    server = [sys.executable, "-m", "ingest_pipeline.orchestration.runtime.code_server", str(code_socket)]
    stack.enter_context(_process(server, folder, "code.log", environment))
    wait_until("the code server", code_socket.exists)
    daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(DEPLOY / "workspace.yaml")]
    stack.enter_context(_process(daemon, folder, "daemon.log", environment))
    return environment


def _start_worker(stack: ExitStack, folder: Path, common: Mapping[str, str]) -> Worker:
    demo = build_world(folder)
    (folder / "tmp").mkdir()
    environment = {
        **common,
        "INGEST_DATA_DIR": str(folder),
        "INGEST_EXPORTER_PATH": str(demo.exporter),
        "DISCORD_OAUTH_TOKEN": DEMO_TOKEN,
        "TMPDIR": str(folder / "tmp"),
    }
    module = "ingest_pipeline.orchestration.runtime.celery_worker"
    command = [sys.executable, "-m", module, "--concurrency", "1", "--hostname", f"{folder.name}@%h"]
    process = stack.enter_context(_process(command, folder, "log", environment))
    return Worker(folder.name, folder, process)


@contextmanager
def _process(
    command: list[str], folder: Path, log: str, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder and end it with everything it started."""
    with (folder / log).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process, folder)


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill a program with all it started: an exporter leads a session of its own, but names the folder."""
    kill(process.pid)
    process.wait()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if bytes(folder) in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


@contextmanager
def _database(server_url: str, name: str) -> Iterator[str]:
    """Yield the URL of an empty database, dropped afterwards."""
    database = f"{name}_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{database}"')
    try:
        yield urlsplit(server_url)._replace(path=f"/{database}").geturl()
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
