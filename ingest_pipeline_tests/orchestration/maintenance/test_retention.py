"""Old runs are deleted, and the catalogue goes on showing all that was read; on Dagster's real storages."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from sqlalchemy import select

from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.maintenance.run_retention import PRUNE_JOB, PRUNE_OP, prune_runs
from ingest_pipeline.settings import Settings
from ingest_pipeline.stack.dagster_home import POSTGRES_VARIABLE, prepare_dagster_home
from ingest_pipeline_tests.contract.postgres_server import fresh_schema

pytestmark = pytest.mark.slow

SETTINGS = Settings(_env_file=None, retain_runs_days=14, retain_failed_runs_days=90)
WINDOWS = dg.StaticPartitionsDefinition(["T+000m", "T+005m", "T+010m"])
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dg.asset(partitions_def=WINDOWS)
def window(context: dg.AssetExecutionContext) -> None:
    """An asset as ours are: read by window, one run for several."""
    if context.run.tags.get("failing"):
        raise ZeroDivisionError
    print("some output")  # noqa: T201


@dg.asset_check(asset=window)
def checked() -> dg.AssetCheckResult:
    """A check that runs with it."""
    return dg.AssetCheckResult(passed=True)


@pytest.fixture(params=["sqlite", "postgres"])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Yield an instance whose history is kept as in production."""
    with ExitStack() as stack:
        if request.param == "postgres":
            url = stack.enter_context(fresh_schema(request.getfixturevalue("postgres_url")))
            monkeypatch.setenv(POSTGRES_VARIABLE, url)
        home = prepare_dagster_home(tmp_path, os.environ)
        yield stack.enter_context(dg.DagsterInstance.from_config(str(home.folder)))


def read(instance: dg.DagsterInstance, first: str, last: str | None = None, **tags: str) -> str:
    """Materialise windows in one run and return its id."""
    job = dg.Definitions([window], asset_checks=[checked]).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        tags={RANGE_START: first, RANGE_END: last or first, **tags},
        raise_on_error=False,
    ).run_id


def prune(instance: dg.DagsterInstance, days: float) -> set[str]:
    """Prune as it would be done some days from now and return the ids of the runs that are left."""
    prune_runs(instance, SETTINGS, now=datetime.now(UTC) + timedelta(days=days))
    return {run.run_id for run in instance.get_runs()}


def test_of_many_runs_of_a_window_the_last_is_kept(instance: dg.DagsterInstance) -> None:
    """The others go with all they left; what the catalogue shows stays."""
    runs = [read(instance, "T+000m") for _ in range(3)]
    assert _traces(instance) == set(runs)
    assert prune(instance, 13) == set(runs)
    assert prune(instance, 15) == {runs[-1]}
    assert instance.get_materialized_partitions(window.key) == {"T+000m"}
    assert _traces(instance) == {runs[-1]}
    assert instance.all_logs(runs[-1])


def test_a_run_of_several_windows_is_kept_for_one_of_them(instance: dg.DagsterInstance) -> None:
    """It goes when each of its windows has been read again."""
    both = read(instance, "T+000m", "T+005m")
    first = read(instance, "T+000m")
    assert prune(instance, 15) == {both, first}
    second = read(instance, "T+005m")
    assert prune(instance, 15) == {first, second}
    assert instance.get_materialized_partitions(window.key) == {"T+000m", "T+005m"}


def test_failed_runs_are_kept_for_longer(instance: dg.DagsterInstance) -> None:
    """They are what somebody looks into."""
    failed = read(instance, "T+000m", failing="yes")
    good = read(instance, "T+000m")
    assert prune(instance, 89) == {failed, good}
    assert prune(instance, 91) == {good}


def test_runs_in_progress_are_never_deleted(instance: dg.DagsterInstance) -> None:
    """However long they take."""
    job = dg.Definitions([window]).resolve_implicit_global_asset_job_def()
    running = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert prune(instance, 1000) == {running.run_id}


def test_a_dry_run_deletes_nothing(instance: dg.DagsterInstance) -> None:
    """It says what it would delete."""
    runs = [read(instance, "T+000m") for _ in range(2)]
    reported = prune_runs(instance, SETTINGS, now=datetime.now(UTC) + timedelta(days=15), dry_run=True)
    assert reported.deleted == (runs[0],)
    assert reported.kept == 1
    assert _traces(instance) == set(runs)


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_nightly_job_reports_what_it_did(instance: dg.DagsterInstance, dry_run: bool) -> None:
    """On runs of today it finds nothing to do."""
    read(instance, "T+000m")
    result = (
        build_definitions(SETTINGS)
        .resolve_job_def(PRUNE_JOB)
        .execute_in_process(
            instance=instance, run_config={"ops": {PRUNE_OP: {"config": {"dry_run": dry_run}}}}
        )
    )
    (output,) = [event for event in result.all_events if event.is_successful_output]
    metadata = output.step_output_data.metadata
    assert (metadata["runs_deleted"].value, metadata["runs_kept"].value) == (0, 0)


def test_it_is_done_every_night_in_an_instance_of_our_own() -> None:
    """Elsewhere somebody has to turn it on."""
    elsewhere = build_definitions(SETTINGS).resolve_schedule_def(f"{PRUNE_JOB}_daily")
    assert elsewhere.default_status == dg.DefaultScheduleStatus.STOPPED
    ours = SETTINGS.model_copy(update={"prune_dagster": True})
    schedule = build_definitions(ours).resolve_schedule_def(f"{PRUNE_JOB}_daily")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 4 * * *", "UTC")


def _traces(instance: dg.DagsterInstance) -> set[str]:
    """Return the ids of all runs of which anything is left: events, check results, files."""
    tables = (SqlEventLogStorageTable, AssetCheckExecutionsTable)
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        found = {run_id for table in tables for run_id in connection.scalars(select(table.c.run_id))}
    home = Path(instance.root_directory)
    shards = {path.name.partition(".")[0] for path in (home / "history" / "runs").glob("*.db*")}
    output = {path.name for path in (home / "storage").glob("*-*-*-*-*")}
    return (found | shards | output) - {"index"}
