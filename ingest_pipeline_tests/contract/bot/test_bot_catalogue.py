"""The catalogue follows the gateway's events of guilds, channels and threads while the bot runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest_pipeline.bot.watchlist import BotCatalogue, Watchlist
from ingest_pipeline.sources.discord.discovery import guild_from
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import (
    describe_channels,
    find_guild,
    list_guilds,
    list_monitor_patterns,
    save_guild,
    set_monitor_patterns,
)
from ingest_pipeline.storage.catalogue.setting_overrides import save_channel_settings, save_guild_settings
from ingest_pipeline.userconfig.settings_file import default_monitor_patterns
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.running_bot import RunningBot

ON_ONE_ENGINE = pytest.mark.parametrize("settings", ["postgres"], indirect=True)
Expected = dict[int, dict[str, object]]


def follows(bot: RunningBot, archive: Archive, expected: Expected) -> None:
    """Wait until the catalogue knows channels as they are."""

    def knows() -> bool:
        known = {row["channel_id"]: row for row in archive.read(describe_channels)}
        return all(values.items() <= known.get(key, {}).items() for key, values in expected.items())

    bot.wait_for(knows, str(expected))


@pytest.mark.slow
def test_channels_and_threads_are_followed(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Made, renamed, moved, marked, archived and deleted, of every kind."""
    with RunningBot(archive) as bot:
        category = server.channels.create(guild, "Race", ChannelKind.CATEGORY)
        made = {
            kind.name.lower(): server.channels.create(guild, kind.name.lower(), kind)
            for kind in (ChannelKind.NEWS, ChannelKind.FORUM, ChannelKind.VOICE, ChannelKind.STAGE)
        }
        thread = server.threads.create(radio, "lap 1")
        post = server.threads.create_post(made["forum"], "Who wins?", "Discuss.")
        # In voice channels the bot lacks Connect, without which Discord shows no messages.
        expected: Expected = {
            channel_id: {
                "channel_type": name,
                "reading_state": "readable" if name in {"news", "forum"} else "forbidden",
            }
            for name, channel_id in made.items()
        }
        follows(
            bot,
            archive,
            expected
            | {
                radio: {"name": "team-radio", "channel_type": "text", "is_monitored": True, "is_nsfw": False},
                category: {"channel_type": "category"},
                thread: {"channel_type": "public_thread", "parent_id": radio, "is_thread": True},
                post: {"parent_id": made["forum"], "message_count": 1, "last_message_id": post},
            },
        )
        server.channels.rename(radio, "pit-radio")
        server.channels.edit(radio, nsfw=True, parent_id=category)
        server.channels.rename(thread, "lap 2")
        server.threads.archive(thread)
        last = server.messages.post(radio, "Box, box.")
        changed = {"name": "pit-radio", "is_nsfw": True, "parent_id": category, "last_message_id": last}
        follows(
            bot,
            archive,
            {radio: {**changed, "message_count": 1}, thread: {"name": "lap 2", "is_archived": True}},
        )
        server.channels.delete(post)
        server.channels.delete(radio)
        gone = {"reading_state": "missing", "message_count": 1}
        follows(bot, archive, {post: gone, radio: gone})


@pytest.mark.slow
def test_guilds_are_followed(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """Joined, renamed, left and joined again; patterns and settings outlast the absence."""
    with RunningBot(archive, replace(QUICK, patterns=("*radio*",))) as bot:

        def named(guild_id: int) -> dict[str, Any]:
            rows = archive.read(list_guilds)
            return next((row for row in rows if row["guild_id"] == guild_id), {})

        server.guilds.rename(guild, "Pit lane")
        bot.wait_for(lambda: named(guild)["name"] == "Pit lane", "the new name")
        assert named(guild)["owner_id"] is not None
        other = server.guilds.create("Elsewhere")
        channel = server.channels.create(other, "team-radio")
        follows(bot, archive, {channel: {"guild_id": other, "is_monitored": True}})
        assert named(other)["joined_at"] is not None
        archive.write(
            lambda connection: save_guild_settings(
                connection, other, {"keep_media_only": True}, now=datetime.now(UTC)
            )
        )
        server.guilds.remove(other)
        bot.wait_for(lambda: named(other)["left_at"] is not None, "the departure")
        follows(bot, archive, {channel: {"reading_state": "forbidden"}})
        assert named(guild)["left_at"] is None
        server.guilds.join(other)
        bot.wait_for(lambda: named(other)["left_at"] is None, "the return")
        follows(bot, archive, {channel: {"reading_state": "readable", "is_monitored": True}})


@ON_ONE_ENGINE
def test_what_somebody_chose_is_not_replaced_by_the_default(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Neither nothing at all, nor what was chosen before the bot came; but a sync alone chooses nothing."""
    asked, now = server.guilds.create("Asked"), datetime.now(UTC)
    view = archive.run(lambda rest: rest.guild(guild))
    archive.write(lambda connection: save_guild(connection, guild_from(view), now=now))
    archive.write(lambda connection: set_monitor_patterns(connection, asked, [], now=now))
    with RunningBot(archive, replace(QUICK, patterns=("*radio*",))):
        patterns = [
            archive.read(lambda connection, each=each: list_monitor_patterns(connection, each))
            for each in (guild, asked)
        ]
    assert patterns == [["*radio*"], []]
    assert archive.read(lambda connection: find_guild(connection, asked))["name"] == "Asked"


@pytest.mark.slow
def test_a_changed_setting_holds_from_the_next_batch_on(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """For a guild and, over it, for a channel and its threads; the bot goes on running."""
    files = [("clip.mp4", "video/mp4")]
    thread = server.threads.create(radio, "lap 1")

    def post(channel_id: int) -> int:
        return server.messages.post(channel_id, "", attachments=files)

    with RunningBot(archive, replace(QUICK, coverage_read_seconds=1000.0)) as bot:
        skipped = post(radio)
        bot.settle()
        now = datetime.now(UTC)
        archive.write(
            lambda connection: save_guild_settings(connection, guild, {"keep_media_only": True}, now=now)
        )
        kept = [post(radio), post(thread)]
        bot.wait_for(lambda: [*archive.live_ids(radio), *archive.live_ids(thread)] == kept, "the clips")
        archive.write(
            lambda connection: save_channel_settings(connection, radio, {"keep_media_only": False}, now=now)
        )
        post(thread)
        seen = server.messages.post(thread, "words")
        bot.wait_for(lambda: archive.live_ids(thread) == [kept[1], seen], "the words")
    assert skipped not in archive.live_ids(radio)


def test_the_guild_and_the_channel_of_the_environment_are_monitored(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The channel though nobody has chosen it, another guild is left alone, and chosen patterns stay."""
    other = server.guilds.create("Other")
    server.channels.create(other, "team-radio")
    settings = archive.services.settings.model_copy(
        update={"discord_guild_id": guild, "discord_channel_id": radio}
    )
    services = replace(archive.services, settings=settings)

    async def look(rest: DiscordRest) -> None:
        patterns = default_monitor_patterns(settings)
        await BotCatalogue(services, rest, Watchlist(), patterns).discover(archived=False)

    archive.run(look)
    assert archive.read(lambda c: list_monitor_patterns(c, guild)) == [str(radio)]
    assert archive.read(lambda c: list_monitor_patterns(c, other)) == []
    archive.write(lambda c: set_monitor_patterns(c, guild, ["*setups*"], now=datetime.now(UTC)))
    archive.run(look)
    assert archive.read(lambda c: list_monitor_patterns(c, guild)) == ["*setups*", str(radio)]
