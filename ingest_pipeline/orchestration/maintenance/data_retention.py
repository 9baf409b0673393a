"""The jobs that delete data past its age, with their schedules; `monitoring/retention.py` selects it.

Dagster's own history is the business of `retention.py`.
"""

from datetime import datetime

import dagster as dg

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.retention import apply_retention, purge_expired_intents
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import Metadata, escaped
from ingest_pipeline.orchestration.singleton_jobs import build_single_schedule, single_tags
from ingest_pipeline.settings import Settings

PRUNE_DATA_JOB = "prune_data"
PURGE_INTENTS_JOB = "purge_install_intents"


class DryRunConfig(dg.Config):
    """Configuration of the deletion.

    Attributes:
        dry_run: Say what would be deleted, and delete nothing.
    """

    dry_run: bool = False


@dg.op(out=dg.Out(dg.Nothing))
def delete_old_data(
    context: dg.OpExecutionContext, config: DryRunConfig, services: dg.ResourceParam[Services]
) -> None:
    """Delete events, raw exports and raw readings past their age."""
    # Both engines' drivers come with it, which no live run needs.
    from ingest_pipeline.erasure.erase import finish_if_pending

    with ingest_errors_as_failures(context):
        done = apply_retention(services, dry_run=config.dry_run)
        erased = None if config.dry_run else finish_if_pending(services)
    context.log.info(
        "%s %d events, the raw exports of %d sessions, %d refused ones and %d files of raw readings "
        "(%d files, %d bytes); kept %d sessions past their age; put the raw readings of %d days together",
        "would delete" if done.dry_run else "deleted",
        done.events,
        len(done.sessions),
        done.quarantined,
        done.raw_files,
        done.files,
        done.size_bytes,
        len(done.kept),
        done.raw_days,
    )
    described: Metadata = {
        "dry_run": dg.MetadataValue.bool(done.dry_run),
        "events": dg.MetadataValue.int(done.events),
        "refused_exports": dg.MetadataValue.int(done.quarantined),
        "raw_files": dg.MetadataValue.int(done.raw_files),
        "raw_days": dg.MetadataValue.int(done.raw_days),
        "files": dg.MetadataValue.int(done.files),
        "bytes": dg.MetadataValue.int(done.size_bytes),
        "sessions": dg.MetadataValue.md("\n".join(f"- {escaped(name)}" for name in done.sessions) or "none"),
        "kept": dg.MetadataValue.md(
            "\n".join(f"- {escaped(f'{name}: {reason}')}" for name, reason in done.kept.items()) or "none"
        ),
    }
    if erased is not None:
        described["erased"] = dg.MetadataValue.json(dict(erased.places))
    context.add_output_metadata(described)


@dg.op(out=dg.Out(dg.Nothing))
def delete_expired_intents(
    context: dg.OpExecutionContext, config: DryRunConfig, services: dg.ResourceParam[Services]
) -> None:
    """Delete install intents that expired longer than the grace period ago."""
    with ingest_errors_as_failures(context):
        found = purge_expired_intents(services, dry_run=config.dry_run)
    context.log.info("%s %d install intents", "would delete" if config.dry_run else "deleted", found)
    context.add_output_metadata({"dry_run": dg.MetadataValue.bool(config.dry_run), "intents": found})


@dg.job(
    name=PRUNE_DATA_JOB,
    tags=single_tags(PRUNE_DATA_JOB),
    description=(
        "Delete events, raw exports and raw readings that are past their age, and put the raw readings of "
        "each day that is past into one file. The table of messages is never touched. "
        "With `dry_run: true` it only counts."
    ),
)
def prune_data_job() -> None:
    """Delete what is past its age."""
    delete_old_data()


@dg.job(
    name=PURGE_INTENTS_JOB,
    tags=single_tags(PURGE_INTENTS_JOB),
    description=(
        "Delete the install intents that expired and whose grace period is over. With `dry_run: true` it "
        "only counts."
    ),
)
def purge_intents_job() -> None:
    """Delete what has expired."""
    delete_expired_intents()


def build_data_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Return the schedules of both jobs."""
    events = f"events older than {settings.retain_events_days} days" if settings.retain_events_days else ""
    raw = f"raw exports older than {settings.retain_landings_days} days"
    readings = f"raw readings older than {settings.retain_raw_days} days"
    wanted = [
        each
        for each in (
            events,
            raw if settings.retain_landings_days else "",
            readings if settings.retain_raw_days else "",
        )
        if each
    ]
    return [
        build_single_schedule(
            prune_data_job,
            cron=settings.retention_cron,
            description=f"Deletes {', '.join(wanted) or 'nothing'} (INGEST_RETENTION_CRON).",
            why_not=_nothing_old,
        ),
        build_single_schedule(
            purge_intents_job,
            cron=settings.purge_intents_cron,
            description=(
                f"Deletes install intents {settings.install_intent_grace_seconds} seconds after they expired "
                "(INGEST_PURGE_INTENTS_CRON)."
            ),
            why_not=_nothing_expired,
        ),
    ]


def _nothing_old(services: Services, now: datetime) -> str | None:
    """Return why nothing is deleted; looking at a whole store is left to a run."""
    if services.settings.retain_landings_days:
        return None
    found = apply_retention(services, dry_run=True, now=now)
    return "nothing is past its age" if found.is_empty else None


def _nothing_expired(services: Services, now: datetime) -> str | None:
    found = purge_expired_intents(services, dry_run=True, now=now)
    return None if found else "no install intent is past its grace period"
