"""What is past its age is deleted by schedules, by the command, or counted by a dry run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import msgspec
import pytest

from ingest_pipeline.completeness.sealing import seal_now
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.landing.raw_store import write_segment
from ingest_pipeline.monitoring.retention import apply_retention
from ingest_pipeline.storage.catalogue.install_intents import create_intent, find_intent
from ingest_pipeline.storage.runs.events import count_events, publish
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy, every_minute, message, session

NOW = datetime.now(UTC)
OLD = (NOW - timedelta(days=40)).replace(microsecond=0)


@pytest.fixture
def deployment(tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """A deployment that keeps raw exports for thirty days."""
    return deploy(tmp_path, instance, retain_landings_days=30)


def run(deployment: Deployment, job_name: str, *, dry_run: bool = False) -> dict[str, Any]:
    """Run a job and return what its run shows."""
    job = deployment.definitions.resolve_job_def(job_name)
    [op] = job.graph.node_dict
    result = job.execute_in_process(
        instance=deployment.instance, run_config={"ops": {op: {"config": {"dry_run": dry_run}}}}
    )
    [output] = [event.step_output_data for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.metadata.items()}


def landed(deployment: Deployment) -> dict[str, int]:
    """Return how many files each session has, raw and normalized together."""
    data = deployment.settings.data_dir
    counted: dict[str, int] = {}
    for root in ("landing", "normalized"):
        for path in (data / root).rglob("*.*"):
            if path.is_file():
                name = path.relative_to(data / root).parts[0]
                counted[name] = counted.get(name, 0) + 1
    return counted


def begin(deployment: Deployment, age: timedelta) -> str:
    """Begin an installation that expires an age ago, and return its id."""
    created = datetime.now(UTC) - age - timedelta(minutes=10)
    intent, _ = deployment.services.database.run(
        lambda c: create_intent(c, guild_id=None, lifetime=timedelta(minutes=10), now=created)
    )
    return intent.intent_id


@pytest.mark.slow
def test_raw_exports_go_only_of_sessions_that_are_sealed_and_old(deployment: Deployment) -> None:
    """A dry run says what would go; messages stay, and the checks do not miss the files."""
    for name, start in (
        ("old", OLD),
        ("unsealed", OLD + timedelta(hours=1)),
        ("new", NOW - timedelta(hours=3)),
    ):
        deployment.add_sessions(session(name, start))
        deployment.post(*every_minute(start, 12))
        assert deployment.run(f"{name}|T+000m", f"{name}|T+010m").success
    seal_now(deployment.services, "old")
    before = landed(deployment)
    assert before == {"old": 6, "unsealed": 6, "new": 6}
    shown = run(deployment, "prune_data", dry_run=True)
    assert (shown["dry_run"], shown["sessions"], shown["files"]) == (True, "- old", 6)
    assert shown["kept"].startswith("- unsealed: it is not sealed")
    assert landed(deployment) == before
    shown = run(deployment, "prune_data")
    assert (shown["sessions"], shown["files"]) == ("- old", 6)
    assert landed(deployment) == {"unsealed": 6, "new": 6}
    assert len(deployment.stored("old")) == 12
    checks = deployment.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_check_selection={dg.AssetCheckKey(dg.AssetKey("messages"), "counts_agree")}
    )
    [found] = checks.execute_in_process(instance=deployment.instance).get_asset_check_evaluations()
    assert found.passed, found.metadata
    assert run(deployment, "prune_data")["files"] == 0


def test_what_changed_since_its_seal_stays(deployment: Deployment) -> None:
    """Until it is sealed again; files of a session that is no more go by their own age."""
    deployment.add_sessions(session("old", OLD))
    deployment.post(*every_minute(OLD, 12))
    seal_now(deployment.services, "old")
    deployment.post(message(OLD + timedelta(minutes=1)))
    backfill_session(deployment.services, "old")
    stray = deployment.settings.data_dir / "landing" / "forgotten" / "T+000m" / "1.json"
    stray.parent.mkdir(parents=True)
    stray.write_text("{}")
    done = apply_retention(deployment.services, dry_run=False)
    assert (done.sessions, done.kept) == ((), {"old": "it has changed since it was sealed"})
    later = NOW + timedelta(days=31)
    assert apply_retention(deployment.services, dry_run=False, now=later).sessions == ("forgotten",)
    assert not stray.exists()


def test_refused_exports_in_quarantine_go_with_their_age(deployment: Deployment, tmp_path: Path) -> None:
    """Each with its reason."""
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{")
    kept = deployment.services.landing.quarantine(damaged, "it is damaged")
    assert apply_retention(deployment.services, dry_run=False).quarantined == 0
    done = apply_retention(deployment.services, dry_run=False, now=NOW + timedelta(days=31))
    assert (done.quarantined, done.files) == (1, 2)
    assert not kept.exists()


def test_raw_readings_are_put_together_by_day_and_go_with_their_age(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """By default none goes, and a day that is past becomes one file for each channel."""
    deployment = deploy(tmp_path, instance)
    store = deployment.services.landing.raw
    reading = RawReading(NOW, "gateway", "MESSAGE_CREATE", msgspec.Raw(b"{}"))
    for age in (0, 2, 2, 40):
        for segment in store.segments({(7, 500): [reading]}, f"c{age}", NOW - timedelta(days=age)):
            write_segment(replace(segment, path=segment.path.with_name(f"{uuid4().hex}.jsonl.zst")))
    shown = run(deployment, "prune_data", dry_run=True)
    assert (shown["raw_days"], shown["raw_files"], len(store.files((7, 500)))) == (2, 0, 4)
    assert run(deployment, "prune_data")["raw_days"] == 2
    assert len(store.files((7, 500))) == 3
    aged = replace(
        deployment.services, settings=deployment.settings.model_copy(update={"retain_raw_days": 30})
    )
    done = apply_retention(aged, dry_run=False)
    assert (done.raw_files, done.files, len(store.files((7, 500)))) == (1, 1, 2)
    assert apply_retention(aged, dry_run=True).is_empty


def test_old_events_go_and_the_schedule_rests_without_any(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Raw exports are kept for ever unless a setting says otherwise."""
    deployment = deploy(tmp_path, instance)
    assert deployment.tick_schedule("prune_data_schedule") == "nothing is past its age"
    events = [
        Event(EventType.SYSTEM_ERROR, f"journey {days}", "test", NOW - timedelta(days=days))
        for days in (1, 91)
    ]
    deployment.services.database.run(lambda connection: publish(connection, events))
    assert isinstance(deployment.tick_schedule("prune_data_schedule"), dg.RunRequest)
    assert run(deployment, "prune_data", dry_run=True)["events"] == 1
    assert run(deployment, "prune_data")["events"] == 1
    with deployment.services.database.read() as connection:
        assert count_events(connection, NOW) == 1


