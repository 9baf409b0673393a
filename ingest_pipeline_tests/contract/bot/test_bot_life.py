"""What is known of the bot's life: that it lives, that it stopped and why, that it is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from ingest_pipeline.bot.heartbeat import RunningOperations
from ingest_pipeline.bot.listener import run_bot
from ingest_pipeline.bot.supervision import BotEnded
from ingest_pipeline.events import Event, EventChannel, EventType
from ingest_pipeline.ingestion.batch_events import bot_event
from ingest_pipeline.monitoring.status import SILENCE, BotState, BotStatus, bot_status
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.runs.events import latest_events, publish
from ingest_pipeline.storage.runs.state import note_heartbeat
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.running_bot import RunningBot

NOW = datetime(2026, 9, 6, 13, 0, tzinfo=UTC)
BEAT = timedelta(seconds=15)
ON_ONE_ENGINE = pytest.mark.parametrize("settings", ["postgres"], indirect=True)


def test_the_last_report_of_the_bot_counts_as_long_as_its_heart_beats(database: Database) -> None:
    """A bot that was killed says nothing: it is lost once its heartbeat is old, since its last one."""
    with database.write() as connection:
        assert bot_status(connection, NOW) == BotStatus(BotState.UNKNOWN)
        publish(connection, [bot_event(EventType.BOT_READY, "run", NOW)])
        note_heartbeat(connection, NOW + BEAT)
        at_first = bot_status(connection, NOW + BEAT + SILENCE)
        later = bot_status(connection, NOW + BEAT + SILENCE + timedelta(seconds=1))
        publish(connection, [bot_event(EventType.BOT_STOPPED, "run", NOW + 2 * BEAT, {"reason": "token"})])
        stopped = bot_status(connection, NOW + timedelta(days=1))
    assert at_first == BotStatus(BotState.READY, NOW, NOW + BEAT)
    assert later == BotStatus(BotState.LOST, NOW + BEAT, NOW + BEAT)
    assert stopped == BotStatus(BotState.STOPPED, NOW + 2 * BEAT, NOW + 2 * BEAT, "token")


@ON_ONE_ENGINE
def test_a_running_bot_is_reported_as_ready_and_a_stopped_one_as_stopped(
    archive: Archive, guild: int
) -> None:
    """With a heartbeat that goes on."""

    def status() -> BotStatus:
        return archive.read(lambda connection: bot_status(connection, datetime.now(UTC)))

    with RunningBot(archive, replace(QUICK, beat_seconds=0.1)) as bot:
        first = status()
        assert (first.state, first.reason) == (BotState.READY, None)
        beat = first.heartbeat_at
        assert beat is not None
        bot.wait_for(lambda: (status().heartbeat_at or NOW) > beat, "another heartbeat")
    assert status().state is BotState.STOPPED


@ON_ONE_ENGINE
def test_a_bot_that_discord_refuses_leaves_its_reason(archive: Archive, server: DiscordServer) -> None:
    """And no token in it."""
    with pytest.raises(BotEnded):
        asyncio.run(run_bot(archive.services, SecretStr("an-invented-token"), asyncio.Event(), options=QUICK))
    status = archive.read(lambda connection: bot_status(connection, datetime.now(UTC)))
    assert status.state is BotState.STOPPED
    assert status.reason is not None
    assert status.reason.startswith("Discord does not accept the bot's token")
    assert "an-invented-token" not in status.reason
    assert [event.event_type for event in system_events(archive)] == [EventType.SYSTEM_CONNECTION_REFUSED]


def system_events(archive: Archive) -> list[Event]:
    """Return what somebody may have to act on, newest first."""
    return archive.read(lambda connection: latest_events(connection, channel=EventChannel.SYSTEM))


@ON_ONE_ENGINE
def test_a_connection_that_is_lost_is_reported_once(
    archive: Archive, server: DiscordServer, guild: int
) -> None:
    """As an event of the system, however often the next one fails in the same way."""
    with RunningBot(archive, QUICK) as bot:
        assert system_events(archive) == []
        server.gateway.drop()
        bot.wait_for(lambda: bool(system_events(archive)), "an event")
        bot.settle()
    assert {event.event_type for event in system_events(archive)} == {EventType.SYSTEM_CONNECTION_LOST}
    assert all(event.data["message"] for event in system_events(archive))


@ON_ONE_ENGINE
def test_a_discord_out_of_reach_is_reported_once(archive: Archive, server: DiscordServer, guild: int) -> None:
    """With what was wrong, and not at every try."""
    server.faults.gateway_down = "reset"
    with RunningBot(archive, QUICK, connected=False) as bot:
        bot.wait_for(lambda: server.journal.refused_connections > 2, "refused connections")
        bot.wait_for(lambda: bool(system_events(archive)), "an event")
        server.faults.gateway_down = None
        bot.settle()
    [event] = system_events(archive)
    assert event.event_type is EventType.SYSTEM_CONNECTION_LOST
    assert event.data["error"] == "DiscordUnavailable"


@ON_ONE_ENGINE
def test_what_the_bot_is_doing_is_shown_while_it_does_it(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """By its tags, from its very first look at the guilds on; nothing once it is done."""

    def tags() -> set[str]:
        status = archive.read(lambda connection: bot_status(connection, datetime.now(UTC)))
        return {each.tag for each in status.operations}

    server.messages.bulk_load(radio, 3)
    server.faults.page_delay_seconds = 30
    server.faults.delay(2, Requests("my_guilds"))
    with RunningBot(archive, QUICK, connected=False) as bot:
        bot.wait_for(lambda: "sync:guilds" in tags(), "the look at the guilds")
        bot.wait_for(lambda: "catch-up:channels" in tags(), "the catch-up")
        server.faults.page_delay_seconds = 0
        bot.settle_exactly(radio)
        bot.wait_for(lambda: not tags(), "an end")


def test_an_operation_ends_however_its_block_does() -> None:
    """Also by an error; two of a kind are two."""

    async def live() -> list[list[str]]:
        operations, seen = RunningOperations(), []

        def see() -> None:
            seen.append([each.tag for each in operations.current()])

        async with operations.running("sync:guilds"), operations.running("sync:guilds"):
            see()
        with suppress(ValueError):
            async with operations.running("sync:channels"):
                see()
                raise ValueError
        see()
        return seen

    assert asyncio.run(live()) == [["sync:guilds", "sync:guilds"], ["sync:channels"], []]
