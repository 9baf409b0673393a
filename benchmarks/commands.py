"""The command as a user runs it, content on and defaults, beside an earlier build in the same rounds.

Each step is a process of its own, and its CPU time counts from the interpreter's start to its end, with that
of the processes it starts and of the server. Both builds run with the same packages.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.generate import CHANNEL_ID, START, write
from benchmarks.jobs import PROJECT
from benchmarks.targets import Targets

BASELINE = "01fe234"
STEPS = {
    "cold": "import",
    "same": "the same file again",
    "again": "the same file read again (`--again`)",
    "setups": "import of setups, 20 lines each, a fifth as many",
    "more": "import of three times as many, a third of them there",
    "csv": "export of all as CSV",
    "parquet": "export of all as Parquet",
    "json": "export of all as JSON",
}
_SETUPS = 5
_MORE = 3
_LINES = 17
_SESSION = "session"


@dataclass(frozen=True, slots=True)
class Build:
    """A build of this project.

    Attributes:
        name: `now`, or the commit.
        tree: Its files.
    """

    name: str
    tree: Path

    def run(self, folder: Path, url: str | None, *arguments: str) -> tuple[float, float]:
        """Run a command; return its CPU seconds and the largest process's peak in MB.

        Raises:
            RuntimeError: The command failed.
        """
        environment = {**os.environ, "INGEST_DATA_DIR": str(folder), "INGEST_DATABASE_URL": url or ""}
        printed = folder / "printed.txt"
        with printed.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "ingest_pipeline.cli.app", *arguments],
                cwd=self.tree,
                env=environment,
                stdout=stream,
                stderr=stream,
            )
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{self.name}: ingest {arguments[0]} failed: {printed.read_text()[-2000:]}")
        return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def measure(
    folder: Path, count: int, rounds: int, engines: Sequence[str], say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield one record for each engine, round, step and build; the builds take turns.

    Args:
        folder: For inputs and tables.
        count: Messages in one session.
        rounds: How often everything is measured.
        engines: `duckdb`, `postgres` or both.
        say: Called with what happens.
    """
    folder = folder.absolute()
    sources = {
        "cold": _written(folder / f"mixed-{count}.json", count, None),
        "setups": _written(folder / f"setups-{count // _SETUPS}.json", count // _SETUPS, plan),
        "more": _written(folder / f"mixed-{count * _MORE}.json", count * _MORE, None),
    }
    builds = [Build("now", PROJECT), _baseline(folder / BASELINE)]
    for engine, number in product(engines, range(rounds)):
        with Targets(folder) as targets:
            places = [_place(folder / build.name / engine) for build in builds]
            urls = [
                targets.lasting(f"build_{place}") if engine == "postgres" else None
                for place in range(len(builds))
            ]
            for build, place, url in zip(builds, places, urls, strict=True):
                build.run(place, url, *_session())
            for step in STEPS:
                for build, place, url in zip(builds, places, urls, strict=True):
                    before = targets.server_cpu()
                    cpu, peak = build.run(place, url, *_command(step, sources, place, build))
                    cpu += targets.server_cpu() - before
                    say(f"  {engine} {step} {build.name}: {cpu:.1f} CPU s, {peak:.0f} MB")
                    yield {
                        "engine": engine,
                        "round": number,
                        "step": step,
                        "build": build.name,
                        "messages": count,
                        "cpu_seconds": cpu,
                        "peak_mb": peak,
                        "load": os.getloadavg()[0],
                    }


def _command(step: str, sources: dict[str, Path], folder: Path, build: Build) -> list[str]:
    if step in {"csv", "parquet", "json"}:
        return ["export", "--session-id", _SESSION, "--output", str(folder / f"messages.{step}")]
    file = str(sources.get(step, sources["cold"]))
    if build.name == BASELINE:
        return ["import-messages", "--session-id", _SESSION, "--file", file]
    return ["import", file, *(["--again"] if step == "again" else [])]


def _session() -> list[str]:
    end = START + timedelta(days=3650)
    times = ["--start", START.isoformat(), "--end", end.isoformat()]
    return ["sessions", "add", _SESSION, *times, "--channel-id", str(CHANNEL_ID)]


def _written(path: Path, count: int, content: Callable[[int], str] | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path if path.exists() else write(path, count, seed=7 if content else 1, content=content)


def plan(index: int) -> str:
    """Return a message of 20 lines with prices of its own."""
    level = 140 + index % 400 * 0.37
    lines = (
        f"\U0001f53b Aggressive Breakdown Below {level:.2f} \U0001f53b {level - 1.4:.2f}, {level - 3:.2f}",
        f"\U0001f504 Bounce Zone {level - 3:.2f}-{level - 2.5:.2f} \U0001f53c {level + 1:.2f}, {level + 2:.2f}",  # noqa: E501
        f"\U0001f53c Breakout above {level + 4:.2f} \U0001f53c {level + 9:.2f}",
        f"\u274c Rejection Near {level + 6:.2f} \U0001f53b {level + 3:.2f}, {level + 2:.2f}",
    )
    heading = ["A+ Scalp Trade Setups \u2014 Sun Jan 1", "", "NVDA"]
    return "\n".join([*heading, *(lines[number % len(lines)] for number in range(_LINES))])


def _baseline(folder: Path) -> Build:
    if not folder.exists():
        command = [shutil.which("git") or "git", "-C", str(PROJECT), "archive", BASELINE]
        packed = subprocess.run(command, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return Build(BASELINE, folder)


def _place(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
