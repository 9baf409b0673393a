"""A permission that the bot loses is reported with what to grant: in Dagster and in the status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.guild import Channel, ChannelAccess, Guild
from ingest_pipeline.history.history_import import import_history_now
from ingest_pipeline.monitoring.permissions import unreadable_channels
from ingest_pipeline.storage.catalogue.guilds import save_channels, save_guild, set_monitor_patterns
from ingest_pipeline_tests.api_worlds import client_of
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy

SCHEDULE = "check_permissions_schedule"


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
    """A channel of it."""
    return server.channels.create(guild, "team-radio")


@pytest.fixture
def paddock(
    tmp_path: Path, instance: dg.DagsterInstance, server: DiscordServer, guild: int, radio: int
) -> Deployment:
    """A deployment whose bot monitors the channel."""
    deployment = deploy(tmp_path, instance, DISCORD_BOT_TOKEN=SecretStr(server.token))
    import_history_now(deployment.services, guild)
    now = datetime.now(UTC)
    deployment.services.database.run(lambda c: set_monitor_patterns(c, guild, ["team-*"], now=now))
    return deployment


def check(deployment: Deployment, job: str = "check_permissions") -> dg.AssetCheckEvaluation:
    """Run a job and return what the check found."""
    result = deployment.definitions.resolve_job_def(job).execute_in_process(instance=deployment.instance)
    [found] = [
        each
        for each in result.get_asset_check_evaluations()
        if each.check_name == "monitored_channels_can_be_read"
    ]
    return found


def rows(found: dg.AssetCheckEvaluation) -> list[Any]:
    """Return the channels of a check's metadata."""
    table = found.metadata["channels"]
    assert isinstance(table, dg.TableMetadataValue)
    return [record.data for record in table.records]


def test_a_lost_permission_is_found_with_what_to_grant(
    paddock: Deployment, server: DiscordServer, guild: int, radio: int
) -> None:
    """The job asks again; the status shows it too, and it is gone when it is granted again."""
    found = check(paddock)
    assert (found.passed, found.description, found.metadata["monitored"].value) == (True, "1 can be read", 1)
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    found = check(paddock)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "grant the bot Read Message History" in str(found.description)
    [row] = rows(found)
    assert (row["guild"], row["channel"], row["state"]) == ("Paddock", "team-radio", "no_history")
    with client_of(paddock.services, now=None) as client:
        [reported] = client.get("/status").json()["unreadable_channels"]
    assert (reported["channel_id"], reported["reading_state"]) == (str(radio), "no_history")
    assert reported["remedy"] == row["what_to_do"]
    server.permissions.grant(radio)
    assert check(paddock, "catalogue_sync").passed
    server.permissions.revoke(radio)
    [row] = rows(check(paddock, "catalogue_sync"))
    assert row["what_to_do"] == "grant the bot View Channel and Read Message History there"


def test_the_schedule_rests_without_monitored_channels_and_without_a_bot(
    paddock: Deployment, deployment: Deployment, guild: int
) -> None:
    """One line says why; without a bot it is off, and the job looks at nothing."""
    assert isinstance(paddock.tick_schedule(SCHEDULE), dg.RunRequest)
    paddock.services.database.run(lambda c: set_monitor_patterns(c, guild, [], now=datetime.now(UTC)))
    assert paddock.tick_schedule(SCHEDULE) == "no channel is monitored"
    assert deployment.tick_schedule(SCHEDULE) == "skipped: DISCORD_BOT_TOKEN is not set"
    schedule = deployment.definitions.resolve_schedule_def(SCHEDULE)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    result = deployment.definitions.resolve_job_def("check_permissions").execute_in_process(
        instance=deployment.instance
    )
    assert result.success
    assert result.get_asset_check_evaluations() == []


def test_each_state_has_its_remedy(deployment: Deployment) -> None:
    """By the kind of channel; what nobody has looked at is no finding, nor is a guild that was left."""
    states = {
        "radio": ("text", ChannelAccess.READABLE),
        "quiet": ("text", ChannelAccess.UNKNOWN),
        "voice": ("voice", ChannelAccess.FORBIDDEN),
        "thread": ("private_thread", ChannelAccess.FORBIDDEN),
        "gone": ("text", ChannelAccess.MISSING),
    }
    channels = [
        Channel(10 + number, 1, name, kind, reading_state=state)
        for number, (name, (kind, state)) in enumerate(states.items())
    ]
    now = datetime.now(UTC)
    with deployment.services.database.write() as connection:
        save_guild(connection, Guild(1, "Paddock"), now=now)
        save_channels(connection, channels, now=now)
        set_monitor_patterns(connection, 1, ["*"], now=now)
    with deployment.services.database.read() as connection:
        found = {each.channel.name: each.remedy for each in unreadable_channels(connection)}
    assert set(found) == {"voice", "thread", "gone"}
    assert "Connect" in found["voice"]
    assert "add the bot to the thread" in found["thread"]
    assert "deleted" in found["gone"]
