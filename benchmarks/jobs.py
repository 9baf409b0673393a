"""One measurement: a contender works on one file, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
_LIMIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender is given.

    Attributes:
        contender: Its name in `contenders.py`.
        source: The export, as JSON.
        rows: The same messages, normalized, as Parquet: for those that are given rows already parsed.
        target: A folder, or the URL of a PostgreSQL schema; filled or not by earlier jobs.
        folder: Where the contender may keep what it likes.
    """

    contender: str
    source: str
    rows: str
    target: str
    folder: str

    @property
    def is_postgres(self) -> bool:
        """Whether the target is a server."""
        return self.target.startswith("postgresql:")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a job took.

    Attributes:
        seconds: Wall time of the work; starting Python and importing packages is left out.
        cpu_seconds: CPU time of the contender's process and those it starts, for the work; no server's.
        peak_mb: Largest resident memory of the process, packages included, in MB (10⁶ bytes); together with
            those it starts, looked at ten times a second, should that be more.
        idle_mb: Resident memory before the work, packages imported.
        messages: Messages worked on.
        start_seconds: From the start of the process to the start of the work.
        load: Load average of the machine's last minute.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    idle_mb: float
    messages: int
    start_seconds: float
    load: float


class ContenderFailed(RuntimeError):
    """A contender's process ended with an error."""


def run(job: Job) -> Measured:
    """Do a job in a process of its own.

    Raises:
        ContenderFailed: With what the process said last.
    """
    began = time.time()
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", json.dumps(asdict(job)), str(began)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_SECONDS,
        env={**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"},
    )
    if finished.returncode:
        raise ContenderFailed(f"{job.contender}: {finished.stderr[-3000:]}")
    return Measured(**json.loads(finished.stdout.splitlines()[-1]))
