"""A guild's scheduled events become sessions while the bot runs."""

from __future__ import annotations

import pytest

from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.running_bot import RunningBot
from ingest_pipeline_tests.unit.userconfig.schedules.test_races import EVENT

EVENT_ID = EVENT["id"]
COMING = EVENT | {
    "scheduled_start_time": "2030-12-06T13:00:00+00:00",
    "scheduled_end_time": "2030-12-06T15:00:00+00:00",
}


@pytest.fixture
def subscribed(archive: Archive, guild: int) -> Archive:
    """The archive of a deployment that subscribes to the guild's events."""
    settings = archive.services.settings
    settings.data_dir.mkdir(exist_ok=True)
    settings.settings_file.write_text(f"schedules: {{meetings: {{discord_guild_id: {guild}}}}}\n")
    return archive


def test_scheduled_events_are_followed_as_they_change(
    subscribed: Archive, server: DiscordServer, guild: int
) -> None:
    """Made, moved, deleted: created, updated, cancelled; fields that discord.py misses end nothing."""
    session_id = f"discord-event-{EVENT_ID}"

    def state() -> dict[str, str]:
        return {
            each.session_id: "cancelled" if each.is_cancelled else f"{each.start_time:%H:%M}"
            for each in subscribed.read(list_sessions)
        }

    with RunningBot(subscribed) as bot:
        server.guilds.schedule(guild, COMING)
        bot.wait_for(lambda: state() == {session_id: "13:00"}, "the session")
        server.guilds.schedule(guild, COMING | {"scheduled_start_time": "2030-12-06T14:00:00+00:00"})
        bot.wait_for(lambda: state() == {session_id: "14:00"}, "the session that was moved")
        server.guilds.unschedule(guild, EVENT_ID)
        bot.wait_for(lambda: state() == {session_id: "cancelled"}, "the session that was cancelled")
    assert len(server.journal.identifies) == 1
