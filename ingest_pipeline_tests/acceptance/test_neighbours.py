"""In an instance with another team's code location, nothing of theirs is deleted, reported or waited for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import dagster as dg
import pytest
from dagster._core.storage.runs.schema import RunsTable

from ingest_pipeline.orchestration.maintenance.run_retention import PRUNE_JOB
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS
from ingest_pipeline.stack.dagster_home import CODE_LOCATION
from ingest_pipeline_tests.acceptance.stacks.dagster_stack import (
    NEIGHBOUR,
    REPOSITORY,
    DagsterStack,
    running_dagster,
)
from ingest_pipeline_tests.orchestration.deployments import TOKEN
from ingest_pipeline_tests.webhook_receiver import Receiver, receiving

# Jobs, partitions and tags with names that ours have, too.
THEIRS = """
import dagster as dg

@dg.op
def work():
    pass

@dg.op
def fail():
    raise RuntimeError("the neighbour's secret trouble")

@dg.job
def prune_dagster_history():
    work()

@dg.job
def session_seal_job():
    work()

@dg.job
def verify_messages():
    fail()

@dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="session"))
def customers():
    pass

defs = dg.Definitions(jobs=[prune_dagster_history, session_seal_job, verify_messages], assets=[customers])
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def webhook() -> Iterator[Receiver]:
    """Take what is reported."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory, webhook: Receiver) -> Iterator[DagsterStack]:
    """Start both code locations in one instance that our own start did not make."""
    folder = tmp_path_factory.mktemp("company")
    neighbour = folder / "neighbour.py"
    neighbour.write_text(THEIRS)
    settings = {
        "INGEST_DATA_DIR": str(folder / "data"),
        "DISCORD_OAUTH_TOKEN": TOKEN,
        "INGEST_SESSION_MAX_HOURS": "1",
        "INGEST_RETAIN_RUNS_DAYS": "1",
        "INGEST_RETAIN_FAILED_RUNS_DAYS": "1",
        "INGEST_ALERT_WEBHOOK_URL": webhook.url,
    }
    with running_dagster(folder, settings, neighbour) as running:
        running.start_daemon()
        yield running


def age(instance: dg.DagsterInstance, *run_ids: str) -> None:
    """Make runs as old as nobody keeps them."""
    long_ago = RunsTable.update().where(RunsTable.c.run_id.in_(run_ids))
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(long_ago.values(update_timestamp=datetime(2020, 1, 1)))  # noqa: DTZ001 - as stored


def test_what_is_theirs_is_left_alone(dagster: DagsterStack, webhook: Receiver) -> None:
    """Old runs of this project are deleted, failures of this project are reported; theirs are neither."""
    instance = dagster.instance
    cursor = dagster.evaluate("alert_sensor").cursor
    theirs = [
        dagster.launch({}, job, location=NEIGHBOUR)
        for job in ("prune_dagster_history", "session_seal_job", "verify_messages")
    ]
    ours = dagster.launch({}, PRUNE_JOB)
    failing = dagster.launch({}, assets=("raw_export",))
    ended = {run_id: dagster.runs_of(run_id)[0] for run_id in (*theirs, ours, failing)}
    reported = dagster.evaluate("alert_sensor", cursor)
    assert reported.skip_message == "notifications sent: 1; still failing: 1, 1 of them alerted"
    (body,) = webhook.bodies
    assert "the run is of no partition" in str(body)

    age(instance, *ended)
    (pruning,) = dagster.runs_of(dagster.launch({}, PRUNE_JOB))
    assert pruning.is_success
    assert {run.run_id for run in instance.get_runs()} == {*theirs, pruning.run_id}
    assert all(instance.all_logs(run_id) for run_id in theirs)


def test_their_partitions_of_a_usual_name_stay(dagster: DagsterStack) -> None:
    """Sessions are kept under a name of our own."""
    dagster.instance.add_dynamic_partitions("session", ["theirs"])
    dagster.instance.add_dynamic_partitions(SESSION_PARTITIONS, ["removed-since"])
    asked = dagster.evaluate("live_session_sensor").dynamic_partitions_requests or ()
    assert [(each.partitions_def_name, list(each.partition_keys)) for each in asked] == [
        (SESSION_PARTITIONS, ["removed-since"])
    ]


def test_a_run_of_theirs_is_not_waited_for(dagster: DagsterStack) -> None:
    """Though its job has the name of one of this project."""

    @dg.job(name="session_seal_job")
    def of_theirs() -> None:
        """Theirs."""

    dagster.instance.create_run_for_job(of_theirs, status=dg.DagsterRunStatus.STARTED)
    text = dagster.evaluate("session_seal_sensor").skip_message
    assert text == "every session that is over is sealed and unchanged"


def test_pruning_does_not_start_by_itself(dagster: DagsterStack) -> None:
    """An instance that our own start did not make is somebody else's to prune."""
    location = dagster.workspace.create_request_context().get_code_location(CODE_LOCATION)
    schedule = location.get_repository(REPOSITORY["repositoryName"]).get_schedule(f"{PRUNE_JOB}_daily")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
