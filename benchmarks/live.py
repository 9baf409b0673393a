"""The live section: the demo at its 30 seconds, from posted to queryable, and the cost of ticks."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.figures import percentile
from benchmarks.processes import Usage
from benchmarks.stack import Stack, running_stack
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline_tests.acceptance.stacks.watch_demo import live_scene, stored_ids

_SETTLE_SECONDS = 60.0


def measure(folder: Path, seconds: float, say: Callable[[str], None]) -> dict[str, object]:
    """Watch the demo for a while.

    The overhead of a message is the time from the first tick after it was posted until an SQL client
    sees its row: what comes on top of waiting for the tick. A tick that is skipped because a run is
    still in progress is a tick, so a run that takes too long shows.

    Args:
        folder: For the demo; created again.
        seconds: How long.
        say: Told what happens.
    """
    folder = (folder / "live").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    settings = load_settings(data_dir=folder / "demo")
    with running_stack(folder, demo=True) as stack:
        _, scene = stack.wait("the live session", lambda: live_scene(settings))
        stack.wait("the first rows", lambda: stored_ids(settings, scene))
        say("the demo runs; catching up")
        time.sleep(_SETTLE_SECONDS)
        seen, usages = _watch(stack, settings, seconds)
        ticks = sorted(tick["timestamp"] for tick in stack.ticks())
        runs = [tick for tick in stack.ticks() if tick["runIds"]]
    began, ended = usages[0][0], usages[1][0]
    posted = {
        snowflake: moment
        for snowflake in seen
        if began <= (moment := created_at(snowflake).timestamp()) < ended
    }
    delays = [seen[snowflake] - moment for snowflake, moment in posted.items()]
    waits = _overheads(seen, posted, ticks)
    with_runs = [tick for tick in runs if began <= tick["timestamp"] < ended]
    gaps = [later - earlier for earlier, later in pairwise(ticks) if earlier >= began]
    cpu = usages[1][1].cpu_seconds - usages[0][1].cpu_seconds
    return {
        "seconds": ended - began,
        "messages": len(posted),
        "ticks_with_a_run": len(with_runs),
        "tick_gap_seconds": median(gaps),
        "tick_gap_worst_seconds": max(gaps),
        "delay_median_seconds": median(delays),
        "delay_p95_seconds": percentile(delays, 0.95),
        "overhead_median_seconds": median(waits),
        "overhead_p95_seconds": percentile(waits, 0.95),
        "overhead_worst_seconds": max(waits),
        "cpu_seconds_per_tick": cpu / max(1, len(with_runs)),
        "memory_mb": usages[1][1].memory_mb,
        "load": os.getloadavg()[0],
    }


def idle(folder: Path, seconds: float) -> dict[str, object]:
    """Watch the stack while no session is live."""
    folder = (folder / "idle").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    environment = {"DISCORD_OAUTH_TOKEN": "not-a-token", "INGEST_EXPORTER_PATH": str(folder / "no-exporter")}
    with running_stack(folder, demo=False, environment=environment) as stack:
        time.sleep(_SETTLE_SECONDS)
        began, before = time.monotonic(), stack.usage()
        time.sleep(seconds)
        after, minutes = stack.usage(), (time.monotonic() - began) / 60
        written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "seconds": minutes * 60,
        "cpu_seconds_per_minute": (after.cpu_seconds - before.cpu_seconds) / minutes,
        "memory_mb": after.memory_mb,
        "processes": after.processes,
        "written_mb": written / 1e6,
        "load": os.getloadavg()[0],
    }


def _watch(
    stack: Stack, settings: Settings, seconds: float
) -> tuple[dict[int, float], tuple[tuple[float, Usage], tuple[float, Usage]]]:
    """Look at the table twice a second; return when each message was first seen, and the usage."""
    session, scene = live_scene(settings)
    del session
    began, before = time.time(), stack.usage()
    seen = dict.fromkeys(stored_ids(settings, scene), began)
    ended, after = began, before
    # Messages of the last minute are waited for, so that slow ones are not left out.
    while (now := time.time()) < began + seconds + _SETTLE_SECONDS:
        if ended == began and now >= began + seconds:
            ended, after = now, stack.usage()
        found = stored_ids(settings, scene)
        moment = datetime.now(UTC).timestamp()
        for snowflake in found:
            seen.setdefault(snowflake, moment)
        time.sleep(0.5)
    return seen, ((began, before), (ended, after))


def _overheads(seen: dict[int, float], posted: dict[int, float], ticks: Sequence[float]) -> list[float]:
    overheads = []
    for snowflake, moment in posted.items():
        next_tick = next((tick for tick in ticks if tick >= moment), None)
        if next_tick is not None:
            overheads.append(max(0.0, seen[snowflake] - next_tick))
    return overheads
