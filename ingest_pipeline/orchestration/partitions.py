"""Partitions: session and window as a key, and which of them a run covers.

A window key is an offset from its session's start, so every pair means something and a session is
one row to select. What the keys stand for in time is the business of `domain/window.py`.
See https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets

Dagster writes into a run's tags either one partition or the two ends of a range, and expands a range in
each dimension by itself: `s1|T+005m` to `s2|T+010m` is T+005m and T+010m of both sessions. Two things go
wrong there without an error (dagster 1.13): a range that runs backwards in one dimension is no partition at
all, and a backfill of a job tags its runs with their first partition beside the range, so that
`context.partition_keys` is that one (https://github.com/dagster-io/dagster/issues/28861). So what a run's
tags ask for is worked out here, and a run that Dagster would give anything else fails.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, cast

import dagster as dg

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import WindowGrid, window_key
from ingest_pipeline.errors import PartitionsInvalid
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.metadata import Metadata
from ingest_pipeline.orchestration.tags import FROM_TAG
from ingest_pipeline.storage.messages.sessions import find_session

SESSION = "session"
# Dagster keeps dynamic partitions by this name for the whole instance, which other projects may share.
SESSION_PARTITIONS = "ingest_sessions"
WINDOW = "window"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
_DIMENSIONS = tuple(f"{PARTITION}/{dimension}" for dimension in (SESSION, WINDOW))
_SHOWN = 3

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


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


def requested_windows(context: Context, services: Services) -> list[tuple[Session, list[str]]]:
    """Return the sessions of a run of session windows, each with the window keys that were asked for.

    Raises:
        PartitionsInvalid: The run is of no window, or not of those that its tags ask for.
        SessionNotFound: A session has been removed since.
    """
    keys = keys_by_session(_requested(context, services.grid.keys))
    if len(keys) > 1:
        context.log.info("%d sessions, of each the windows %s", len(keys), _some(next(iter(keys.values()))))
    sessions = _sessions_of_run(cast(Any, services.database), context.run.run_id, tuple(keys))
    return [(session, keys[session.session_id]) for session in sessions]


@lru_cache(maxsize=4)
def _sessions_of_run(database: Any, run_id: str, session_ids: tuple[str, ...]) -> list[Session]:
    """Return the sessions of a run, which all its steps in one process see as the first of them did."""
    del run_id
    with database.read() as connection:
        return [find_session(connection, session_id) for session_id in session_ids]


def requested_sessions(context: Context) -> list[str]:
    """Return the session ids that a run of an asset with a partition for each session was asked for.

    Raises:
        PartitionsInvalid: The run is of no session, or not of those that its tags ask for.
    """
    return _requested(context)


def requested_input_keys(context: dg.InputContext, window_keys: Sequence[str]) -> list[str]:
    """Return the partitions of an input of session windows, for the step that loads it in a run.

    Raises:
        PartitionsInvalid: The run is of no window, or not of those that its tags ask for.
    """
    given = [str(key) for key in context.asset_partition_keys]
    tags = _tags_of_run(context)
    one = _tagged_partition(tags)
    of_job_backfill = RANGE_START in tags and one is not None and tags[RANGE_START] != tags.get(RANGE_END)
    if of_job_backfill and given == [one]:
        return _asked(tags, context.instance, (window_keys,))
    if of_job_backfill or not given:
        # The input of one of the run's partitions does not show what the others need.
        raise PartitionsInvalid(
            f"the run loads {_some(given)} for {tags.get(RANGE_START)} to {tags.get(RANGE_END)}: backfill "
            f"the asset rather than its job. {_how_to_ask(1)}"
        )
    return given


def has_partitions(context: Context) -> bool:
    """Return whether a run is of some partitions rather than of everything there is."""
    return bool({RANGE_START, RANGE_END, PARTITION, *_DIMENSIONS} & context.run.tags.keys())


def record_windows(
    context: dg.AssetExecutionContext,
    asset: str,
    session: Session,
    keys: Sequence[str],
    described: Mapping[str, Metadata],
) -> None:
    """Have Dagster record windows of a session as materialised.

    Of a run that it takes for one of a single partition, Dagster records that one by itself; the others are
    recorded here.

    Args:
        context: The step's.
        asset: What was materialised.
        keys: Its windows.
        described: Their metadata, by key.
    """
    tags = context.run.tags
    alone = _tagged_partition(tags) if RANGE_START in tags else None
    for key in keys:
        partition = partition_key(session.session_id, key)
        metadata = {**described[key], "correlation_id": context.run.run_id} if key in described else {}
        if alone not in {None, str(partition)}:
            context.log_event(dg.AssetMaterialization(asset, metadata=metadata, partition=partition))
        elif metadata:
            context.add_asset_metadata(metadata, asset_key=asset, partition_key=str(partition))


def _requested(context: Context, *other_dimensions: Sequence[str]) -> list[str]:
    """Return the partitions that a run's tags ask for, compared with those that Dagster gives it."""
    tags = context.run.tags
    asked = _asked(tags, context.instance, other_dimensions)
    given = _given(context)
    of_job_backfill = RANGE_START in tags and given == {_tagged_partition(tags)} and given <= set(asked)
    if given is not None and given != set(asked) and not of_job_backfill:
        raise PartitionsInvalid(
            f"the run's tags ask for {_some(asked)}, and Dagster gives it {_some(sorted(given))}. "
            + _how_to_ask(len(other_dimensions))
        )
    return asked


