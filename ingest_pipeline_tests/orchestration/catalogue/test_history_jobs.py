"""A guild's history is imported by a job, and what the HTTP interface queued is read by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.orchestration.catalogue.history_jobs import ScanLog
from ingest_pipeline.storage.runs.scan_runs import RunKind, ScanRun, requested_runs
from ingest_pipeline_tests.api_worlds import WRITE_TOKEN, client_of, writer
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy, failures

NOW = datetime.now(UTC)


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def guild(server: DiscordServer) -> int:
    """A guild that the bot is in."""
    return server.guilds.create("Paddock")


@pytest.fixture
def radio(server: DiscordServer, guild: int) -> int:
    """A channel with messages that were posted an hour ago."""
    channel = server.channels.create(guild, "team-radio")
    server.messages.bulk_load(channel, 120, ends=NOW - timedelta(hours=1))
    return channel


@pytest.fixture
def paddock(tmp_path: Path, instance: dg.DagsterInstance, server: DiscordServer) -> Deployment:
    """A deployment with a bot."""
    return deploy(
        tmp_path, instance, DISCORD_BOT_TOKEN=SecretStr(server.token), api_token=SecretStr(WRITE_TOKEN)
    )


def run(deployment: Deployment, job: str, **config: Any) -> dg.ExecuteInProcessResult:
    """Run a job."""
    run_config = {"ops": {"import_guild": {"config": config}}} if config else {}
    return deployment.definitions.resolve_job_def(job).execute_in_process(
        instance=deployment.instance, run_config=run_config, raise_on_error=False
    )


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return what a run shows."""
    [output] = [event.step_output_data for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.metadata.items()}


def tick(deployment: Deployment, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate the sensor once."""
    sensor = deployment.definitions.resolve_sensor_def("scan_runs_sensor")
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


def test_a_guild_is_imported_and_the_run_shows_each_channel(
    paddock: Deployment, guild: int, radio: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Counts, what was left out, and how far it came in its log; a second run reads what came since."""
    result = run(paddock, "import_history", guild_id=str(guild))
    assert result.success
    reported = shown(result)
    assert (reported["complete"], reported["messages_read"], reported["messages_of_the_guild"]) == (
        True,
        120,
        120,
    )
    [row] = [record.data for record in reported["channels"].records]
    assert (row["channel"], row["name"], row["status"]) == (str(radio), "team-radio", "completed")
    assert f"channel {radio}: 120 messages read" in capfd.readouterr().err
    forced = shown(run(paddock, "import_history", guild_id=str(guild), channel_ids=[str(radio)], force=True))
    assert (forced["messages_read"], forced["rows_changed"]) == (120, 0)


def test_an_import_that_cannot_be_whole_fails_with_what_to_do(
    paddock: Deployment, server: DiscordServer, guild: int, radio: int
) -> None:
    """A channel that was asked for and is closed; a guild that is not one."""
    server.permissions.revoke(radio)
    result = run(paddock, "import_history", guild_id=str(guild), channel_ids=[str(radio)])
    [failure] = failures(result)
    assert "Read Message History" in failure.user_failure_data.description
    [failure] = failures(run(paddock, "import_history", guild_id="paddock"))
    assert "'paddock' is not a Discord id" in failure.user_failure_data.description


def test_imports_run_one_at_a_time(paddock: Deployment) -> None:
    """The queue holds a second one back, whoever starts it."""
    for name in ("import_history", "read_scan_runs"):
        assert paddock.definitions.resolve_job_def(name).tags["ingest/single"] == name


def test_what_the_interface_queued_is_read_by_itself(
    paddock: Deployment, server: DiscordServer, guild: int, radio: int
) -> None:
    """Queued, asked for once, read, shown as completed with its counts; then the sensor rests."""
    assert run(paddock, "import_history", guild_id=str(guild)).success
    assert reason(tick(paddock)) == "no scan run is queued"
    server.messages.post(radio, "new")
    with client_of(paddock.services, now=None) as client:
        wanted = {"channel_id": str(radio), "kind": "catch_up"}
        queued = client.post("/scan-runs", json=wanted, headers=writer()).json()
        assert queued["status"] == "queued"
        assert len(tick(paddock).run_requests or []) == 1
        result = run(paddock, "read_scan_runs")
        assert shown(result)["scan_runs"] == 1
        now = client.get(f"/scan-runs/{queued['scan_run_id']}").json()
    assert (now["status"], now["rows_changed"], now["error"]) == ("completed", 1, None)
    assert reason(tick(paddock)) == "no scan run is queued"
    with paddock.services.database.read() as connection:
        assert requested_runs(connection) == []


def test_a_reading_that_fails_is_reported_and_not_asked_for_again_and_again(
    paddock: Deployment, server: DiscordServer, guild: int, radio: int
) -> None:
    """The run says which channel and why, so does the scan run; a token that is refused makes it wait."""
    assert run(paddock, "import_history", guild_id=str(guild)).success
    server.permissions.revoke(radio)
    with client_of(paddock.services, now=None) as client:
        wanted = {"channel_id": str(radio), "kind": "catch_up"}
        queued = client.post("/scan-runs", json=wanted, headers=writer()).json()
        asked = tick(paddock)
        assert len(asked.run_requests or []) == 1
        assert reason(tick(paddock, asked.cursor)) == "1 scan runs will be tried again later"
        result = run(paddock, "read_scan_runs")
        assert not result.success
        assert str(radio) in failures(result)[0].user_failure_data.description
        now = client.get(f"/scan-runs/{queued['scan_run_id']}").json()
    assert now["status"] == "blocked"
    assert now["error"]
    assert reason(tick(paddock, asked.cursor)) == "no scan run is queued"


def test_without_a_bot_nothing_is_read(deployment: Deployment) -> None:
    """Sensor and jobs say so in one line."""
    assert reason(tick(deployment)) == "skipped: DISCORD_BOT_TOKEN is not set"
    assert run(deployment, "read_scan_runs").success
    assert run(deployment, "import_history", guild_id="1").success


def test_progress_is_reported_now_and_then() -> None:
    """A channel's first batch and its end, not every batch between."""
    lines: list[str] = []
    log = ScanLog(lines.append)
    for cursor in (100, 200, 300, 900):
        log(
            ScanRun(
                "r", 1, 2, RunKind.IMPORT, 0, "c", NOW, head_id=900, cursor_id=cursor, messages_read=cursor
            )
        )
    assert [line.split(" messages")[0] for line in lines] == ["channel 2: 100", "channel 2: 900"]
