"""Jobs, and those of which one run at a time is enough.

`dagster.yaml` limits runs with the same value of the tag to one, so that a second waits in the queue,
however it was started; sensors and schedules do not ask for a second in the first place.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.tags import AGREES, CONTENT_FOLLOWS, PRIORITY_TAG, SINGLE_TAG
from ingest_pipeline.settings import Settings

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
WINDOWS_JOB = "ingest_job"


def read_assets(settings: Settings) -> list[dg.AssetKey]:
    """Return the assets of the job that reads windows, without their checks."""
    kinds = (kind.name for kind in load_kinds(settings))
    return [dg.AssetKey(name) for name in ("raw_export", "normalized_messages", "messages", *kinds)]


def build_ingest_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """Return the job that reads windows of a session and what their messages say.

    Its executor is the deployment's; see executors.py.
    """
    # A live tick has no time for them.
    checks = [dg.AssetCheckKey(dg.AssetKey(kind.name), CONTENT_FOLLOWS) for kind in load_kinds(settings)]
    return dg.define_asset_job(
        WINDOWS_JOB,
        selection=dg.AssetSelection.assets(*read_assets(settings))
        - dg.AssetSelection.checks(AGREES, *checks),
        description=(
            "Read windows of a session from Discord, normalize them, merge them into the table, and "
            "extract their content."
        ),
    )


def single_tags(job_name: str) -> dict[str, str]:
    """Return the tags of a job that runs alone, and after live runs."""
    return {SINGLE_TAG: job_name, PRIORITY_TAG: "-5"}


def run_under_way(instance: dg.DagsterInstance, job_name: str) -> str | None:
    """Return why another run of a job is not asked for: the one that waits or works; None without one."""
    # The tag, since another team's code location may have a job of this name.
    ours = dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED, tags={SINGLE_TAG: job_name})
    runs = instance.get_runs(ours, limit=1)
    return f"run {runs[0].run_id[:8]} of {job_name} is not over yet" if runs else None


def build_single_schedule(
    job: dg.JobDefinition | UnresolvedAssetJobDefinition,
    *,
    cron: str,
    description: str,
    why_not: Callable[[Services, datetime], str | None],
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.RUNNING,
) -> dg.ScheduleDefinition:
    """Return the schedule of a job.

    Args:
        cron: When, in UTC.
        description: What the UI says of it.
        why_not: Returns why nothing is to be done at a time, or None when something is.
        default_status: Whether it runs until an operator turns it on or off.
    """

    def evaluate(
        context: dg.ScheduleEvaluationContext, tick_services: dg.ResourceParam[Services]
    ) -> dg.RunRequest | dg.SkipReason:
        reason = run_under_way(context.instance, job.name)
        try:
            reason = reason or why_not(tick_services, datetime.now(UTC))
        except TransientError as error:
            reason = f"skipped this time: {error}"
        return dg.SkipReason(reason) if reason else dg.RunRequest()

    return dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=default_status,
        description=description,
    )(evaluate)
