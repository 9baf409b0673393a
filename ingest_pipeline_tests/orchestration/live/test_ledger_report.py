"""What the coverage ledger proves, as Dagster shows it, whoever read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.completeness.sealing import seal_now
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline.orchestration.live import ledger_report
from ingest_pipeline.orchestration.live.ledger_report import LedgerReport, report_ledger
from ingest_pipeline.storage.messages.coverage import Proof, ledger_mark, record_proof
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    deploy,
    every_minute,
    instance_on_disk,
    session,
)

BY_WINDOW = (
    "raw_export",
    "normalized_messages",
    "messages",
    "team_radio",
    "trade_setups",
    "clips",
    "highlights",
    "polls",
    "message_classes",
    "clip_files",
)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A session that is over, with twelve messages on Discord; Dagster's memory is on disk."""
    (tmp_path / "dagster").mkdir()
    with instance_on_disk(tmp_path / "dagster") as instance:
        deployed = deploy(tmp_path, instance)
        deployed.add_sessions(session())
        deployed.post(*every_minute(START, 12))
        yield deployed


def tick(deployment: Deployment, cursor: str = "") -> dg.SensorResult:
    """Evaluate the sensor."""
    sensor = deployment.definitions.resolve_sensor_def("changed_windows_sensor")
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def report(deployment: Deployment, cursor: str) -> LedgerReport:
    """Report what the ledger knows."""
    now = datetime.now(UTC)
    with deployment.services.database.read() as connection:
        mark = ledger_mark(connection, now - deployment.services.settings.settle)
    return report_ledger(deployment.services, deployment.instance, cursor, mark, now)


def shown(deployment: Deployment) -> dict[str, int]:
    """Return how many windows of each asset Dagster shows as materialised."""
    return {
        asset: len(deployment.instance.get_materialized_partitions(dg.AssetKey(asset))) for asset in BY_WINDOW
    }


def proven(deployment: Deployment, start: datetime, end: datetime) -> None:
    """Prove a range as history does."""
    window = session(start=start, minutes=(end - start) / timedelta(minutes=1)).window
    proof = Proof(CHANNEL_ID, window.low, window.high, "history", datetime.now(UTC), "a-journey")
    deployment.services.database.run(lambda connection: record_proof(connection, proof))


