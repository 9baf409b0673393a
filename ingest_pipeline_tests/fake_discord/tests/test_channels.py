"""Guilds, channels, threads and forums of the simulated Discord, met by unmodified discord.py."""

from __future__ import annotations

from collections.abc import Iterator

import discord
import pytest

from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.listener import listening
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run the scenarios on asyncio."""
    return "asyncio"


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A running server that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def guild(server: DiscordServer) -> int:
    """A guild the bot is in."""
    return server.guilds.create("Paddock")


@pytest.fixture
def radio(server: DiscordServer, guild: int) -> int:
    """A text channel the bot can read."""
    return server.channels.create(guild, "team-radio")


async def test_guilds_come_and_go(server: DiscordServer, guild: int) -> None:
    """Joining, leaving, going dark and coming back are distinguished as discord.py expects."""
    channel_ids = [server.channels.create(guild, "team-radio")]
    async with listening(server) as client:
        other = server.guilds.create("Garage")
        server.guilds.rename(other, "Pit wall")
        server.guilds.go_dark(guild)
        server.messages.post(channel_ids[0], "undelivered in the dark")
        server.guilds.come_back(guild)
        server.guilds.remove(other)
        await client.until(lambda: client.count("guild_remove") == 1)
        names = [name for name, _ in client.heard if name.startswith("guild_")]
        assert names == [
            "guild_available",
            "guild_join",
            "guild_update",
            "guild_unavailable",
            "guild_available",
            "guild_remove",
        ]
        assert client.message_ids() == []
        with pytest.raises(discord.Forbidden):
            await client.fetch_guild(other)
        assert [found.id async for found in client.fetch_guilds()] == [guild]
        server.guilds.remove(guild)
        for channel_id in channel_ids:
            with pytest.raises(discord.Forbidden):
                await client.http.logs_from(channel_id, 100)


async def test_channels_come_and_go(server: DiscordServer, guild: int, radio: int) -> None:
    """Creation, renaming and deletion reach the client's cache."""
    async with listening(server) as client:
        setups = server.channels.create(guild, "setups")
        server.channels.rename(setups, "aplus-setups")
        await client.until(lambda: client.count("guild_channel_update") == 1)
        channel = client.get_channel(setups)
        assert isinstance(channel, discord.TextChannel)
        assert channel.name == "aplus-setups"
        server.channels.delete(setups)
        await client.until(lambda: client.count("guild_channel_delete") == 1)
        assert [found.id for found in client.guilds[0].text_channels] == [radio]
        with pytest.raises(discord.NotFound):
            await client.fetch_channel(setups)
    assert server.truth(setups).gone


async def test_a_thread_started_from_a_message_takes_its_id(server: DiscordServer, radio: int) -> None:
    """The starter is updated, and the thread opens with a type 21 message that refers to it."""
    async with listening(server) as client:
        starter = server.messages.post(radio, "Strategy?")
        thread_id = server.threads.create(radio, "Strategy", from_message=starter)
        inside = server.messages.post(thread_id, "Two stops.")
        await client.until(lambda: client.count("message") == 3)
        assert thread_id == starter
        assert client.events("thread_create")[0].id == thread_id
        assert client.events("raw_message_edit")[0].message.flags.has_thread
        opening, answer = client.events("message")[1:]
        assert opening.type is discord.MessageType.thread_starter_message
        assert opening.reference.message_id == starter
        assert (answer.id, answer.channel.id, answer.channel.parent_id) == (inside, thread_id, radio)
        found = client.get_channel(radio)
        assert isinstance(found, discord.TextChannel)
        fetched = await found.fetch_message(starter)
        assert fetched.thread is not None
        assert fetched.thread.id == thread_id


