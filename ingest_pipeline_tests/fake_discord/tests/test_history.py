"""The simulated REST API, met by unmodified discord.py: pages, permissions, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.listener import listening
from ingest_pipeline_tests.fake_discord.rest.history import page
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

pytestmark = pytest.mark.anyio

HISTORY = "history"


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
def radio(server: DiscordServer) -> int:
    """A text channel the bot can read."""
    return server.channels.create(server.guilds.create("Paddock"), "team-radio")


async def read_until_empty(client: discord.Client, channel_id: int) -> list[int]:
    """Read a channel forwards until a page is empty, as an importer must; return the ids."""
    ids: list[int] = []
    while found := await client.http.logs_from(channel_id, 100, after=ids[-1] if ids else 0):
        ids += [int(message["id"]) for message in reversed(found)]
    return ids


async def test_a_long_history_is_read_whole(server: DiscordServer, radio: int) -> None:
    """250 messages come in three pages, in both directions, without loss or repetition."""
    ids = server.messages.bulk_load(radio, 250)
    async with listening(server) as client:
        channel = client.get_channel(radio)
        assert isinstance(channel, discord.TextChannel)
        assert channel.last_message_id == ids[-1]
        assert [found.id async for found in channel.history(limit=None, oldest_first=True)] == ids
        assert [found.id async for found in channel.history(limit=None)] == ids[::-1]
    assert [record.messages for record in server.journal.select(HISTORY)] == [100, 100, 50] * 2


async def test_bounds_are_exclusive_and_around_includes_its_centre(server: DiscordServer, radio: int) -> None:
    """``before`` and ``after`` leave their bound out; ``around`` puts half a page on either side."""
    ids = server.messages.bulk_load(radio, 30)
    async with listening(server) as client:
        channel = client.get_partial_messageable(radio)
        bound = discord.Object(ids[10])
        assert [found.id async for found in channel.history(after=bound)] == ids[11:]
        assert [found.id async for found in channel.history(before=bound)] == ids[:10][::-1]
        assert [found.id async for found in channel.history(after=bound, limit=3)] == ids[11:14]
        assert [found.id async for found in channel.history(around=bound, limit=4)] == ids[8:13][::-1]


@given(
    ids=st.sets(st.integers(1, 200)),
    limit=st.integers(1, 100),
    bound=st.integers(0, 201),
    kind=st.sampled_from(["before", "after"]),
)
def test_pages_agree_with_a_naive_reading(ids: set[int], limit: int, bound: int, kind: str) -> None:
    """A page is the slice nearest to its bound, newest first; paging on never skips or repeats."""
    ordered = sorted(ids)
    if kind == "before":
        expected = [item for item in ordered if item < bound][-limit:]
        found = page(ordered, limit, before=bound)
    else:
        expected = [item for item in ordered if item > bound][:limit]
        found = page(ordered, limit, after=bound)
    assert found == expected[::-1]
    everything: list[int] = []
    while following := page(ordered, limit, after=everything[-1] if everything else 0):
        everything += following[::-1]
    assert everything == ordered


async def test_short_pages_fool_discord_py_but_not_a_careful_reader(
    server: DiscordServer, radio: int
) -> None:
    """``history(limit=None)`` stops at the first short page; reading until an empty one finds all."""
    ids = server.messages.bulk_load(radio, 250)
    server.faults.max_page = 50
    async with listening(server) as client:
        channel = client.get_partial_messageable(radio)
        assert len([found async for found in channel.history(limit=None)]) == 50
        assert await read_until_empty(client, radio) == ids


async def test_slow_pages_arrive_in_the_end(server: DiscordServer, radio: int) -> None:
    """A delayed page is complete, and was asked for once."""
    ids = server.messages.bulk_load(radio, 5)
    server.faults.page_delay_seconds = 0.05
    server.faults.delay(0.05, Requests(HISTORY))
    async with listening(server) as client:
        assert [message["id"] for message in await client.http.logs_from(radio, 100)] == [
            str(snowflake) for snowflake in reversed(ids)
        ]
    assert len(server.journal.select(HISTORY)) == 1


async def test_missing_view_permission_is_a_403(server: DiscordServer, radio: int) -> None:
    """Code 50001, for the channel and everything in it; other channels stay readable."""
    ids = server.messages.bulk_load(radio, 1)
    server.permissions.revoke(radio)
    async with listening(server) as client:
        for request in (
            client.http.get_channel(radio),
            client.http.logs_from(radio, 100),
            client.http.get_message(radio, ids[0]),
            client.http.pins_from(radio),
        ):
            with pytest.raises(discord.Forbidden) as refusal:
                await request
            assert refusal.value.code == 50001
    assert server.journal.invalid_requests() == 4


async def test_missing_history_permission_is_an_empty_answer(server: DiscordServer, radio: int) -> None:
    """200 and an empty list, which looks like an empty channel; live messages still arrive."""
    server.messages.bulk_load(radio, 10)
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    async with listening(server) as client:
        posted = server.messages.post(radio, "live")
        await client.until(lambda: client.message_ids() == [posted])
        channel = client.get_partial_messageable(radio)
        assert [message async for message in channel.history()] == []
        assert [message async for message in channel.pins()] == []
        with pytest.raises(discord.Forbidden):
            await channel.fetch_message(posted)
    assert [record.status for record in server.journal.select(HISTORY)] == [200]


async def test_permission_can_be_lost_in_the_middle_of_a_reading(server: DiscordServer, radio: int) -> None:
    """Revoked before the third page and granted again, with CHANNEL_UPDATE both times."""
    ids = server.messages.bulk_load(radio, 500)
    server.faults.before_answering(lambda _: server.permissions.revoke(radio), Requests(HISTORY, skip=2))
    async with listening(server) as client:
        channel = client.get_channel(radio)
        assert isinstance(channel, discord.TextChannel)
        seen: list[int] = []
        with pytest.raises(discord.Forbidden):
            seen.extend([item.id async for item in channel.history(limit=None, oldest_first=True)])
        await client.until(lambda: not channel.permissions_for(channel.guild.me).view_channel)
        server.permissions.grant(radio)
        await client.until(lambda: channel.permissions_for(channel.guild.me).read_message_history)
        assert client.count("guild_channel_update") == 2
        assert await read_until_empty(client, radio) == ids


async def test_a_role_change_takes_and_gives_every_channel(server: DiscordServer, radio: int) -> None:
    """GUILD_ROLE_UPDATE reaches the client, and REST follows it."""
    guild_id = server.state.channel(radio).guild_id
    server.messages.bulk_load(radio, 3)
    async with listening(server) as client:
        server.permissions.set_role(guild_id, 0)
        await client.until(lambda: client.count("guild_role_update") == 1)
        with pytest.raises(discord.Forbidden):
            await client.http.logs_from(radio, 100)
        server.permissions.set_role(guild_id, permissions.READ_ONLY)
        await client.until(lambda: client.count("guild_role_update") == 2)
        assert len(await client.http.logs_from(radio, 100)) == 3
        server.permissions.set_role(guild_id, permissions.ADMINISTRATOR)
        server.permissions.revoke(radio)
        assert len(await client.http.logs_from(radio, 100)) == 3


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 400), ("limit=101", 400), ("limit=x", 400), ("before=1&after=1", 400), ("", 200)],
)
async def test_a_page_is_refused_for_arguments_out_of_range(
    server: DiscordServer, radio: int, query: str, status: int
) -> None:
    """The limit is 1 to 100, 50 if absent; bounds exclude each other."""
    server.messages.bulk_load(radio, 60)
    headers = {"Authorization": f"Bot {server.token}"}
    url = f"{server.rest_url}/channels/{radio}/messages?{query}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        body = await response.json()
        assert response.status == status
        assert body["code"] == 50035 if status == 400 else len(body) == 50


async def test_unknown_things_are_404_and_writing_is_not_served(server: DiscordServer, radio: int) -> None:
    """Each kind has its code; a write is recorded for the test to object to."""
    async with listening(server) as client:
        codes = []
        for request in (
            client.http.get_channel(1),
            client.http.get_guild(1),
            client.http.get_user(1),
            client.http.get_message(radio, 1),
            client.http.get_member(server.state.channel(radio).guild_id, 1),
        ):
            with pytest.raises(discord.NotFound) as missing:
                await request
            codes.append(missing.value.code)
        assert codes == [10003, 10004, 10013, 10008, 10007]
        with pytest.raises(discord.NotFound):
            await client.get_partial_messageable(radio).send("no")
    assert [record.method for record in server.journal.writes()] == ["POST"]


async def test_a_bare_token_is_refused(server: DiscordServer) -> None:
    """Only ``Bot <token>`` is accepted, by which an exporter distinguishes a bot's token from a user's."""
    headers = {"Authorization": server.token}
    url = f"{server.rest_url}/users/@me"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 401


async def test_attachment_urls_are_signed_again_at_every_read(server: DiscordServer, radio: int) -> None:
    """The file stays the same, its URL does not; ``ex`` lies fourteen days ahead of the server's clock."""
    posted = server.messages.post(radio, "lap", attachments=[("lap.mp4", "video/mp4")])
    async with listening(server) as client:
        channel = client.get_partial_messageable(radio)
        files = [(await channel.fetch_message(posted)).attachments[0] for _ in range(2)]
        assert files[0].id == files[1].id
        assert files[0].url != files[1].url
        expiry = int(files[0].url.split("ex=")[1].split("&")[0], 16)
        assert timedelta(days=13) < datetime.fromtimestamp(expiry, UTC) - datetime.now(UTC)


