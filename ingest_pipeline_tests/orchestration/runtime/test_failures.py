"""What a run that fails says, leaves behind and does next."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from ingest_pipeline.errors import ChannelForbidden, RateLimited
from ingest_pipeline.orchestration.failures import as_failure, ingest_errors_as_failures
from ingest_pipeline.orchestration.live.sensors import new_outcomes, recent_live_runs
from ingest_pipeline.orchestration.messages import assets
from ingest_pipeline.redaction import guard
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    TOKEN,
    Deployment,
    deploy,
    every_minute,
    failures,
    session,
)

LIVE_TAGS = {"ingest/trigger": "live", "ingest/session": "monza"}


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A deployment with a finished session of twelve minutes, with a message in each."""
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    return deployment


def retries(result: dg.ExecuteInProcessResult) -> int:
    """Count how often a step was put up for another try."""
    return sum(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in result.all_events)


def files(deployment: Deployment) -> dict[str, bytes]:
    """Return every landed and normalized file; what is refused is set aside in a folder of its own."""
    data = deployment.settings.data_dir
    return {
        str(path.relative_to(data)): path.read_bytes()
        for part in ("landing", "normalized")
        for path in sorted((data / part).rglob("*"))
        if path.is_file() and "_quarantine" not in path.parts
    }


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["forbidden-channel", "bad-token", "torn", "other-channel"])
def test_a_failed_run_leaves_landing_and_table_as_they_were(monza: Deployment, fault: str) -> None:
    """Whatever goes wrong, what was good stays good, and the later steps do not run."""
    monza.run("monza|T+000m", "monza|T+010m")
    before = files(monza), monza.stored()
    monza.fault(fault)
    result = monza.run("monza|T+000m", "monza|T+010m")
    assert not result.success
    assert (files(monza), monza.stored()) == before
    assert [event.step_key for event in result.all_events if event.is_step_start] == ["raw_export"]


def test_a_permanent_failure_is_not_tried_again_with_its_remedy(monza: Deployment) -> None:
    """Neither the step nor, by its tag, the run is retried; the remedy stands in the metadata."""
    monza.fault("forbidden-channel")
    result = monza.run("monza|T+000m")
    assert retries(result) == 0
    assert len(monza.exporter_calls()) == 1
    run = monza.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["dagster/max_retries"] == "0"
    (failure,) = failures(result)
    described = failure.user_failure_data
    assert described.metadata["error"].value == "ChannelForbidden"
    assert described.metadata["retryable"].value is False
    assert described.metadata["remedy"].value == described.description
    assert TOKEN not in str(failure)


@pytest.fixture
def eager(tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """The same, trying again without a pause."""
    monkeypatch.setattr(assets, "TRANSIENT_RETRIES", dg.RetryPolicy(max_retries=2, delay=0))
    deployment = deploy(tmp_path, instance)
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    return deployment


def test_a_transient_failure_is_tried_again(eager: Deployment) -> None:
    """A run that met a lost connection tries the step again before it gives up, without the tag."""
    eager.fault("server-error")
    result = eager.run("monza|T+000m", tags=LIVE_TAGS)
    assert not result.success
    assert retries(result) == 2
    assert len(eager.exporter_calls()) == 3
    run = eager.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert "dagster/max_retries" not in run.tags
    (outcome,) = new_outcomes(eager.instance, recent_live_runs(eager.instance), None)
    assert str(outcome.error).startswith(f"channel {CHANNEL_ID}")


def test_an_unforeseen_error_is_reported_in_its_own_words(eager: Deployment) -> None:
    """What the sensor says of a failed run is the innermost cause, not that a step failed."""
    eager.settings.data_dir.joinpath("normalized").write_text("a file where a folder should be")
    assert not eager.run("monza|T+000m", tags=LIVE_TAGS).success
    (outcome,) = new_outcomes(eager.instance, recent_live_runs(eager.instance), None)
    assert "normalized" in str(outcome.error)


def test_the_failure_of_an_error_allows_retries_only_when_they_can_help() -> None:
    """The branch of the error tree decides."""
    assert as_failure(RateLimited("slow down: wait")).allow_retries
    assert not as_failure(ChannelForbidden("no access: invite the account")).allow_retries


def test_a_damaged_landed_document_fails_the_next_step_only(monza: Deployment) -> None:
    """Normalizing what somebody broke says which file it is, and the table stays as it was."""
    monza.run("monza|T+000m")
    before = monza.stored()
    (landed,) = (monza.settings.data_dir / "landing" / "monza" / "T+000m").glob("*.json")
    landed.write_bytes(landed.read_bytes()[:-40])
    job = monza.definitions.resolve_implicit_global_asset_job_def()
    result = job.get_subset(
        asset_selection={dg.AssetKey("normalized_messages"), dg.AssetKey("messages")}
    ).execute_in_process(instance=monza.instance, partition_key="monza|T+000m", raise_on_error=False)
    (failure,) = failures(result)
    assert failure.user_failure_data.metadata["error"].value == "ExportTruncated"
    assert landed.name in failure.user_failure_data.description
    assert monza.stored() == before


def test_an_unexpected_error_reaches_dagster_without_a_secret(instance: dg.DagsterInstance) -> None:
    """Its words and its traceback would stay in the event log."""
    guard("hidden-word")
    with dg.build_op_context(instance=instance) as context:
        with (
            pytest.raises(dg.Failure, match=r"^ValueError: at \*\*\*$") as caught,
            ingest_errors_as_failures(context),
        ):
            raise ValueError("at hidden-word")
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        with pytest.raises(ValueError, match="harmless"), ingest_errors_as_failures(context):
            raise ValueError("harmless")
