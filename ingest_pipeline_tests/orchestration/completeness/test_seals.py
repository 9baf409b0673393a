"""A session that is over is sealed by itself, and again when it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.completeness.sealing import SEAL_RETRIES, next_to_seal
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline_tests.orchestration.deployments import (
    Deployment,
    deploy,
    every_minute,
    failures,
    message,
    session,
)

NOW = datetime.now(UTC)
START = (NOW - timedelta(hours=2)).replace(second=0, microsecond=0)


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A session that ended an hour and three quarters ago and that nobody has read."""
    deployment.add_sessions(session(start=START))
    deployment.post(*every_minute(START, 12))
    return deployment


def tick(deployment: Deployment, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate the sensor once."""
    sensor = deployment.definitions.resolve_sensor_def("session_seal_sensor")
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def reason(result: dg.SensorResult) -> str:
    """Return why nothing was asked for."""
    assert not result.run_requests
    assert isinstance(result.skip_reason, dg.SkipReason)
    return result.skip_reason.skip_message or ""


def seal(deployment: Deployment, session_id: str = "monza") -> dg.ExecuteInProcessResult:
    """Run the job."""
    job = deployment.definitions.resolve_job_def("session_seal_job")
    return job.execute_in_process(
        instance=deployment.instance, partition_key=session_id, raise_on_error=False
    )


def reported(deployment: Deployment, session_id: str = "monza") -> dict[str, Any]:
    """Return the metadata of the newest manifest."""
    return deployment.materialisations("session_manifest")[session_id]


def test_a_session_that_is_over_is_sealed_and_sealed_again_when_it_changes(monza: Deployment) -> None:
    """Without a bot the exporter reads it; the second version says what changed."""
    asked = tick(monza)
    [request] = asked.run_requests or []
    assert (request.partition_key, request.tags["ingest/session"]) == ("monza", "monza")
    assert seal(monza).success
    first = reported(monza)
    assert (first["version"], first["new_version"], first["messages"]) == (1, True, 12)
    assert first["source"].startswith("read again by the exporter")
    [channel] = [record.data for record in first["channels"].records]
    assert (channel["messages"], len(channel["digest"]), channel["added"]) == (12, 64, 0)
    assert f"{START:%H:%M}:10 UTC" in channel["first"]
    rested = tick(monza, asked.cursor)
    assert reason(rested) == "every session that is over is sealed and unchanged"
    late = message(START + timedelta(minutes=3))
    monza.post(late)
    backfill_session(monza.services, "monza")
    [again] = tick(monza, rested.cursor).run_requests or []
    assert again.partition_key == "monza"
    assert seal(monza).success
    second = reported(monza)
    assert (second["version"], second["messages"]) == (2, 13)
    assert f"1 added: {late['id']}" in second["what_changed"]


def test_a_session_that_cannot_be_read_fails_and_is_tried_less_and_less_often(monza: Deployment) -> None:
    """The run says why; the next try waits, and another session does not wait for it."""
    asked = tick(monza)
    monza.fault("forbidden-channel")
    result = seal(monza)
    assert not result.success
    assert failures(result)[0].user_failure_data.metadata["error"].value == "ChannelForbidden"
    assert reason(tick(monza, asked.cursor)) == "1 session will be tried again later"
    tries = SEAL_RETRIES.read(asked.cursor)
    in_ten = next_to_seal(monza.services, tries, datetime.now(UTC) + timedelta(minutes=10))
    assert in_ten.session is not None
    assert not in_ten.retries.is_due("monza", datetime.now(UTC) + timedelta(minutes=25))
    monza.add_sessions(session("spa", start=START + timedelta(minutes=20)))
    [request] = tick(monza, asked.cursor).run_requests or []
    assert request.partition_key == "spa"


def test_an_old_session_is_sealed_once_it_is_complete_and_not_read_unasked(deployment: Deployment) -> None:
    """A calendar of past seasons starts no exporter; a backfill of one of its sessions leads to its seal."""
    start = START - timedelta(days=30)
    deployment.add_sessions(session(start=start))
    deployment.post(*every_minute(start, 12))
    assert reason(tick(deployment)) == "no session is due"
    backfill_session(deployment.services, "monza")
    assert len(tick(deployment).run_requests or []) == 1


def test_a_live_session_that_lags_comes_first(monza: Deployment) -> None:
    """The seal waits until it is caught up."""
    monza.add_sessions(session("live", start=NOW - timedelta(minutes=10), minutes=60))
    assert reason(tick(monza)) == "the live session live is caught up first"


def test_one_seal_at_a_time(monza: Deployment) -> None:
    """Nothing is asked for while a run is not over, and the queue would hold a second one back."""
    job = monza.definitions.resolve_job_def("session_seal_job")
    assert job.tags["ingest/single"] == "session_seal_job"
    run = monza.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=dict(job.tags))
    assert reason(tick(monza)) == f"run {run.run_id[:8]} of session_seal_job is not over yet"


@pytest.mark.parametrize("cursor", ["nonsense", "[]", '{"monza": [1, "2026-01-01"]}', '{"monza": 3}'])
def test_a_cursor_that_cannot_be_read_is_as_good_as_none(monza: Deployment, cursor: str) -> None:
    """The session is asked for."""
    assert len(tick(monza, cursor).run_requests or []) == 1


def test_without_a_token_nothing_is_asked_for(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """One line says what is missing."""
    deployment = deploy(tmp_path, instance, discord_oauth_token=None)
    deployment.add_sessions(session(start=START))
    assert reason(tick(deployment)) == "neither DISCORD_OAUTH_TOKEN nor DISCORD_BOT_TOKEN is set"