def test_install_intents_go_after_their_grace_period(deployment: Deployment) -> None:
    """Five minutes after they expired, not before."""
    schedule = "purge_install_intents_schedule"
    fresh = begin(deployment, timedelta(seconds=200))
    assert deployment.tick_schedule(schedule) == "no install intent is past its grace period"
    begin(deployment, timedelta(seconds=400))
    assert isinstance(deployment.tick_schedule(schedule), dg.RunRequest)
    assert run(deployment, "purge_install_intents", dry_run=True)["intents"] == 1
    assert run(deployment, "purge_install_intents")["intents"] == 1
    assert run(deployment, "purge_install_intents")["intents"] == 0
    with deployment.services.database.read() as connection:
        assert find_intent(connection, fresh) is not None


def test_the_command_does_the_same(tmp_path: Path, deployment: Deployment) -> None:
    """`ingest prune`, first dry."""
    begin(deployment, timedelta(seconds=400))
    cli = Cli(tmp_path, {"INGEST_RETAIN_LANDINGS_DAYS": "30"})
    assert "would delete 0 events, 1 install intents" in cli("prune", "--dry-run").stdout
    outcome = cli("prune", "--json")
    assert (outcome.code, outcome.json["install_intents"], outcome.json["dry_run"]) == (0, 1, False)
    assert cli("prune", "--json").json["install_intents"] == 0
