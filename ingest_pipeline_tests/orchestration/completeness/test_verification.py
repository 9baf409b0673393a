"""The table is compared with Discord by a schedule, and an asset check shows what differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.history.history_import import import_history_now
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    Deployment,
    deploy,
    every_minute,
    message,
    session,
)

SCHEDULE = "verify_messages_schedule"
START = (datetime.now(UTC) - timedelta(hours=2)).replace(second=0, microsecond=0)


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A session of two hours ago that was read whole."""
    deployment.add_sessions(session(start=START))
    deployment.post(*every_minute(START, 12))
    backfill_session(deployment.services, "monza")
    return deployment


def verify(deployment: Deployment, **config: Any) -> list[dg.AssetCheckEvaluation]:
    """Run the job and return what its check found."""
    job = deployment.definitions.resolve_job_def("verify_messages")
    result = job.execute_in_process(
        instance=deployment.instance, run_config={"ops": {"verification": {"config": config}}}
    )
    return list(result.get_asset_check_evaluations())


def rows(found: dg.AssetCheckEvaluation, name: str) -> list[Any]:
    """Return the rows of a table of a check's metadata."""
    table = found.metadata[name]
    assert isinstance(table, dg.TableMetadataValue)
    return [record.data for record in table.records]


def test_what_agrees_passes_and_what_is_missing_fails_with_a_table_of_it(monza: Deployment) -> None:
    """Message by message: each difference with its reason, and an error as it is a deficit."""
    [found] = verify(monza)
    assert (found.passed, found.description) == (True, "exact in 1 readings")
    [row] = rows(found, "channels")
    assert (row["read_by"], row["on_discord"], row["in_table"]) == ("exporter", 12, 12)
    late = message(START + timedelta(minutes=3))
    monza.post(late)
    [found] = verify(monza)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "session monza" in str(found.description)
    [row] = rows(found, "differences")
    assert (row["message"], row["reason"]) == (late["id"], "lost")
    assert rows(found, "channels")[0]["result"] == "1 lost"


def test_what_the_table_has_beyond_an_export_only_warns(monza: Deployment) -> None:
    """It may be deleted or hidden: the exporter cannot distinguish the two."""
    world = json.loads((monza.folder / "world.json").read_text())
    gone = world["channels"][0]["messages"].pop(4)
    (monza.folder / "world.json").write_text(json.dumps(world))
    [found] = verify(monza)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert [(row["message"], row["reason"]) for row in rows(found, "differences")] == [
        (gone["id"], "deletion_missed")
    ]


def test_a_channel_that_cannot_be_read_is_a_deficit(monza: Deployment) -> None:
    """Nobody knows what is missing there."""
    monza.fault("forbidden-channel")
    [found] = verify(monza)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert str(CHANNEL_ID) in rows(found, "channels")[0]["result"]


def test_a_bot_reads_samples_of_its_channels(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """The setting says how many, the run's configuration may say otherwise."""
    with DiscordServer() as server, attached(server):
        guild = server.guilds.create("Paddock")
        radio = server.channels.create(guild, "team-radio")
        server.messages.bulk_load(radio, 150, ends=datetime.now(UTC) - timedelta(hours=1))
        deployment = deploy(tmp_path, instance, DISCORD_BOT_TOKEN=SecretStr(server.token), verify_sample=100)
        import_history_now(deployment.services, guild)
        assert isinstance(deployment.tick_schedule(SCHEDULE), dg.RunRequest)
        [found] = verify(deployment)
        assert (found.passed, found.metadata["sampled"].value) == (True, True)
        [found] = verify(deployment, sample=0, guild_id=str(guild))
        assert (found.metadata["on_discord"].value, found.metadata["sampled"].value) == (150, False)
        [row] = rows(found, "channels")
        assert (row["read_by"], row["name"], row["result"]) == ("bot", "team-radio", "exact")


def test_a_materialisation_does_not_carry_it(monza: Deployment) -> None:
    """Neither the job of the ticks, nor a run from the catalogue, reads anything more than it has to."""
    calls = len(monza.exporter_calls())
    result = monza.run("monza|T+000m")
    assert "verification" not in {event.step_key for event in result.all_events}
    by_hand = monza.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey("messages")}
    )
    found = by_hand.execute_in_process(instance=monza.instance, partition_key="monza|T+000m")
    names = {each.check_name for each in found.get_asset_check_evaluations()}
    assert "counts_agree" in names
    assert "agrees_with_discord" not in names
    assert len(monza.exporter_calls()) == calls + 1


def test_the_schedule_rests_when_there_is_nothing_to_verify(deployment: Deployment) -> None:
    """No session of the last days, no channel: no run, and one line that says so."""
    deployment.add_sessions(session(start=START - timedelta(days=30)))
    assert "no session of the last days" in str(deployment.tick_schedule(SCHEDULE))
    deployment.add_sessions(session("live", start=datetime.now(UTC) - timedelta(minutes=10), minutes=60))
    assert "no session of the last days" in str(deployment.tick_schedule(SCHEDULE))
    deployment.add_sessions(session("spa", start=START))
    assert isinstance(deployment.tick_schedule(SCHEDULE), dg.RunRequest)


def test_without_a_token_it_is_skipped(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """By the schedule and by the job alike."""
    deployment = deploy(tmp_path, instance, discord_oauth_token=None)
    deployment.add_sessions(session(start=START))
    assert "DISCORD_BOT_TOKEN" in str(deployment.tick_schedule(SCHEDULE))
    assert verify(deployment) == []


def test_the_schedule_runs_when_the_settings_say(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """In UTC, and one at a time."""
    deployment = deploy(tmp_path, instance, verify_cron="0 3 * * 1")
    schedule = deployment.definitions.resolve_schedule_def(SCHEDULE)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * 1", "UTC")
    job = deployment.definitions.resolve_job_def("verify_messages")
    assert job.tags["ingest/single"] == "verify_messages"