async def test_pins_and_reactions_can_be_read(server: DiscordServer, radio: int) -> None:
    """Pins come last pinned first; reactions with their users, custom emoji included."""
    first, second = server.messages.bulk_load(radio, 2)
    server.messages.pin(radio, first)
    server.messages.pin(radio, second)
    server.messages.unpin(radio, first)
    server.messages.pin(radio, first)
    server.messages.react(radio, first, "🔥")
    server.messages.react(radio, first, "ferrari:42", user_id=server.state.bot.id)
    async with listening(server) as client:
        channel = client.get_partial_messageable(radio)
        assert [message.id async for message in channel.pins()] == [first, second]
        message = await channel.fetch_message(first)
        assert [(str(item.emoji), item.count, item.me) for item in message.reactions] == [
            ("🔥", 1, False),
            ("<:ferrari:42>", 1, True),
        ]
        users = [[user.id async for user in item.users()] for item in message.reactions]
        assert users == [[server.state.member.id], [server.state.bot.id]]
    assert server.truth(radio).live[first].reactions == {"🔥": 1, "ferrari:42": 1}


async def test_reaction_users_come_in_pages(server: DiscordServer, radio: int) -> None:
    """By ascending id, after an exclusive bound, until a page is empty."""
    guild_id = server.state.channel(radio).guild_id
    fans = [server.guilds.add_member(guild_id, f"fan {n}") for n in range(5)]
    message = server.messages.post(radio, "P1!")
    for fan in reversed(fans):
        server.messages.react(radio, message, "🔥", user_id=fan)
    async with listening(server) as client:
        found: list[int] = []
        pages = 0
        while users := await client.http.get_reaction_users(
            radio, message, "🔥", 2, after=found[-1] if found else None
        ):
            found += [int(user["id"]) for user in users]
            pages += 1
    assert (found, pages) == (fans, 3)
