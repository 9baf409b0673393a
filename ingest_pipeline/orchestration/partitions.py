"""How Dagster's partitions name windows of sessions: `<session id>|<window key>`.

A window key is an offset from its session's start, so every pair means something and a session is
one row to select. What the keys stand for in time is the business of `domain/window.py`.
See https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from ingest_pipeline.domain.window import WindowGrid

SESSION = "session"
WINDOW = "window"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def session_windows_partitions(grid: WindowGrid) -> dg.MultiPartitionsDefinition:
    """Return the partitions of every asset that is read session by session.

    The sessions are dynamic: `live_session_sensor` keeps them in step with the stored ones.
    """
    return dg.MultiPartitionsDefinition(
        {
            SESSION: dg.DynamicPartitionsDefinition(name=SESSION),
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
