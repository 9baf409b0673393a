"""The growth of Dagster's history in a live hour, and its size after retention."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, redirect_stderr
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import dagster as dg

from ingest_pipeline.orchestration.maintenance.run_retention import prune_runs
from ingest_pipeline.orchestration.partitions import partition_key
from ingest_pipeline.stack.dagster_home import prepare_dagster_home
from ingest_pipeline_tests.orchestration.deployments import deploy, message, session

TICKS_PER_HOUR = 120
_START = datetime(2026, 9, 6, 13, tzinfo=UTC)
_NAME = "live-hour"


def measure(folder: Path, ticks: int, say: Callable[[str], None]) -> dict[str, object]:
    """Run the ticks of a live session one after another, then prune as the schedule does later.

    The fake exporter, the runs, and Dagster's storage are real; only time is not waited for.

    Args:
        folder: For the deployment; created.
        ticks: How many; 120 are an hour.
        say: Told what happens.
    """
    folder = (folder / "history").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    home = prepare_dagster_home(folder / "dagster", os.environ)
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        deployment = deploy(folder, instance)
        deployment.add_sessions(session(_NAME, _START, minutes=90))
        keys = deployment.services.grid.keys
        empty = _bytes(home.folder)
        began = time.perf_counter()
        for tick in range(ticks):
            moment = _START + timedelta(seconds=30 * tick)
            deployment.post(*(message(moment + timedelta(seconds=5 * n), low_bits=n) for n in range(6)))
            with redirect_stderr(StringIO()) as told:
                result = deployment.run(str(partition_key(_NAME, keys[tick // 10])))
            if not result.success:
                raise RuntimeError(f"tick {tick} failed: {told.getvalue()[-2000:]}")
        say(f"  {ticks} ticks in {time.perf_counter() - began:.0f} s")
        full, runs = _bytes(home.folder), instance.get_runs_count()
        later = datetime.now(UTC) + timedelta(days=deployment.settings.retain_runs_days + 1)
        prune_runs(instance, deployment.settings, now=later)
        left, kept = _bytes(home.folder), instance.get_runs_count()
    for file in home.folder.rglob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("VACUUM")
    return {
        "ticks": ticks,
        "bytes_per_tick": (full - empty) / ticks,
        "hour_bytes": (full - empty) / ticks * TICKS_PER_HOUR,
        "pruned_bytes": left - empty,
        "vacuumed_bytes": _bytes(home.folder) - empty,
        "runs": runs,
        "runs_kept": kept,
        "load": os.getloadavg()[0],
    }


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
