"""The nightly job that prunes Dagster's history; `pruning.py` does the work."""

from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.orchestration.runtime.code_location import code_location_of
from ingest_pipeline.orchestration.singleton_jobs import single_tags
from ingest_pipeline.settings import Settings

PRUNE_JOB = "prune_dagster_history"
PRUNE_OP = "prune_runs"


class PruneConfig(dg.Config):
    """How to prune.

    Attributes:
        dry_run: Say what would be deleted, and delete nothing.
    """

    dry_run: bool = False


def build_prune_job(settings: Settings) -> dg.JobDefinition:
    """Return the job that prunes the history of the instance it runs on."""

    @dg.op(name=PRUNE_OP, out=dg.Out(dg.Nothing))
    def prune(context: dg.OpExecutionContext, config: PruneConfig) -> None:
        # Only here: it loads the database library of Dagster's own storage.
        from ingest_pipeline.orchestration.maintenance.pruning import prune_runs

        pruned = prune_runs(
            context.instance,
            settings,
            now=datetime.now(UTC),
            code_location=code_location_of(context.run),
            dry_run=config.dry_run,
        )
        context.log.info(
            "%s %d runs; kept %d old ones that hold the latest materialisation of a partition or the latest "
            "result of a check",
            "would delete" if config.dry_run else "deleted",
            len(pruned.deleted),
            pruned.kept,
        )
        context.add_output_metadata({"runs_deleted": len(pruned.deleted), "runs_kept": pruned.kept})

    @dg.job(
        name=PRUNE_JOB,
        executor_def=dg.in_process_executor,
        tags=single_tags(PRUNE_JOB),
        description=(
            f"Delete runs older than {settings.retain_runs_days} days, failed ones older than "
            f"{settings.retain_failed_runs_days}, except those with a partition's latest materialisation. "
            "Runs of other code locations stay as they are."
        ),
    )
    def prune_dagster_history() -> None:
        prune()

    return prune_dagster_history


def build_prune_schedule(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule that runs a pruning job every night.

    It runs by itself where the instance is our own; in another, somebody has to turn it on.
    """
    runs = settings.prune_dagster
    return dg.ScheduleDefinition(
        name=f"{PRUNE_JOB}_daily",
        job=job,
        cron_schedule=settings.prune_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Deletes Dagster's runs older than {settings.retain_runs_days} days, failed ones older than "
            f"{settings.retain_failed_runs_days} (INGEST_PRUNE_CRON). It is on by itself with "
            "INGEST_PRUNE_DAGSTER only."
        ),
    )
