"""What the bot makes up for: outages, permissions, detector, its own death."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest_pipeline.bot.supervision import BotEnded
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.events import EventChannel, EventType
from ingest_pipeline.storage.catalogue.guilds import list_guilds
from ingest_pipeline.storage.gateway.refetch_queue import list_watched
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.runs.events import latest_events
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.transport import Ending
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.running_bot import RunningBot
from ingest_pipeline_tests.live_bot.traffic import Traffic

HISTORY = "history"
NEVER = 1000.0
LAZY = replace(QUICK, coverage_read_seconds=NEVER)
ON_ONE_ENGINE = pytest.mark.parametrize("settings", ["postgres"], indirect=True)


def changes(server: DiscordServer, channel: int, ids: list[int]) -> None:
    """Let everything happen that a gap can hide."""
    server.messages.post(channel, "posted meanwhile")
    server.messages.edit(channel, ids[0], "edited meanwhile")
    server.messages.delete(channel, ids[1])
    server.messages.react(channel, ids[2], "🔥")
    server.messages.pin(channel, ids[3])


@pytest.mark.slow
def test_an_outage_with_a_new_session_is_made_up_for(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Posts, and also edits, deletions, reactions and pins of what was there before."""
    ids = server.messages.bulk_load(radio, 10)
    with RunningBot(archive, LAZY) as bot:
        with server.gateway.outage(forget=True):
            changes(server, radio, ids)
        bot.wait_for(lambda: len(server.journal.identifies) > 1, "a new session")
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []


