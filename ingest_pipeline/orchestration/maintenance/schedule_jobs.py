"""The job that reads the subscribed schedules, with its own schedule."""

from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.errors import ConfigurationError, IngestError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import escaped
from ingest_pipeline.orchestration.singleton_jobs import build_single_schedule, single_tags
from ingest_pipeline.settings import Settings
from ingest_pipeline.userconfig.schedules.subscriptions import load_subscriptions

SYNC_SCHEDULES_JOB = "sync_schedules"


class SyncConfig(dg.Config):
    """Configuration of the reading.

    Attributes:
        dry_run: Say what would change, and change nothing.
    """

    dry_run: bool = False


@dg.op(out=dg.Out(dg.Nothing))
def read_schedules(
    context: dg.OpExecutionContext, config: SyncConfig, services: dg.ResourceParam[Services]
) -> None:
    """Take the subscribed schedules over; one that cannot be read fails the run after the others."""
    from ingest_pipeline.domain.sessions.schedule_plan import describe_changes
    from ingest_pipeline.userconfig.schedules.sync import sync_schedule

    lines: list[str] = []
    failed: IngestError | None = None
    with ingest_errors_as_failures(context):
        for subscription in load_subscriptions(services.settings):
            name, now = subscription.name, datetime.now(UTC)
            try:
                synced = sync_schedule(
                    services.database, services.settings, subscription, now, dry_run=config.dry_run
                )
            except IngestError as error:
                failed = failed or error
                context.log.error("schedule %s: %s", name, error)  # noqa: TRY400 - its own words
                continue
            lines += [f"{name}: {line}" for line in describe_changes(synced.plan)]
            lines += [
                f"{name}: left out {each}" for each in (synced.schedule.left_out if synced.schedule else ())
            ]
        if not config.dry_run:
            read_relinked(services)
        for line in lines:
            context.log.info(line)
        shown = "\n".join(f"- {escaped(line)}" for line in lines) or "nothing changes"
        context.add_output_metadata({"dry_run": config.dry_run, "changes": dg.MetadataValue.md(shown)})
        if failed is not None:
            raise failed


@dg.job(
    name=SYNC_SCHEDULES_JOB,
    tags=single_tags(SYNC_SCHEDULES_JOB),
    description=(
        "Read the subscribed schedules of data/settings.yaml, and create, update and cancel their sessions. "
        "With `dry_run: true` it only says what would change."
    ),
)
def sync_schedules_job() -> None:
    """Read the subscribed schedules."""
    read_schedules()


def build_sync_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the job's schedule."""
    return build_single_schedule(
        sync_schedules_job,
        cron=settings.schedules_cron,
        description="Reads the subscribed schedules (INGEST_SCHEDULES_CRON).",
        why_not=_nothing_subscribed,
    )


def _nothing_subscribed(services: Services, now: datetime) -> str | None:
    del now
    try:
        return None if load_subscriptions(services.settings) else "no schedule is subscribed"
    except ConfigurationError:
        # The run fails with what is wrong, which is alerted.
        return None
