"""The runless events of a session's windows: what the ledger proves, what is empty, and what is missing.

A window may be proven by the bot, a seal, a command or a repair, of which Dagster has no run. A gap cannot be
reported as failed without a run (dagster 1.13): its partitions stay as they are, and an observation of
`messages` says why.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import dagster as dg

from ingest_pipeline.completeness.expectations import Scope
from ingest_pipeline.completeness.gap_listing import Gap, list_gaps
from ingest_pipeline.completeness.sealing import SealReport
from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.ingestion.refresh import document_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.listings import existing_files
from ingest_pipeline.orchestration.completeness.seals import manifest_metadata
from ingest_pipeline.orchestration.content.metadata import describe_window
from ingest_pipeline.orchestration.live.session_windows import GAP, SessionWindows
from ingest_pipeline.orchestration.metadata import ROWS, Metadata, listed, normalized_metadata
from ingest_pipeline.orchestration.partitions import partition_key
from ingest_pipeline.storage.messages.deletions import table_summary
from ingest_pipeline.storage.messages.manifests import Manifest

MESSAGES = "messages"
_CLIPS, _CLIP_FILES = "clips", "clip_files"
_SHOWN = 20
_NO_EXPORT = "no export of this window has landed: another source read it, straight into the table"
_NOT_SUCCEEDED = [status for status in dg.DagsterRunStatus if status is not dg.DagsterRunStatus.SUCCESS]

Events = list[dg.AssetMaterialization] | list[dg.AssetObservation]
Described = dict[str, dict[str, Metadata]]


class WindowEvents(NamedTuple):
    """What there is to report of a session's windows.

    Attributes:
        events: The events of each asset together.
        left: The windows that a failed run read, which are not reported.
    """

    events: list[Events]
    left: set[str]


def events_of_windows(
    services: Services, instance: dg.DagsterInstance, found: SessionWindows, earlier: Mapping[str, str]
) -> WindowEvents | None:
    """Return what Dagster does not show yet of a session.

    A window that a failed run read is left as it is: Dagster shows which of its assets failed.

    Args:
        found: The session.
        earlier: Its states as they were reported; none compares all with Dagster's records.

    Returns:
        The events; None while a run reads the session, which reports what it reads.
    """
    changed = [key for key, state in found.states.items() if earlier.get(key) != state]
    gaps = [key for key in changed if found.states[key].startswith(GAP)]
    complete = [key for key in changed if key not in gaps]
    runs = _runs_without_success(instance, found, complete)
    if any(not run.is_finished for run in runs):
        return None
    failed = {run.run_id for run in runs}
    left = {key for key in complete if any(each.correlation_id in failed for each in found.proofs_of(key))}
    wanted = [key for key in complete if key not in left]
    events: list[Events] = [
        _materialisations(instance, found, asset, by_key, earlier)
        for asset, by_key in _described(services, found, wanted).items()
    ]
    return WindowEvents([*events, _observations(services, found, gaps)], left)


def manifest_events(
    instance: dg.DagsterInstance, session_id: str, manifests: Sequence[Manifest]
) -> list[dg.AssetMaterialization]:
    """Return the event of a session's newest manifests, unless Dagster has one since they were written."""
    asset = dg.AssetKey("session_manifest")
    newest = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset, asset_partitions=[session_id]), limit=1
    ).records
    if not manifests or (newest and newest[0].timestamp >= manifests[0].sealed_at.timestamp()):
        return []
    metadata = manifest_metadata(SealReport(session_id, tuple(manifests)))
    cause = "sealed without a run"
    return [dg.AssetMaterialization(asset, partition=session_id, description=cause, metadata=metadata)]


def _runs_without_success(
    instance: dg.DagsterInstance, found: SessionWindows, keys: Iterable[str]
) -> Sequence[dg.DagsterRun]:
    """Return the runs that proved something of some windows and have not succeeded, so far or at all."""
    ids = {proof.correlation_id for key in keys for proof in found.proofs_of(key)}
    if not ids:
        return []
    return instance.get_runs(dg.RunsFilter(run_ids=sorted(ids), statuses=_NOT_SUCCEEDED))