def gaps_shown(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the metadata of the observations of `messages`, by partition."""
    records = deployment.instance.fetch_observations(dg.AssetKey("messages"), limit=100).records
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        seen = record.event_log_entry.asset_observation
        assert seen is not None
        assert seen.partition is not None
        found.setdefault(seen.partition, {key: value.value for key, value in seen.metadata.items()})
    return found


@pytest.mark.slow
def test_a_session_that_was_sealed_without_a_run_is_green_everywhere(deployment: Deployment) -> None:
    """All 72 windows of every asset, with their counts, those after its end as empty; and its manifest."""
    seal_now(deployment.services, "monza")
    result = tick(deployment)
    assert result.skip_reason is not None
    assert shown(deployment) == dict.fromkeys(BY_WINDOW, 72)
    assert deployment.instance.get_materialized_partitions(dg.AssetKey("session_manifest")) == {"monza"}
    messages = deployment.materialisations("messages")
    assert [messages[f"monza|T+{at:03d}m"]["dagster/partition_row_count"] for at in (0, 5, 10, 15)] == [
        *(5, 5, 2),
        0,
    ]
    assert messages["monza|T+000m"]["source"] == "export"
    assert messages["monza|T+355m"]["source"] == "sessions"
    assert deployment.materialisations("team_radio")["monza|T+000m"]["dagster/partition_row_count"] == 5


@pytest.mark.slow
def test_nothing_is_written_while_nothing_changes(deployment: Deployment) -> None:
    """Neither at the next tick nor with a cursor that was reset."""
    seal_now(deployment.services, "monza")
    cursor = tick(deployment).cursor
    before = report(deployment, (cursor or "").partition(" ")[2])
    assert before.events == 0
    again = report(deployment, "")
    assert (again.events, again.waiting) == (0, 0)


@pytest.mark.slow
def test_what_a_run_has_reported_is_left_to_it(deployment: Deployment) -> None:
    """Only what its run did not cover is added."""
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    tick(deployment)
    assert shown(deployment) == dict.fromkeys(BY_WINDOW, 72)
    records = deployment.instance.fetch_materializations(dg.AssetKey("messages"), limit=200).records
    assert len(records) == 72
    assert "run_received" in deployment.materialisations("messages")["monza|T+005m"]


@pytest.mark.slow
def test_a_gap_stays_missing_with_its_reason(deployment: Deployment) -> None:
    """Until it is read: then it is green."""
    proven(deployment, START, START + timedelta(minutes=7))
    cursor = tick(deployment).cursor
    assert "monza|T+005m" not in deployment.instance.get_materialized_partitions(dg.AssetKey("messages"))
    found = gaps_shown(deployment)
    assert found.keys() == {"monza|T+005m", "monza|T+010m"}
    assert found["monza|T+005m"]["seconds_missing"] == 180
    assert found["monza|T+005m"]["reason"] == "after_last_reading"
    backfill_session(deployment.services, "monza")
    tick(deployment, cursor or "")
    assert shown(deployment)["messages"] == 72


def test_what_another_source_read_has_no_export_and_reports_it(deployment: Deployment) -> None:
    """A frame of normalized rows would be empty."""
    proven(deployment, START, START + timedelta(minutes=12))
    tick(deployment)
    stated = deployment.materialisations("raw_export")["monza|T+000m"]
    assert (stated["dagster/partition_row_count"], stated["source"]) == (0, "history")
    assert "no export" in stated["note"]


@pytest.mark.slow
def test_a_tick_is_bounded_and_the_next_goes_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest session first."""
    deployment.add_sessions(session("imola", start=START - timedelta(days=7)))
    for session_id in ("monza", "imola"):
        backfill_session(deployment.services, session_id)
    monkeypatch.setattr(ledger_report, "MOST_EVENTS", 1)
    first = report(deployment, "")
    assert (first.events, first.waiting) == (720, 1)
    assert shown(deployment)["messages"] == 72
    second = report(deployment, first.cursor)
    assert (second.events, second.waiting) == (720, 0)


def test_windows_of_a_live_session_are_reported_when_they_are_over(deployment: Deployment) -> None:
    """The present one, and those to come, are not."""
    start = datetime.now(UTC) - timedelta(minutes=7)
    deployment.services.database.run(
        lambda connection: save_sessions(
            connection, [session("live", start=start, minutes=60)], now=datetime.now(UTC)
        )
    )
    deployment.instance.add_dynamic_partitions("ingest_sessions", ["live"])
    proven(deployment, start, start + timedelta(minutes=6))
    tick(deployment)
    of_live = deployment.instance.get_materialized_partitions(dg.AssetKey("messages"))
    assert {each for each in of_live if each.startswith("live|")} == {"live|T+000m"}
    assert gaps_shown(deployment) == {}


def test_a_window_that_a_run_is_reading_waits_for_its_run(deployment: Deployment) -> None:
    """And what a failed run read stays as Dagster shows it."""
    job = deployment.definitions.resolve_job_def("ingest_job")
    run = deployment.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    window = session().window
    proof = Proof(CHANNEL_ID, window.low, window.high, "export", datetime.now(UTC), run.run_id)
    deployment.services.database.run(lambda connection: record_proof(connection, proof))
    first = report(deployment, "")
    assert (first.events, first.waiting) == (0, 1)
    deployment.instance.report_run_failed(run)
    second = report(deployment, first.cursor)
    assert second.waiting == 0
    assert "monza|T+000m" not in deployment.instance.get_materialized_partitions(dg.AssetKey("messages"))
