"""Session manifests as an asset, one partition for each session, and the sensor that seals sessions.

How a session is read again and what a manifest holds is in `completeness/sealing.py`.
"""

import warnings
from collections import Counter
from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.completeness.sealing import SEAL_RETRIES, SealReport, next_to_seal, seal_now
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import Metadata
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, requested_sessions
from ingest_pipeline.orchestration.singleton_jobs import run_under_way, single_tags
from ingest_pipeline.orchestration.tags import SESSION_TAG
from ingest_pipeline.storage.messages.manifests import Manifest

SEAL_JOB = "session_seal_job"
_EVERY_SECONDS = 120
_LISTED = 50
_SOURCES = {
    "history": "read again by the bot, with deletions",
    "export": "read again by the exporter, which cannot see deletions",
}

seal_job = dg.define_asset_job(
    SEAL_JOB,
    selection=dg.AssetSelection.assets("session_manifest"),
    description="Read a session that is over once more and write its manifest.",
    tags=single_tags(SEAL_JOB),
)


def session_manifest(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """The content of a session that is over: count, first, last and digest for each channel.

    The session is read again first, by the bot where it can, or else by the exporter. A session that has
    changed since it was sealed gets a new version, which records what changed.
    """
    unsealed: list[str] = []
    with ingest_errors_as_failures(context):
        for session_id in requested_sessions(context):
            report = seal_now(services, session_id)
            unsealed += [f"{session_id} is not sealed: {problem}" for problem in report.problems]
            if report.is_sealed:
                context.add_asset_metadata(
                    {**manifest_metadata(report), "correlation_id": context.run.run_id},
                    partition_key=session_id,
                )
    if unsealed:
        raise dg.Failure("; ".join(unsealed), {"problems": unsealed}, allow_retries=False)
    return dg.MaterializeResult()


def manifest_metadata(report: SealReport) -> Metadata:
    """Describe the manifests of a session, which are of one version."""
    manifests = report.manifests
    described: Metadata = {
        "version": manifests[0].version,
        "new_version": report.is_new,
        "reason": manifests[0].reason or "not noted",
        "messages": sum(each.message_count for each in manifests),
        "skipped": dg.MetadataValue.json(dict(sum((Counter(each.skipped) for each in manifests), Counter()))),
        "sealed_at": dg.MetadataValue.timestamp(manifests[0].sealed_at),
        "source": _SOURCES[manifests[0].source],
        "channels": dg.MetadataValue.table([_record(each) for each in manifests]),
    }
    changes = [line for each in manifests for line in _changes(each)]
    described["what_changed"] = dg.MetadataValue.md("\n".join(changes) or _unchanged(manifests[0].version))
    return described


def _record(manifest: Manifest) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "channel": str(manifest.channel_id),
            "messages": manifest.message_count,
            "added": len(manifest.changes.added),
            "removed": len(manifest.changes.removed),
            "changed": len(manifest.changes.changed),
            "erased": manifest.changes.erased,
            "skipped": sum((manifest.skipped or {}).values()),
            "first": _message(manifest.first_id),
            "last": _message(manifest.last_id),
            "digest": manifest.digest,
            "skipped_digest": manifest.skipped_digest or "not noted",
        }
    )


def _message(message_id: int | None) -> str:
    return "none" if message_id is None else f"{message_id} ({created_at(message_id):%Y-%m-%d %H:%M:%S} UTC)"


def _changes(manifest: Manifest) -> list[str]:
    changes = manifest.changes
    by_kind = {
        "added": changes.added,
        "removed": changes.removed,
        "changed": changes.changed,
        "skipped, or not any more": changes.skipped,
    }
    lines = []
    for kind, ids in by_kind.items():
        rest = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
        if ids:
            shown = ", ".join(map(str, ids[:_LISTED]))
            lines.append(f"- channel {manifest.channel_id}: {len(ids)} {kind}: {shown}{rest}")
    if changes.erased:
        lines.append(f"- channel {manifest.channel_id}: {changes.erased} erased")
    return lines


def _unchanged(version: int) -> str:
    return "the first version" if version == 1 else "nothing"


def session_seal_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Ask for the seal of the session that is due, one at a time."""
    running = run_under_way(context.instance, SEAL_JOB)
    if running:
        return dg.SensorResult(skip_reason=running, cursor=context.cursor)
    try:
        chosen = next_to_seal(tick_services, SEAL_RETRIES.read(context.cursor), datetime.now(UTC))
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"skipped this time: {error}", cursor=context.cursor)
    if chosen.session is None:
        return dg.SensorResult(skip_reason=chosen.reason, cursor=chosen.retries.to_text())
    session_id = chosen.session.session_id
    if session_id not in context.instance.get_dynamic_partitions(SESSION_PARTITIONS):
        return dg.SensorResult(skip_reason=f"{session_id} is not a partition yet", cursor=context.cursor)
    request = dg.RunRequest(partition_key=session_id, tags={SESSION_TAG: session_id})
    return dg.SensorResult(run_requests=[request], cursor=chosen.retries.to_text())


def build_seal_assets() -> list[dg.AssetsDefinition]:
    """Return the asset."""
    with warnings.catch_warnings():
        # The parameter is marked beta; without it a backfill of a season would be a run for each session.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            dg.asset(
                deps=["messages"],
                group_name="proof",
                owners=["team:ingest"],
                kinds={"sql"},
                partitions_def=dg.DynamicPartitionsDefinition(name=SESSION_PARTITIONS),
                backfill_policy=dg.BackfillPolicy.single_run(),
                retry_policy=TRANSIENT_RETRIES,
                code_version="1",
            )(session_manifest)
        ]


def build_seal_sensor() -> dg.SensorDefinition:
    """Return the sensor, which runs unless an operator turns it off."""
    return dg.sensor(
        name="session_seal_sensor",
        job=seal_job,
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Seals a session when it is over and settled: reads it once more and writes its manifest. "
            "Seals it again, as the next version, if it changes later. One session at a time; failed "
            "ones with growing pauses."
        ),
    )(session_seal_sensor)
