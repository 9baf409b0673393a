"""Dagster with few and many partitions: the partitions page, the tick, and the cost of the idle stack."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import dagster as dg

from benchmarks.stack import Stack, running_stack
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, partition_key
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline.stack.dagster_home import prepare_dagster_home
from ingest_pipeline.storage.messages.sessions import save_sessions

MATERIALISED = 5_000
_QUERIES = 5
_FIRST = datetime(2022, 3, 20, 15, tzinfo=UTC)
_CHANNEL = 1_100_000_000_000_000_001
# What the page asks for when an asset's partitions are opened (dagster-webserver 1.13, PartitionHealthQuery).
_PAGE = """
query { assetNodeOrError(assetKey: {path: ["messages"]}) { ... on AssetNode {
  id
  partitionKeysByDimension { name type partitionKeys }
  assetPartitionStatuses { ... on MultiPartitionStatuses {
    primaryDimensionName
    ranges { primaryDimStartKey primaryDimEndKey secondaryDim { ... on DefaultPartitionStatuses {
      materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } } } } }
} } }
"""


def measure(
    folder: Path, seconds: float, keys: Sequence[int], say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    """Yield one record for each number of partition keys.

    Args:
        folder: For deployments; kept, since filling one takes minutes.
        seconds: How long each idle stack is watched.
        keys: The numbers of keys, about; sessions are whole.
        say: Told what happens.
    """
    for count in keys:
        data = (folder / f"catalogue-{count}").absolute()
        settings = load_settings(data_dir=data)
        sessions = -(-count // build_services(settings).grid.count)
        if not (data / "filled").exists():
            say(f"{sessions} sessions: filling Dagster's catalogue")
            _fill(settings, sessions)
            (data / "filled").touch()
        with running_stack(data, demo=False, environment=_environment(data)) as stack:
            record = _watch(stack, seconds)
        record |= {
            "keys": sessions * build_services(settings).grid.count,
            "sessions": sessions,
            "materialised": min(MATERIALISED, sessions * build_services(settings).grid.count),
            "load": os.getloadavg()[0],
        }
        say(f"  {record}")
        yield record


def _environment(data: Path) -> dict[str, str]:
    """Return settings of a deployment in earnest; no session is live, so the exporter is never run."""
    return {"DISCORD_OAUTH_TOKEN": "not-a-token", "INGEST_EXPORTER_PATH": str(data / "no-exporter")}


def _fill(settings: Settings, sessions: int) -> None:
    """Store sessions, one every other day, and report the first windows as materialised."""
    services = build_services(settings)
    names = [f"season-{number:04d}" for number in range(sessions)]
    rows = [
        Session(name, start := _FIRST + timedelta(days=2 * number), start + timedelta(hours=6), (_CHANNEL,))
        for number, name in enumerate(names)
    ]
    with services.database.write() as connection:
        save_sessions(connection, rows, now=datetime.now(UTC))
    home = prepare_dagster_home(settings.dagster_home, os.environ)
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        instance.add_dynamic_partitions(SESSION_PARTITIONS, names)
        pairs = [partition_key(name, key) for name in names for key in services.grid.keys]
        for pair in pairs[:MATERIALISED]:
            instance.report_runless_asset_event(dg.AssetMaterialization("messages", partition=pair))


def _watch(stack: Stack, seconds: float) -> dict[str, object]:
    first, size = stack.size_of(_PAGE)
    again = [stack.size_of(_PAGE)[0] for _ in range(_QUERIES)]
    # The ticks until here also made the code server load what it needs.
    began, before, seen = time.monotonic(), stack.usage(), time.time()
    time.sleep(seconds)
    after, minutes = stack.usage(), (time.monotonic() - began) / 60
    ticks = [tick for tick in stack.ticks() if tick["timestamp"] >= seen and tick["endTimestamp"]]
    taken = [tick["endTimestamp"] - tick["timestamp"] for tick in ticks]
    starts = sorted(tick["timestamp"] for tick in ticks)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    return {
        "page_first_seconds": first,
        "page_seconds": median(again),
        "page_bytes": size,
        "tick_seconds": median(taken) if taken else None,
        "tick_worst_seconds": max(taken, default=None),
        "tick_gap_seconds": median(gaps) if gaps else None,
        "cpu_seconds_per_minute": (after.cpu_seconds - before.cpu_seconds) / minutes,
        "memory_mb": after.memory_mb,
        "processes": after.processes,
        "watched_seconds": minutes * 60,
    }
