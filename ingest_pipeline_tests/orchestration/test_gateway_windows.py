"""What the bot stored, as Dagster shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.storage.touched_windows import TouchedWindow, touch_windows
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy, session

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)


@pytest.fixture
def deployment(tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """A deployment with a bot and a session."""
    deployed = deploy(tmp_path, instance, DISCORD_BOT_TOKEN=SecretStr("an-invented-token"))
    deployed.add_sessions(session())
    return deployed


def touch(deployment: Deployment, *keys: str, session_id: str = "monza", at: datetime = NOW) -> None:
    """Write to windows as the bot does."""
    windows = [TouchedWindow(session_id, key) for key in keys]
    deployment.services.database.run(lambda connection: touch_windows(connection, windows, now=at))


def tick(deployment: Deployment, cursor: str | None = None, *, recorded: bool = True) -> dg.SensorResult:
    """Evaluate the sensor, and record its events as the daemon does."""
    sensor = deployment.definitions.resolve_sensor_def("gateway_windows_sensor")
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    for event in result.asset_events if recorded else ():
        deployment.instance.report_runless_asset_event(event)
    return result


def told(result: dg.SensorResult) -> list[str | None]:
    """Return the partitions of `messages` that a tick tells of."""
    return [event.partition for event in result.asset_events if event.asset_key == dg.AssetKey("messages")]


def test_windows_the_bot_wrote_to_are_materialised(deployment: Deployment) -> None:
    """Once each, with how many messages they hold."""
    touch(deployment, "T+000m", "T+005m")
    first = tick(deployment)
    assert told(first) == ["monza|T+000m", "monza|T+005m"]
    shown = deployment.materialisations("messages")
    assert shown["monza|T+000m"]["source"] == "gateway"
    assert shown["monza|T+000m"]["dagster/partition_row_count"] == 0
    again = tick(deployment, first.cursor)
    assert told(again) == []
    assert again.skip_reason is not None
    touch(deployment, "T+005m", at=NOW + timedelta(seconds=1))
    assert told(tick(deployment, again.cursor)) == ["monza|T+005m"]


def test_the_content_of_the_windows_is_told_with_them(deployment: Deployment) -> None:
    """The bot reads what messages say in the batch that stores them."""
    touch(deployment, "T+000m")
    assert [event.asset_key.to_user_string() for event in tick(deployment).asset_events] == [
        "messages",
        "team_radio",
        "trade_setups",
        "clips",
        "highlights",
    ]
    shown = deployment.materialisations("team_radio")["monza|T+000m"]
    assert (shown["source"], shown["dagster/partition_row_count"]) == ("gateway", 0)


def test_a_tick_that_was_lost_is_made_up_for(deployment: Deployment) -> None:
    """The daemon died before it recorded anything: its cursor is the old one."""
    touch(deployment, "T+000m")
    tick(deployment, recorded=False)
    assert told(tick(deployment)) == ["monza|T+000m"]


def test_windows_of_sessions_that_are_gone_are_dropped(deployment: Deployment) -> None:
    """And do not keep the others from being told."""
    touch(deployment, "T+000m", session_id="removed")
    touch(deployment, "T+999m", "T+000m")
    result = tick(deployment)
    assert told(result) == ["monza|T+000m"]
    assert told(tick(deployment, result.cursor)) == []


def test_without_a_bot_there_is_no_such_sensor(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Nothing would ever write to its windows."""
    definitions = deploy(tmp_path, instance).definitions
    assert "gateway_windows_sensor" not in {sensor.name for sensor in definitions.sensors or []}
