"""Guilds, channels and users as assets, looked at through a simulated Discord."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.guild import Channel, Guild
from ingest_pipeline.storage.catalogue.guilds import describe_channels, list_guilds, save_channels, save_guild
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.readings import Reading, staged
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy, failures

NOW = datetime(2025, 9, 7, 13, tzinfo=UTC)
SCHEDULE = "catalogue_sync_schedule"


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def bot(tmp_path: Path, instance: dg.DagsterInstance, server: DiscordServer) -> Deployment:
    """A deployment with a bot."""
    return deploy(tmp_path, instance, discord_bot_token=SecretStr(server.token))


def sync(deployment: Deployment) -> dg.ExecuteInProcessResult:
    """Run the job."""
    job = deployment.definitions.resolve_job_def("catalogue_sync")
    return job.execute_in_process(instance=deployment.instance, raise_on_error=False)


def reported(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Return the metadata of what was materialised, by asset."""
    return {
        event.materialization.asset_key.to_user_string(): {
            key: value.value for key, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def test_the_catalogue_follows_discord(bot: Deployment, server: DiscordServer) -> None:
    """New, changed and gone things are counted; messages of what is gone stay."""
    home, other = server.guilds.create("Paddock"), server.guilds.create("Elsewhere")
    radio = server.channels.create(home, "team|radio")
    doomed = server.channels.create(home, "doomed")
    server.messages.post(radio, "Box, box.")
    rows = staged([Reading(each, channel_id=radio) for each in (1, 2)])
    with bot.services.database.write() as connection:
        merge_messages(connection, rows, now=NOW)
    result = sync(bot)
    assert result.success
    first = reported(result)
    assert set(first) == {"guilds", "channels", "users"}
    assert (first["guilds"]["created"], first["guilds"]["left"]) == (2, 0)
    assert (first["channels"]["created"], first["channels"]["messages"]) == (2, 2)
    assert (first["users"]["created"], first["users"]["dagster/row_count"]) == (1, 1)
    line = first["channels"]["channels"].splitlines()[2]
    assert line.startswith("| team\\|radio | text | readable | no | 2 |")
    assert line.endswith(" UTC |")
    assert f"| Paddock | {home} |" in first["guilds"]["guilds"]
    server.channels.delete(doomed)
    server.channels.rename(radio, "radio")
    server.guilds.remove(other)
    second = reported(sync(bot))
    guilds, channels = second["guilds"], second["channels"]
    assert (guilds["dagster/row_count"], guilds["created"], guilds["left"]) == (2, 0, 1)
    assert (channels["created"], channels["updated"], channels["deleted"]) == (0, 1, 1)
    with bot.services.database.read() as connection:
        states = {row["channel_id"]: row["reading_state"] for row in describe_channels(connection)}
        left = {row["guild_id"]: row["left_at"] is not None for row in list_guilds(connection)}
    assert states == {radio: "readable", doomed: "missing"}
    assert left == {home: False, other: True}


def test_without_a_bot_guilds_and_channels_are_left_as_they_are(deployment: Deployment) -> None:
    """The run succeeds and says why nothing was looked at; users need no bot."""
    with deployment.services.database.write() as connection:
        save_guild(connection, Guild(1, "Paddock", joined_at=NOW), now=NOW)
        save_channels(connection, [Channel(2, 1, "team-radio")], now=NOW)
        merge_messages(connection, staged([Reading()]), now=NOW)
    result = sync(deployment)
    assert result.success
    assert set(reported(result)) == {"users"}
    [record] = deployment.instance.fetch_observations(dg.AssetKey("guilds"), limit=5).records
    observation = record.event_log_entry.asset_observation
    assert observation is not None
    assert "DISCORD_BOT_TOKEN is not set" in str(observation.metadata["skipped"].value)
    with deployment.services.database.read() as connection:
        assert [row["left_at"] for row in list_guilds(connection)] == [None]
    assert "DISCORD_BOT_TOKEN is not set" in str(deployment.tick_schedule(SCHEDULE))


def test_the_schedule_is_on_where_there_is_a_bot(bot: Deployment, deployment: Deployment) -> None:
    """And asks for a run."""
    statuses = [each.definitions.resolve_schedule_def(SCHEDULE).default_status for each in (bot, deployment)]
    assert statuses == [dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED]
    assert isinstance(bot.tick_schedule(SCHEDULE), dg.RunRequest)
    assert bot.definitions.resolve_schedule_def(SCHEDULE).cron_schedule == "*/15 * * * *"


def test_a_token_that_is_not_accepted_fails_the_run_and_is_never_shown(
    tmp_path: Path, instance: dg.DagsterInstance, server: DiscordServer
) -> None:
    """It takes a person, so it is not tried again."""
    refused = deploy(tmp_path, instance, discord_bot_token=SecretStr("an-invented-bot-token"))
    result = sync(refused)
    assert not result.success
    assert "Discord does not accept the bot's token" in str(failures(result))
    assert "an-invented-bot-token" not in str(result.all_events)