def _described(services: Services, found: SessionWindows, keys: Sequence[str]) -> Described:
    """Describe windows for each asset; those of `clip_files` only when no clip is left to fetch."""
    session = found.session
    begun = [key for key in keys if key in found.windows]
    parts = [part for part, _ in document_windows(services, session, begun)]
    documents = services.normalized.stored(session.session_id, parts, session.channel_ids)
    normalized = normalized_metadata(services, session, keys, documents)
    described: Described = defaultdict(dict)
    kinds = load_kinds(services.settings)
    with services.database.read() as connection:
        nothing = describe_window(connection, kinds, [], session.window)
        rows_in_table = table_summary(connection)["rows"]
        for key in keys:
            content = nothing
            if found.rows[key]:
                content = describe_window(connection, kinds, found.channel_ids, found.windows[key])
            described["raw_export"][key] = _landed(services, found, key)
            without = {"note": _NO_EXPORT} if normalized[key].get("files") == "none" else {}
            described["normalized_messages"][key] = {**normalized[key], **without}
            described[MESSAGES][key] = {ROWS: found.rows[key], "dagster/row_count": rows_in_table}
            for asset, metadata in content.items():
                described[asset][key] = metadata
            if content[_CLIPS][ROWS] == content[_CLIPS].get("fetched", 0):
                described[_CLIP_FILES][key] = {ROWS: content[_CLIPS][ROWS]}
    return described


def _landed(services: Services, found: SessionWindows, key: str) -> Metadata:
    session = found.session
    if key not in found.windows:
        return {ROWS: 0}
    names = [
        f"{part}/{channel_id}.json"
        for part, _ in document_windows(services, session, [key])
        for channel_id in session.channel_ids
    ]
    landed = existing_files(services.landing.root / session.session_id, names)
    return {"documents": len(landed)} if landed else {ROWS: 0, "note": _NO_EXPORT}


def _materialisations(
    instance: dg.DagsterInstance,
    found: SessionWindows,
    asset: str,
    by_key: Mapping[str, Metadata],
    earlier: Mapping[str, str],
) -> list[dg.AssetMaterialization]:
    """Return the events of one asset's windows: of all that changed, and of others that Dagster lacks."""
    session_id = found.session.session_id
    new = {str(partition_key(session_id, key)) for key in by_key if key not in earlier}
    shown: Mapping[str, int] = {}
    if new:
        shown = instance.event_log_storage.get_latest_storage_id_by_partition(
            dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, partitions=new
        )
    return [
        dg.AssetMaterialization(
            asset,
            partition=partition,
            description=_cause(found, key),
            metadata={**metadata, **_origin(found, key)},
        )
        for key, metadata in by_key.items()
        if (partition := str(partition_key(session_id, key))) not in shown
    ]


def _cause(found: SessionWindows, key: str) -> str:
    if key not in found.windows:
        return f"nothing to do: the session ends at {found.session.end_time:%Y-%m-%d %H:%M:%S} UTC, before"
    return f"proven complete by {_sources(found, key)}"


def _origin(found: SessionWindows, key: str) -> Metadata:
    if key not in found.windows:
        return {"source": "sessions"}
    newest = max(found.proofs_of(key), key=lambda proof: proof.observed_at)
    return {
        "source": _sources(found, key),
        "read_at": dg.MetadataValue.timestamp(newest.observed_at),
        "correlation_id": newest.correlation_id,
    }


def _sources(found: SessionWindows, key: str) -> str:
    return ", ".join(sorted({proof.source for proof in found.proofs_of(key)}))


def _observations(
    services: Services, found: SessionWindows, keys: Sequence[str]
) -> list[dg.AssetObservation]:
    """Return an observation of `messages` for each window with a gap, which says why."""
    if not keys:
        return []
    gaps = [
        gap
        for channel_id in found.session.channel_ids
        for gap in list_gaps(services, Scope(channel_id=channel_id))
    ]
    return [_observation(found, key, gaps) for key in keys]


def _observation(found: SessionWindows, key: str, gaps: Sequence[Gap]) -> dg.AssetObservation:
    window, seconds = found.windows[key], found.seconds_missing(key)
    ours = [gap for gap in gaps if gap.low < window.high and gap.high > window.low]
    reasons = ", ".join(sorted({gap.reason.value for gap in ours})) or "not read again yet"
    lines = [
        f"channel {gap.channel_id}, {gap.reason.value}: {max(gap.start, window.start):%H:%M:%S} to "
        f"{min(gap.end, window.end):%H:%M:%S} UTC"
        for gap in ours
    ]
    return dg.AssetObservation(
        MESSAGES,
        partition=str(partition_key(found.session.session_id, key)),
        description=f"not proven complete ({reasons}): a gap of {seconds:.0f} s",
        metadata={"reason": reasons, "seconds_missing": seconds, "gaps": listed(lines, _SHOWN)},
    )