async def test_a_private_thread_is_unseen_until_the_bot_is_invited(
    server: DiscordServer, guild: int, radio: int
) -> None:
    """It is neither heard nor listed; once invited, it is both."""
    secret = server.threads.create(radio, "Stewards", private=True)
    async with listening(server) as client:
        server.messages.post(secret, "undelivered")
        found = client.get_guild(guild)
        assert found is not None
        assert await found.active_threads() == []
        with pytest.raises(discord.Forbidden):
            await client.fetch_channel(secret)
        server.threads.invite_bot(secret)
        server.messages.post(secret, "heard")
        await client.until(lambda: client.count("message") == 1)
        assert [thread.id for thread in await found.active_threads()] == [secret]
        thread = await client.fetch_channel(secret)
        assert isinstance(thread, discord.Thread)
        assert [message.content async for message in thread.history()] == ["heard", "undelivered"]
        members = {member.id for member in await thread.fetch_members()}
        assert members == {server.state.member.id, server.state.bot.id}


async def test_forum_posts_are_threads_whose_first_message_has_their_id(
    server: DiscordServer, guild: int
) -> None:
    """A forum itself holds no messages; its posts are listed as threads and read like channels."""
    forum = server.channels.create(guild, "garage", ChannelKind.FORUM)
    async with listening(server) as client:
        post = server.threads.create_post(forum, "Floor upgrade", "New floor in Imola.")
        await client.until(lambda: client.count("message") == 1)
        found = client.get_channel(forum)
        assert isinstance(found, discord.ForumChannel)
        assert [thread.id for thread in found.threads] == [post]
        assert [message.id async for message in found.threads[0].history()] == [post]
        with pytest.raises(discord.HTTPException):
            await client.http.logs_from(forum, 100)


async def test_archived_threads_are_listed_page_by_page(server: DiscordServer, radio: int) -> None:
    """More archived threads than fit a page are all found; private ones only with MANAGE_THREADS."""
    public = [server.threads.create(radio, f"stint {n}") for n in range(105)]
    private = server.threads.create(radio, "stewards", private=True)
    for thread_id in [*public, private]:
        server.threads.archive(thread_id)
    async with listening(server) as client:
        channel = client.get_channel(radio)
        assert isinstance(channel, discord.TextChannel)
        found = [thread.id async for thread in channel.archived_threads(limit=None)]
        assert found == list(reversed(public))
        with pytest.raises(discord.Forbidden):
            [thread async for thread in channel.archived_threads(private=True)]
        assert [thread async for thread in channel.archived_threads(private=True, joined=True)] == []
        server.permissions.grant(radio, permissions.MANAGE_THREADS)
        found = [thread.id async for thread in channel.archived_threads(private=True)]
        assert found == [private]
    assert len(server.journal.select("archived_public_threads")) == 2


async def test_posting_into_an_archived_thread_brings_it_back(server: DiscordServer, radio: int) -> None:
    """THREAD_UPDATE comes before the message, and the thread is active again."""
    thread_id = server.threads.create(radio, "stint")
    server.threads.archive(thread_id)
    async with listening(server) as client:
        server.messages.post(thread_id, "again")
        await client.until(lambda: client.count("message") == 1)
        names = [name for name, _ in client.heard if name in {"raw_thread_update", "message"}]
        assert names == ["raw_thread_update", "message"]
        assert [thread.id for thread in client.guilds[0].threads] == [thread_id]
        server.threads.archive(thread_id)
        server.threads.unarchive(thread_id)
        server.channels.delete(thread_id)
        await client.until(lambda: client.count("raw_thread_delete") == 1)
        assert list(client.guilds[0].threads) == []


async def test_a_regained_channel_brings_its_threads_with_it(server: DiscordServer, radio: int) -> None:
    """THREAD_LIST_SYNC follows the update that brings a channel with active threads back into view."""
    server.permissions.revoke(radio)
    thread_id = server.threads.create(radio, "stint")
    async with listening(server) as client:
        assert list(client.guilds[0].threads) == []
        server.permissions.grant(radio)
        await client.until(lambda: client.count("thread_join") == 1)
        assert [thread.id for thread in client.guilds[0].threads] == [thread_id]
