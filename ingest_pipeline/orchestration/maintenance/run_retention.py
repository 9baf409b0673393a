"""Retention of Dagster's own history: which runs and ticks go, and how.

Only the runs of one code location are deleted: an instance may hold those of other teams.

Deleting a run deletes the materialisations it recorded, and a partition without one looks as if it had
never been read. So a run is kept, however old, as long as some partition's latest materialisation or
some check's latest result is its: of the runs that read a window every 30 seconds while it was live, the
last one. Ticks are no business of this module; `dagster.yaml` purges them.

Dagster has an operation for deleting a run. What that leaves behind, and whose the latest results
are, is asked of Dagster's own tables (dagster 1.13, core/storage/event_log/schema.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable

from ingest_pipeline.orchestration.runtime.executors import CODE_LOCATION_TAG, code_location_of
from ingest_pipeline.orchestration.singleton_jobs import single_tags
from ingest_pipeline.settings import Settings

_PAGE = 500
_ENDED_WELL = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED]
_FAILED = [dg.DagsterRunStatus.FAILURE]
PRUNE_JOB = "prune_dagster_history"
PRUNE_OP = "prune_runs"


@dataclass(frozen=True, slots=True)
class Pruned:
    """The result of a pruning.

    Attributes:
        deleted: Ids of the runs deleted, or, after a dry run, of those that would be.
        kept: How many runs of their age stay, for what they recorded is the latest of its kind.
    """

    deleted: tuple[str, ...]
    kept: int


def prune_runs(
    instance: dg.DagsterInstance,
    settings: Settings,
    *,
    now: datetime,
    code_location: str | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Delete a code location's runs past their age, with their events, check results and captured output.

    Args:
        instance: Whose history it is.
        settings: For the ages, `retain_runs_days` and `retain_failed_runs_days`.
        code_location: Whose runs, as they are marked; those without a mark when None.
        dry_run: Whether to leave everything as it is.
    """
    ages = ((_ENDED_WELL, settings.retain_runs_days), (_FAILED, settings.retain_failed_runs_days))
    old = [
        run_id
        for statuses, days in ages
        for run_id in _run_ids(
            instance,
            dg.RunsFilter(
                statuses=statuses,
                updated_before=now - timedelta(days=days),
                tags={CODE_LOCATION_TAG: code_location} if code_location else {},
            ),
            code_location,
        )
    ]
    latest = _latest_runs(instance)
    deleted = tuple(run_id for run_id in old if run_id not in latest)
    if not dry_run:
        for run_id in deleted:
            _delete(instance, run_id)
        _delete_check_results(instance, deleted)
    return Pruned(deleted, kept=len(old) - len(deleted))


def _run_ids(instance: dg.DagsterInstance, runs: dg.RunsFilter, code_location: str | None) -> Iterator[str]:
    """Yield the ids of a code location's runs that a filter finds, page by page."""
    cursor = None
    while page := instance.get_runs(runs, cursor=cursor, limit=_PAGE):
        yield from (run.run_id for run in page if code_location_of(run) == code_location)
        cursor = page[-1].run_id


def _latest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the ids of the runs with a partition's latest materialisation or a check's latest result."""
    events, results = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    last_events = (
        sa.select(sa.func.max(events.id))
        .where(events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .group_by(events.asset_key, events.partition)
    )
    last_results = sa.select(sa.func.max(results.id)).group_by(
        results.asset_key, results.check_name, results.partition
    )
    runs = sa.union(
        sa.select(events.run_id).where(events.id.in_(last_events)),
        sa.select(results.run_id).where(results.id.in_(last_results)),
    )
    with _storage(instance).index_connection() as connection:
        return set(connection.scalars(runs))


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        # A database file for each run, which deleting the run empties and leaves.
        shard = Path(storage.path_for_shard(run_id))
        for file in shard.parent.glob(f"{shard.name}*"):
            file.unlink()


def _delete_check_results(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    for start in range(0, len(run_ids), _PAGE):
        some = AssetCheckExecutionsTable.c.run_id.in_(run_ids[start : start + _PAGE])
        with _storage(instance).index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(some))


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    return cast("SqlEventLogStorage", instance.event_log_storage)


class PruneConfig(dg.Config):
    """Configuration of the pruning.

    Attributes:
        dry_run: Say what would be deleted, and delete nothing.
    """

    dry_run: bool = False


def build_prune_job(settings: Settings) -> dg.JobDefinition:
    """Return the job that prunes the history of the instance it runs on."""

    @dg.op(name=PRUNE_OP, out=dg.Out(dg.Nothing))
    def prune(context: dg.OpExecutionContext, config: PruneConfig) -> None:
        # Only here: it loads the database library of Dagster's own storage.

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

    It runs automatically where the instance is our own; in another, an operator has to turn it on.
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
            f"{settings.retain_failed_runs_days} (INGEST_PRUNE_CRON). It is on by default with "
            "INGEST_PRUNE_DAGSTER only."
        ),
    )