@ON_ONE_ENGINE
def test_catching_up_does_not_wait_for_quiet(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A channel in which something happens all the time is caught up on while it does."""
    ids = server.messages.bulk_load(radio, 10)
    traffic = Traffic(server, {radio: list(ids)}, posts=100_000, seconds=1_000.0)
    with RunningBot(archive, LAZY) as bot:
        traffic.start()
        with server.gateway.outage(forget=True):
            missed = server.messages.post(radio, "posted meanwhile")
        bot.wait_for(lambda: missed in archive.live_ids(radio), "what was missed")

        def owes_nothing() -> bool:
            watched = archive.read(list_watched)
            return watched[radio].missed_since is None

        bot.wait_for(owes_nothing, "the catch-up")
        assert not traffic.is_over()
        traffic.stop()
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []


@pytest.mark.slow
@ON_ONE_ENGINE
@pytest.mark.parametrize("ending", list(Ending))
def test_every_way_a_connection_ends_is_survived(
    archive: Archive, server: DiscordServer, guild: int, radio: int, ending: Ending
) -> None:
    """By RESUME, which replays, or by a new session, which is caught up on."""
    ids = server.messages.bulk_load(radio, 10)
    server.faults.replay_overlap = 5
    with RunningBot(archive, LAZY) as bot:
        server.gateway.drop(ending)
        changes(server, radio, ids)
        bot.wait_for(
            lambda: len(server.journal.resumes) + len(server.journal.identifies) > 1, "a reconnection"
        )
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []
    assert len(server.journal.identifies) == (2 if ending is Ending.INVALID else 1)


@ON_ONE_ENGINE
@pytest.mark.parametrize(
    "bits", [permissions.VIEW_CHANNEL, permissions.READ_MESSAGE_HISTORY], ids=["view", "history"]
)
def test_a_permission_regained_is_caught_up_on(
    archive: Archive, server: DiscordServer, guild: int, radio: int, bits: int
) -> None:
    """By an overwrite or by a role, however soon it comes back."""
    ids = server.messages.bulk_load(radio, 10)
    with RunningBot(archive, LAZY) as bot:
        server.permissions.revoke(radio, bits)
        changes(server, radio, ids)
        server.permissions.grant(radio, bits)
        bot.settle_exactly(radio)
        assert archive.differences(server.truth(radio)) == []
        server.permissions.set_role(guild, permissions.READ_ONLY & ~bits)
        changes(server, radio, ids[5:])
        server.permissions.set_role(guild, permissions.READ_ONLY)
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []
    assert len(server.journal.identifies) == 1


@ON_ONE_ENGINE
def test_what_cannot_be_read_is_reported_and_waited_for(
    archive: Archive, server: DiscordServer, guild: int, radio: int, caplog: pytest.LogCaptureFixture
) -> None:
    """With the remedy, once; and what waits to be read again is read as soon as it can be."""
    ids = server.messages.bulk_load(radio, 3)
    with RunningBot(archive, LAZY) as bot:
        server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
        server.messages.react(radio, ids[0], "🔥")
        bot.wait_for(lambda: "grant it Read Message History" in caplog.text, "a warning")
        bot.wait_for(lambda: bool(server.journal.select("message", status=403)), "a refused read")
        server.permissions.grant(radio, permissions.READ_MESSAGE_HISTORY)
        bot.settle()
    assert caplog.text.count("grant it Read Message History") == 1
    assert archive.differences(server.truth(radio)) == []


@ON_ONE_ENGINE
def test_a_guild_that_goes_dark_and_comes_back_is_caught_up_on(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Discord's own outages leave a gap, too."""
    ids = server.messages.bulk_load(radio, 10)
    with RunningBot(archive, LAZY) as bot:
        server.guilds.go_dark(guild)
        changes(server, radio, ids)
        server.guilds.come_back(guild)
        bot.settle()
        bot.wait_for(lambda: archive.differences(server.truth(radio)) == [], "the missed messages")


@ON_ONE_ENGINE
def test_guilds_are_joined_and_left_while_the_bot_runs(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A new guild is monitored by the patterns and caught up on; one that is left stays in the catalogue.

    At once, not when the bot next looks at its guilds.
    """
    other = server.guilds.create("Pit wall", joined=False)
    channel = server.channels.create(other, "strategy")
    server.messages.bulk_load(channel, 5)
    with RunningBot(archive, replace(LAZY, upkeep_seconds=NEVER)) as bot:
        server.messages.post(radio, "the guilds have been looked at")
        bot.settle_exactly(radio)
        server.guilds.join(other)
        bot.wait_for(lambda: len(archive.live_ids(channel)) == 5, "the history of the new guild")
        server.messages.post(channel, "live")
        bot.settle_exactly(channel)
        assert archive.differences(server.truth(channel)) == []
        server.guilds.remove(guild)
        bot.wait_for(
            lambda: [row["left_at"] is not None for row in archive.read(list_guilds)] == [False, True],
            "the guild to be left",
        )


@pytest.mark.slow
@ON_ONE_ENGINE
@pytest.mark.parametrize("for_good", [False, True], ids=["a connection", "every connection"])
def test_a_deaf_gateway_is_found_out(
    archive: Archive, server: DiscordServer, guild: int, radio: int, *, for_good: bool
) -> None:
    """It acknowledges heartbeats and says nothing: what it keeps to itself is read, and it is reconnected."""
    now = datetime.now(UTC)
    session = Session("race", now - timedelta(minutes=1), now + timedelta(hours=1), (radio,))
    archive.write(lambda connection: save_sessions(connection, [session], now=now))
    server.messages.bulk_load(radio, 3)
    with RunningBot(archive, LAZY) as bot:
        # Its hearing is known from the first look at the live channel on.
        looked = len(server.journal.select(HISTORY, channel_id=radio))
        bot.wait_for(lambda: len(server.journal.select(HISTORY, channel_id=radio)) > looked + 1, "two looks")
        server.faults.deaf = for_good
        server.gateway.deafen()
        server.messages.post(radio, "undelivered")
        bot.wait_for(lambda: archive.differences(server.truth(radio)) == [], "the undelivered message")
        bot.wait_for(lambda: len(server.journal.resumes) >= 1, "a RESUME")
        if for_good:
            # A RESUME brings back what was undelivered before it; what comes after is undelivered again.
            server.messages.post(radio, "still undelivered")
            bot.wait_for(lambda: len(server.journal.identifies) >= 2, "a new session")
            server.faults.deaf = False
        server.messages.post(radio, "heard?")
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []


@pytest.mark.slow
def test_what_was_spooled_before_a_crash_never_brings_back_what_was_deleted_since(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Events wait in the spool, the bot is gone, a message is deleted: at the next start it stays deleted."""
    settings = archive.services.settings
    with RunningBot(archive, replace(LAZY, drain_seconds=0.2)) as bot:
        # A file with a mistake keeps every batch in the spool.
        settings.settings_file.write_text("channels: nonsense\n", encoding="utf-8")
        kept, doomed = (server.messages.post(radio, text) for text in ("kept", "doomed"))
        folder = settings.data_dir / "gateway"
        bot.wait_for(lambda: _spooled(folder) >= 2, "the events in the spool")
        assert archive.live_ids(radio) == []
        bot.stop()
    server.messages.delete(radio, doomed)
    settings.settings_file.unlink()
    with RunningBot(archive, LAZY):
        pass
    assert archive.live_ids(radio) == [kept]
    assert archive.differences(server.truth(radio)) == []


@pytest.mark.slow
def test_processing_that_fails_leaves_the_connection_alone_and_loses_nothing(
    archive: Archive, server: DiscordServer, guild: int, radio: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are received all the while and stored once it is possible again."""
    settings = archive.services.settings
    with RunningBot(archive, LAZY) as bot:
        settings.settings_file.write_text("channels: nonsense\n", encoding="utf-8")
        for number in range(5):
            server.messages.post(radio, f"message {number}")
        bot.wait_for(lambda: "ingestion failed" in caplog.text, "a failure")
        settings.settings_file.unlink()
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []
    assert len(server.journal.identifies) == 1


def test_a_stop_stores_what_was_received(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The last event too; and the bot's life is reported in order."""
    with RunningBot(archive, LAZY) as bot:
        server.messages.post(radio, "the last word")
        folder = archive.services.settings.data_dir / "gateway"
        bot.wait_for(lambda: _spooled(folder) >= 1, "the event in the spool")
        bot.stop()
    assert len(archive.live_ids(radio)) == 1
    reported = archive.read(lambda connection: latest_events(connection, channel=EventChannel.BOT))
    assert [event.event_type for event in reversed(reported)] == [
        EventType.BOT_STARTED,
        EventType.BOT_READY,
        EventType.BOT_STOPPED,
    ]


@ON_ONE_ENGINE
def test_discord_out_of_reach_at_the_start_is_waited_for(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Login and first connection are tried again, which discord.py itself does not do."""
    server.faults.gateway_down = "reset"
    server.faults.fail(503, Requests("current_user", times=2))
    server.messages.bulk_load(radio, 3)
    with RunningBot(archive, LAZY, connected=False) as bot:
        bot.wait_for(lambda: server.journal.refused_connections > 1, "refused connections")
        server.faults.gateway_down = None
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []


@ON_ONE_ENGINE
def test_a_token_that_is_not_accepted_ends_the_bot(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """At its start, and later when it is reset while the bot runs."""
    with RunningBot(archive, LAZY) as bot:
        server.faults.reject_token = True
        server.gateway.drop(forget=True)
        with pytest.raises(BotEnded, match="DISCORD_BOT_TOKEN"):
            bot.wait_for_end()
    with (
        RunningBot(archive, LAZY, connected=False) as bot,
        pytest.raises(BotEnded, match="DISCORD_BOT_TOKEN"),
    ):
        bot.wait_for_end()


@ON_ONE_ENGINE
def test_a_missing_intent_ends_the_bot(archive: Archive, server: DiscordServer, guild: int) -> None:
    """Without the content of messages there is nothing to archive."""
    server.faults.granted_intents = 0
    with RunningBot(archive, LAZY, connected=False) as bot, pytest.raises(BotEnded, match="content intent"):
        bot.wait_for_end()


@ON_ONE_ENGINE
def test_two_bots_do_not_share_a_folder(archive: Archive, server: DiscordServer, guild: int) -> None:
    """The second says so and leaves the first alone."""
    with RunningBot(archive, LAZY) as bot:
        with (
            RunningBot(archive, LAZY, connected=False) as second,
            pytest.raises(ConfigurationError, match="another bot"),
        ):
            second.wait_for_end()
        bot.settle()


def _spooled(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))
