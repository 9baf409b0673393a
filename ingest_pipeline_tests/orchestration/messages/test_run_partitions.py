"""Which windows a run is of: those that its tags ask for, all of them, or it fails and says how to ask."""

from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.orchestration.partitions import (
    RANGE_END,
    RANGE_START,
    SESSION_PARTITIONS,
    requested_windows,
    session_windows_partitions,
)
from ingest_pipeline_tests.orchestration.deployments import (
    START,
    Deployment,
    deploy,
    every_minute,
    failures,
    session,
)
from ingest_pipeline_tests.thoroughness import examples

# Of the parameter that makes a run of a range one run.
pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")

SESSIONS = ("monza", "baku", "imola")
SESSION_TAG, WINDOW_TAG = "dagster/partition/session", "dagster/partition/window"


@pytest.fixture
def season(tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """Three sessions of twelve minutes on days that follow each other, with a message a minute."""
    deployment = deploy(tmp_path, instance, session_max_hours=1)
    starts = [START + timedelta(days=day) for day in range(len(SESSIONS))]
    deployment.add_sessions(*map(session, SESSIONS, starts))
    deployment.post(*(message for start in starts for message in every_minute(start, 12)))
    return deployment


def run(season: Deployment, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    """Run the ingest job with tags of its own."""
    job: dg.JobDefinition = season.definitions.resolve_job_def("ingest_job")
    return job.execute_in_process(instance=season.instance, tags=tags, raise_on_error=False)


def between(first: str, last: str) -> dict[str, str]:
    """Return the tags of a range."""
    return {RANGE_START: first, RANGE_END: last}


def test_a_run_of_a_jobs_backfill_is_of_its_whole_range(season: Deployment) -> None:
    """It has tags of the first partition too, and each partition is recorded once, described or empty."""
    tags = {**between("baku|T+000m", "baku|T+055m"), SESSION_TAG: "baku", WINDOW_TAG: "T+000m"}
    result = run(season, tags)
    assert result.success
    assert len(season.stored("baku")) == 12
    keys = [f"baku|{key}" for key in season.services.grid.keys]
    for asset in ("raw_export", "normalized_messages", "messages", "highlights"):
        recorded = [
            event.materialization.partition
            for event in map(
                attrgetter("step_materialization_data"), result.get_asset_materialization_events()
            )
            if event.materialization.asset_key == dg.AssetKey(asset)
        ]
        assert sorted(map(str, recorded)) == keys, asset
    described = season.materialisations("messages")
    assert [described[key]["dagster/partition_row_count"] for key in keys[:3]] == [5, 5, 2]
    assert {check.metadata["rows"].value for check in result.get_asset_check_evaluations()} == {12}


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({}, "the run is of no partition"),
        (between("monza|T+010m", "baku|T+005m"), "is empty: T+010m comes after T+005m"),
        (between("baku|T+000m", "monza|T+000m"), "is empty: baku comes after monza"),
        ({SESSION_TAG: "monza"}, "'monza' is not a partition"),
        (
            {**between("monza|T+000m", "monza|T+010m"), SESSION_TAG: "baku", WINDOW_TAG: "T+000m"},
            "ask for monza|T+000m, monza|T+005m, monza|T+010m, and Dagster gives it baku|T+000m",
        ),
        (
            {"dagster/partition": "monza|T+000m", SESSION_TAG: "baku", WINDOW_TAG: "T+000m"},
            "name monza|T+000m and baku|T+000m",
        ),
    ],
)
def test_tags_that_ask_for_nothing_or_for_two_things_fail_the_run(
    season: Deployment, tags: dict[str, str], text: str
) -> None:
    """Once, with how a range is written, and without an exporter call."""
    result = run(season, tags)
    (failure,) = failures(result)
    reported = failure.user_failure_data
    assert text in reported.description
    assert (
        f"for a range with the tags {RANGE_START}, such as monza|T+000m, and {RANGE_END}"
        in reported.description
    )
    assert reported.metadata["error"].value == "PartitionsInvalid"
    assert reported.metadata["retryable"].value is False
    assert result.retry_attempts_for_node("raw_export") == 0
    assert season.exporter_calls() == []


def test_a_session_that_was_removed_while_the_run_waited_fails_it(season: Deployment) -> None:
    """Dagster compares a range with the sessions when it is launched, and not again."""
    job = season.definitions.resolve_job_def("ingest_job")
    waiting = season.instance.create_run_for_job(job, tags=between("monza|T+000m", "baku|T+010m"))
    season.instance.delete_dynamic_partition(SESSION_PARTITIONS, "baku")
    execute_run(InMemoryJob(job), waiting, season.instance)
    logged = season.instance.all_logs(waiting.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    (failure,) = (entry.dagster_event.step_failure_data for entry in logged if entry.dagster_event)
    reported = failure.user_failure_data
    assert reported is not None
    assert "'baku' of monza|T+000m to baku|T+010m is not a partition" in str(reported.description)


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.tuples(*[st.integers(0, 2), st.integers(0, 11)] * 2), of_job=st.booleans())
def test_what_is_read_is_what_dagster_plans_or_the_run_fails(
    season: Deployment, ends: tuple[int, ...], of_job: bool
) -> None:
    """For any two ends: the same windows of each session, in both dimensions from the first to the last."""
    keys = season.services.grid.keys
    first, last = f"{SESSIONS[ends[0]]}|{keys[ends[1]]}", f"{SESSIONS[ends[2]]}|{keys[ends[3]]}"
    tags = between(first, last)
    if of_job:
        tags |= {SESSION_TAG: SESSIONS[ends[0]], WINDOW_TAG: keys[ends[1]]}
    read: list[str] = []
    partitions = session_windows_partitions(season.services.grid)

    @dg.asset(partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def looked_at(context: dg.AssetExecutionContext) -> None:
        for each, windows in requested_windows(context, season.services):
            read.extend(f"{each.session_id}|{key}" for key in windows)

    result = dg.materialize([looked_at], tags=tags, instance=season.instance, raise_on_error=False)
    planned = partitions.get_partition_keys_in_range(
        dg.PartitionKeyRange(first, last), dynamic_partitions_store=season.instance
    )
    assert read == [str(key) for key in planned]
    assert result.success is bool(planned)


def test_a_downstream_asset_is_given_all_windows_of_a_jobs_backfill(season: Deployment) -> None:
    """As many rows as the run was asked for; a range without a window fails for it, too."""
    partitions = session_windows_partitions(season.services.grid)
    seen: list[int] = []

    @dg.asset(partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def counted(normalized_messages: pd.DataFrame) -> None:
        seen.append(len(normalized_messages))

    definitions = dg.Definitions.merge(season.definitions, dg.Definitions(assets=[counted]))
    job = definitions.resolve_implicit_global_asset_job_def()

    def materialise(*assets: str, **tags: str) -> dg.ExecuteInProcessResult:
        chosen = job.get_subset(asset_selection={dg.AssetKey(each) for each in assets})
        return chosen.execute_in_process(instance=season.instance, tags=tags, raise_on_error=False)

    whole = between("monza|T+000m", "monza|T+055m")
    assert materialise("raw_export", "normalized_messages", **whole).success
    assert materialise("counted", **whole, **{SESSION_TAG: "monza", WINDOW_TAG: "T+000m"}).success
    assert seen == [12]
    (failure,) = failures(materialise("counted", **between("monza|T+010m", "monza|T+000m")))
    assert failure.user_failure_data.metadata["error"].value == "PartitionsInvalid"
