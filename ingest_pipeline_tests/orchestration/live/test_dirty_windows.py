"""What the bot stored and what changes of sessions moved, as Dagster shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.orchestration.content.report_assets import session_states
from ingest_pipeline.storage.content.highlights import session_rates
from ingest_pipeline.storage.gateway.dirty_windows import DirtyWindow, mark_windows_dirty
from ingest_pipeline.storage.messages.membership import relinked_messages
from ingest_pipeline.storage.messages.sessions import list_sessions, save_sessions
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    deploy,
    every_minute,
    session,
)

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)


@pytest.fixture
def deployment(tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """A deployment with a bot and a session."""
    deployed = deploy(tmp_path, instance, DISCORD_BOT_TOKEN=SecretStr("an-invented-token"))
    deployed.add_sessions(session())
    return deployed


def touch(deployment: Deployment, *keys: str, session_id: str = "monza", at: datetime = NOW) -> None:
    """Write to windows as the bot does."""
    windows = [DirtyWindow(session_id, key) for key in keys]
    deployment.services.database.run(lambda connection: mark_windows_dirty(connection, windows, now=at))


def tick(deployment: Deployment, cursor: str | None = None, *, recorded: bool = True) -> dg.SensorResult:
    """Evaluate the sensor, and record its events as the daemon does."""
    sensor = deployment.definitions.resolve_sensor_def("changed_windows_sensor")
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    for event in result.asset_events if recorded else ():
        deployment.instance.report_runless_asset_event(event)
    return result


def reported(result: dg.SensorResult) -> list[str | None]:
    """Return the partitions of `messages` that a tick reports."""
    return [event.partition for event in result.asset_events if event.asset_key == dg.AssetKey("messages")]


def test_windows_the_bot_wrote_to_are_materialised(deployment: Deployment) -> None:
    """Once each, with how many messages they hold."""
    touch(deployment, "T+000m", "T+005m")
    first = tick(deployment)
    assert reported(first) == ["monza|T+000m", "monza|T+005m"]
    shown = deployment.materialisations("messages")
    assert shown["monza|T+000m"]["source"] == "gateway"
    assert shown["monza|T+000m"]["dagster/partition_row_count"] == 0
    again = tick(deployment, first.cursor)
    assert reported(again) == []
    assert again.skip_reason is not None
    touch(deployment, "T+005m", at=NOW + timedelta(seconds=1))
    assert reported(tick(deployment, again.cursor)) == ["monza|T+005m"]


def test_the_content_of_the_windows_is_reported_with_them(deployment: Deployment) -> None:
    """The bot reads what messages say in the batch that stores them."""
    touch(deployment, "T+000m")
    assert [event.asset_key.to_user_string() for event in tick(deployment).asset_events] == [
        "messages",
        "team_radio",
        "trade_setups",
        "clips",
        "highlights",
        "polls",
        "message_classes",
    ]
    shown = deployment.materialisations("team_radio")["monza|T+000m"]
    assert (shown["source"], shown["dagster/partition_row_count"]) == ("gateway", 0)


def test_a_tick_that_was_lost_is_made_up_for(deployment: Deployment) -> None:
    """The daemon died before it recorded anything: its cursor is the old one."""
    touch(deployment, "T+000m")
    tick(deployment, recorded=False)
    assert reported(tick(deployment)) == ["monza|T+000m"]


def test_windows_of_sessions_that_are_gone_are_dropped(deployment: Deployment) -> None:
    """They do not keep the others from being reported."""
    touch(deployment, "T+000m", session_id="removed")
    touch(deployment, "T+999m", "T+000m")
    result = tick(deployment)
    assert reported(result) == ["monza|T+000m"]
    assert reported(tick(deployment, result.cursor)) == []


@pytest.mark.slow
def test_the_windows_of_a_session_that_moved_are_reported_the_empty_ones_too(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Without a bot as well: what Dagster shows of a session is what it holds now."""
    deployment = deploy(tmp_path, instance)
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    assert counts(deployment) == {"monza|T+000m": 5, "monza|T+005m": 5, "monza|T+010m": 2}
    deployment.services.database.run(
        lambda connection: save_sessions(
            connection, [session(start=START - timedelta(minutes=10), minutes=14)], now=NOW
        )
    )
    result = tick(deployment)
    assert reported(result) == ["monza|T+000m", "monza|T+005m", "monza|T+010m"]
    expected = {"monza|T+000m": 0, "monza|T+005m": 0, "monza|T+010m": 4}
    assert {key: count for key, count in counts(deployment).items() if key in expected} == expected
    assert deployment.materialisations("messages")["monza|T+000m"]["source"] == "sessions"
    assert reported(tick(deployment, result.cursor)) == []


@pytest.mark.slow
def test_content_follows_a_change_of_sessions_that_nobody_read_it_after(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The tick reads it: what is usual in a session is worked out from the messages that it has."""
    deployment = deploy(tmp_path, instance)
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    deployment.services.database.run(
        lambda connection: save_sessions(connection, [session(minutes=5)], now=NOW)
    )
    with deployment.services.database.read() as connection:
        assert len(relinked_messages(connection, 100)) == 12
        assert session_rates(connection, ["monza"])[0] == {}
    tick(deployment)
    with deployment.services.database.read() as connection:
        assert relinked_messages(connection, 100) == []
        assert session_rates(connection, ["monza"])[0].keys() == {("monza", CHANNEL_ID)}


def test_a_report_is_due_again_when_whose_messages_they_are_changed(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The rows are as they were, and so is what they say."""
    deployment = deploy(tmp_path, instance)
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    now = START + timedelta(hours=1)

    def state() -> str:
        with deployment.services.database.read() as connection:
            return session_states(connection, list_sessions(connection), deployment.services, now)["monza"]

    before = state()
    deployment.services.database.run(
        lambda connection: save_sessions(connection, [session(minutes=5)], now=datetime.now(UTC))
    )
    assert state() != before


def counts(deployment: Deployment) -> dict[str, int]:
    """Return how many messages Dagster shows for each window."""
    shown = deployment.materialisations("messages")
    return {partition: each["dagster/partition_row_count"] for partition, each in shown.items()}
