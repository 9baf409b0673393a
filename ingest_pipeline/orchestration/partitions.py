"""Partition keys for windows of sessions: `<session id>|<window key>`.

A window key is an offset from its session's start, so every pair means something and a session is
one row to select. What the keys stand for in time is the business of `domain/window.py`.
See https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.window import WindowGrid, window_key
from ingest_pipeline.orchestration.tags import FROM_TAG

SESSION = "session"
# Dagster keeps dynamic partitions by this name for the whole instance, whoever else is in it.
SESSION_PARTITIONS = "ingest_sessions"
WINDOW = "window"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def session_windows_partitions(grid: WindowGrid) -> dg.MultiPartitionsDefinition:
    """Return the partitions of every asset that is read session by session.

    The sessions are dynamic: `live_session_sensor` keeps them in step with the stored ones.
    """
    return dg.MultiPartitionsDefinition(
        {
            SESSION: dg.DynamicPartitionsDefinition(name=SESSION_PARTITIONS),
            WINDOW: dg.StaticPartitionsDefinition(grid.keys),
        }
    )


def partition_key(session_id: str, key: str) -> dg.MultiPartitionKey:
    """Return the partition of one window of a session."""
    return dg.MultiPartitionKey({SESSION: session_id, WINDOW: key})


def keys_by_session(partition_keys: Iterable[str]) -> dict[str, list[str]]:
    """Group partition keys, as a run has them, into the window keys of each session."""
    grouped: dict[str, list[str]] = {}
    for partition in partition_keys:
        session_id, key = partition.split("|")
        grouped.setdefault(session_id, []).append(key)
    return grouped


def range_tags(session_id: str, keys: Sequence[str], grid: WindowGrid) -> dict[str, str]:
    """Return the run tags that make one run of a session's windows, from the first key to the last.

    Dagster expands the two ends to every window between them.
    """
    ordered = sorted(keys, key=grid.index)
    return {
        RANGE_START: str(partition_key(session_id, ordered[0])),
        RANGE_END: str(partition_key(session_id, ordered[-1])),
    }


def from_tag(keys: Sequence[str]) -> dict[str, str]:
    """Return the run tag that says with which part of a window a run begins to read; none with a whole one.

    Dagster knows of no parts.

    Args:
        keys: The keys of windows and parts to read, in time order.
    """
    return {FROM_TAG: keys[0]} if keys[0] != window_key(keys[0]) else {}


def parts_to_read(
    tags: Mapping[str, str], session: Session, keys: Sequence[str], grid: WindowGrid
) -> Sequence[str]:
    """Return what a run reads of its windows: all of them, or their parts from where its tags say.

    Args:
        tags: The run's.
        keys: The keys of the run's windows.
        grid: How the session is cut.

    Raises:
        WindowInvalid: Windows have been cut otherwise since the run was asked for.
    """
    if FROM_TAG not in tags:
        return keys
    begin = grid.offset(tags[FROM_TAG])
    parts = [part for key in keys for part in grid.parts(key, session.window)]
    return [part for part in parts if grid.offset(part) >= begin]