def _given(context: Context) -> set[str] | None:
    """Return the partitions that Dagster gives a run; None of checks alone, which have no partitions."""
    try:
        return {str(key) for key in context.partition_keys}
    except dg.DagsterInvariantViolationError:
        if isinstance(context, dg.AssetCheckExecutionContext):
            return None
        raise


def _asked(
    tags: Mapping[str, str], instance: dg.DagsterInstance, other_dimensions: Sequence[Sequence[str]]
) -> list[str]:
    """Return the partitions that tags ask for: of a range, or the one that they name."""
    remedy = _how_to_ask(len(other_dimensions))
    one = _tagged_partition(tags)
    start, end = tags.get(RANGE_START, one), tags.get(RANGE_END, one)
    if start is None or end is None or (RANGE_START in tags) != (RANGE_END in tags):
        stated = " and ".join(f"{each}={tags[each]}" for each in (RANGE_START, RANGE_END) if each in tags)
        raise PartitionsInvalid(f"the run is of no partition ({stated or 'it has no such tag'}). {remedy}")
    dimensions = [instance.get_dynamic_partitions(SESSION_PARTITIONS), *other_dimensions]
    found = [
        "|".join(keys)
        for keys in product(
            *(
                _between(each, first, last, f"{start} to {end}", remedy)
                for each, first, last in zip(
                    dimensions,
                    _parts(start, len(dimensions), remedy),
                    _parts(end, len(dimensions), remedy),
                    strict=True,
                )
            )
        )
    ]
    if tags.get(PARTITION, one) != one:
        raise PartitionsInvalid(f"the run's tags name {tags[PARTITION]} and {one}. {remedy}")
    return found


def _between(keys: Sequence[str], first: str, last: str, stated: str, remedy: str) -> Sequence[str]:
    """Return the keys of a dimension from one to another, both included."""
    for key in (first, last):
        if key not in keys:
            known = f"only {_some(keys)}" if keys else "none yet"
            raise PartitionsInvalid(f"{key!r} of {stated} is not a partition: there are {known}. {remedy}")
    found = keys[keys.index(first) : keys.index(last) + 1]
    if not found:
        raise PartitionsInvalid(
            f"the range {stated} is empty: {first} comes after {last}, and each part of a range is read "
            f"separately. {remedy}"
        )
    return found


def _parts(partition: str, expected: int, remedy: str) -> list[str]:
    parts = partition.split("|")
    if len(parts) != expected:
        raise PartitionsInvalid(f"{partition!r} is not a partition. {remedy}")
    return parts


def _tags_of_run(context: dg.InputContext) -> Mapping[str, str]:
    try:
        return context.step_context.dagster_run.tags
    except dg.DagsterInvariantViolationError:  # loaded outside of a run
        return {}


def _tagged_partition(tags: Mapping[str, str]) -> str | None:
    """Return the one partition that tags name, by its dimensions or as a whole, if they do."""
    # The dimensions take precedence, as they do in Dagster.
    dimensions = [tags[each] for each in _DIMENSIONS if each in tags]
    return "|".join(dimensions) if dimensions else tags.get(PARTITION)


def _how_to_ask(other_dimensions: int) -> str:
    form = "<session>|<window>" if other_dimensions else "<session>"
    example = ("monza|T+000m", "monza|T+055m") if other_dimensions else ("monza", "spa")
    return (
        f"Launch it for one partition {form}, or for a range with the tags {RANGE_START}, such as "
        f"{example[0]}, and {RANGE_END}, such as {example[1]}. Sessions are in the order in which they were "
        "added" + (", windows in that of time." if other_dimensions else ".")
    )


def _some(keys: Sequence[str]) -> str:
    if len(keys) <= _SHOWN:
        return ", ".join(keys) or "nothing"
    return f"{keys[0]} to {keys[-1]} ({len(keys)})"
