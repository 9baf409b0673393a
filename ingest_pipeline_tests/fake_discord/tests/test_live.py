"""The simulated Discord, met by unmodified discord.py: login, guilds, and everything that happens live."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

import aiohttp
import discord
import pytest

from ingest_pipeline_tests.fake_discord import events
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.listener import Listener, listening
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind
from ingest_pipeline_tests.fake_discord.transport import encoder

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


async def test_a_client_logs_in_and_finds_its_guilds_and_channels(server: DiscordServer, guild: int) -> None:
    """GUILD_CREATE carries every kind of channel in a form discord.py accepts."""
    created = {
        kind: server.channels.create(guild, kind.name.lower(), kind)
        for kind in (
            ChannelKind.TEXT,
            ChannelKind.NEWS,
            ChannelKind.VOICE,
            ChannelKind.STAGE,
            ChannelKind.CATEGORY,
            ChannelKind.FORUM,
            ChannelKind.MEDIA,
        )
    }
    async with listening(server) as client:
        assert [(found.id, found.name) for found in client.guilds] == [(guild, "Paddock")]
        seen = {channel.id: channel.type.value for channel in client.guilds[0].channels}
        assert seen == {channel_id: kind.value for kind, channel_id in created.items()}
    assert server.journal.writes() == []
    assert len(server.journal.identifies) == 1


async def test_permissions_can_be_computed_from_gateway_data(
    server: DiscordServer, guild: int, radio: int
) -> None:
    """``channel.permissions_for(guild.me)`` agrees with what REST would enforce, overwrites included."""
    hidden = server.channels.create(guild, "stewards")
    blind = server.channels.create(guild, "no-history")
    server.permissions.revoke(hidden)
    server.permissions.revoke(blind, permissions.READ_MESSAGE_HISTORY)
    async with listening(server) as client:
        found = client.guilds[0]
        granted = {channel.id: channel.permissions_for(found.me) for channel in found.text_channels}
        assert (granted[radio].view_channel, granted[radio].read_message_history) == (True, True)
        assert granted[hidden].view_channel is False
        assert (granted[blind].view_channel, granted[blind].read_message_history) == (True, False)


async def test_messages_edits_and_deletions_are_heard_live(server: DiscordServer, radio: int) -> None:
    """Create, edit, delete and bulk delete arrive as discord.py's events, with what they changed."""
    async with listening(server) as client:
        first = server.messages.post(radio, "Box, box.", attachments=[("lap.mp4", "video/mp4")])
        edited_at = server.messages.edit(radio, first, "Stay out!")
        reply = server.messages.post(radio, "Copy.", reply_to=first)
        crowd = [server.messages.post(radio, f"gap {n}") for n in range(3)]
        server.messages.delete(radio, first)
        server.messages.bulk_delete(radio, crowd)
        await client.until(lambda: client.count("raw_bulk_message_delete") == 1)

        assert client.message_ids() == [first, reply, *crowd]
        (update,) = client.events("raw_message_edit")
        assert (update.message.content, update.message.edited_at) == ("Stay out!", edited_at)
        assert update.message.attachments[0].filename == "lap.mp4"
        answer = client.events("message")[1]
        assert answer.reference.message_id == first
        assert [event.message_id for event in client.events("raw_message_delete")] == [first]
        assert client.events("raw_bulk_message_delete")[0].message_ids == set(crowd)
    assert set(server.truth(radio).live) == {reply}
    assert server.truth(radio).deleted_ids == {first, *crowd}


async def test_reactions_and_pins_are_heard_live(server: DiscordServer, guild: int, radio: int) -> None:
    """Every reaction event and the pin update arrive; a pin is an update without an edit time."""
    fan = server.guilds.add_member(guild, "fan", nick="Tifoso")
    async with listening(server) as client:
        message = server.messages.post(radio, "P1!")
        server.messages.react(radio, message, "🔥")
        server.messages.react(radio, message, "🔥", user_id=fan)
        server.messages.unreact(radio, message, "🔥")
        server.messages.react(radio, message, "ferrari:42")
        server.messages.clear_reactions(radio, message, "ferrari:42")
        server.messages.clear_reactions(radio, message)
        server.messages.pin(radio, message, announce=True)
        await client.until(lambda: client.count("message") == 2)

        assert [event.user_id for event in client.events("raw_reaction_add")][1] == fan
        assert client.count("raw_reaction_add") == 3
        assert client.count("raw_reaction_remove") == 1
        assert client.events("raw_reaction_clear_emoji")[0].emoji.id == 42
        assert client.count("raw_reaction_clear") == 1
        (update,) = client.events("raw_message_edit")
        assert (update.message.pinned, update.message.edited_at) == (True, None)
        assert client.count("guild_channel_pins_update") == 1
        assert client.events("message")[1].type is discord.MessageType.pins_add


async def test_link_previews_change_a_message_without_an_edit_time(server: DiscordServer, radio: int) -> None:
    """Unfurling and suppressing embeds both update the message and leave ``edited_timestamp`` null."""
    async with listening(server) as client:
        message = server.messages.post(radio, "https://example.com/")
        server.messages.show_link_preview(radio, message)
        server.messages.suppress_embeds(radio, message)
        await client.until(lambda: client.count("raw_message_edit") == 2)
        updates = [event.message for event in client.events("raw_message_edit")]
        assert [len(update.embeds) for update in updates] == [1, 0]
        assert [update.edited_at for update in updates] == [None, None]
        assert updates[1].flags.suppress_embeds


async def test_a_webhook_speaks_under_its_own_name(server: DiscordServer, radio: int) -> None:
    """Messages posted by a webhook carry its id and name, live and in history."""
    relay = server.guilds.add_webhook("Leclerc")
    async with listening(server) as client:
        server.messages.post(radio, "`Leclerc` Box.", author_id=relay)
        await client.until(lambda: client.count("message") == 1)
        channel = client.get_partial_messageable(radio)
        for message in [client.events("message")[0], *[found async for found in channel.history()]]:
            assert (message.webhook_id, message.author.name) == (relay, "Leclerc")


async def test_nothing_is_heard_of_channels_out_of_sight(
    server: DiscordServer, guild: int, radio: int
) -> None:
    """Messages of a channel without VIEW_CHANNEL are not sent; those of others are."""
    hidden = server.channels.create(guild, "stewards")
    server.permissions.revoke(hidden, permissions.VIEW_CHANNEL)
    async with listening(server) as client:
        server.messages.post(hidden, "secret")
        seen = server.messages.post(radio, "open")
        await client.until(lambda: client.count("message") == 1)
        assert client.message_ids() == [seen]


async def test_intents_decide_what_is_sent(server: DiscordServer, radio: int) -> None:
    """Without MESSAGE_CONTENT content is empty; without the reactions intent no reaction is heard."""
    intents = discord.Intents(guilds=True, guild_messages=True)
    async with listening(server, Listener(intents)) as client:
        message = server.messages.post(radio, "Box.", attachments=[("a.mp4", "video/mp4")])
        server.messages.react(radio, message, "🔥")
        server.messages.delete(radio, message)
        await client.until(lambda: client.count("raw_message_delete") == 1)
        (heard,) = client.events("message")
        assert (heard.content, heard.attachments) == ("", [])
        assert client.count("raw_reaction_add") == 0


async def test_a_privileged_intent_that_was_not_granted_is_refused(server: DiscordServer, radio: int) -> None:
    """IDENTIFY is closed with 4014, and REST answers with empty content too."""
    server.faults.granted_intents = 0
    server.messages.post(radio, "Box.")
    async with listening(server, wait_until_ready=False) as client:
        await client.until(lambda: client.died is not None)
        assert isinstance(client.died, discord.PrivilegedIntentsRequired)
        found = [message async for message in client.get_partial_messageable(radio).history()]
        assert [message.content for message in found] == [""]
        assert client.application_flags.gateway_message_content_limited is False
    assert server.journal.identifies[0].refused_with == 4014


async def test_a_wrong_token_is_refused(server: DiscordServer) -> None:
    """REST says 401 to a wrong token; the gateway closes with 4004 if it is revoked after login."""
    async with Listener() as stranger:
        with pytest.raises(discord.LoginFailure):
            await stranger.login("wrong")
    client = Listener()
    await client.login(server.token)
    server.faults.reject_token = True
    await client.run_connect()
    assert isinstance(client.died, discord.ConnectionClosed)
    assert client.died.code == 4004
    await client.close()


async def test_a_sharded_client_logs_in_too(server: DiscordServer, guild: int, radio: int) -> None:
    """AutoShardedClient asks for ``/gateway/bot`` and insists on ``shard`` in READY."""
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    heard: list[int] = []

    class Sharded(discord.AutoShardedClient):
        async def on_message(self, message: discord.Message) -> None:
            heard.append(message.id)

    client = Sharded(intents=intents, guild_ready_timeout=0.1)
    task = asyncio.create_task(client.start(server.token))
    async with asyncio.timeout(60):
        while not client.is_ready():  # noqa: ASYNC110 - discord.py offers no event before login
            await asyncio.sleep(0.005)
        posted = server.messages.post(radio, "to every shard")
        while not heard:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    assert heard == [posted]
    assert [found.id for found in client.guilds] == [guild]
    assert server.journal.identifies[0].shard == (0, 1)
    await client.close()
    await task


async def test_members_can_be_asked_for(server: DiscordServer, guild: int) -> None:
    """Op 8 is answered with a chunk; REST knows single members, roles and users."""
    fan = server.guilds.add_member(guild, "fan", nick="Tifoso")
    intents = discord.Intents(guilds=True, guild_messages=True, members=True)
    async with listening(server, Listener(intents)) as client:
        found = client.get_guild(guild)
        assert found is not None
        await client.until(lambda: found.chunked)
        assert len(found.members) == 4
        assert (await found.fetch_member(fan)).display_name == "Tifoso"
        assert [role.is_default() for role in await found.fetch_roles()] == [True, False]
        assert (await client.fetch_user(fan)).name == "fan"
        assert len(await found.query_members(user_ids=[fan], cache=False)) == 1


@pytest.mark.parametrize("compression", ["zlib-stream", ""])
async def test_clients_without_zstd_are_served_as_they_ask(server: DiscordServer, compression: str) -> None:
    """HELLO and READY arrive in a shared zlib stream, or as plain text."""
    inflate = zlib.decompressobj()
    url = f"{server.gateway_url}?v=10&encoding=json&compress={compression}"
    identify = {"op": 2, "d": {"token": server.token, "intents": events.GUILDS, "properties": {}}}
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        texts = []
        for _ in range(2):
            frame = await socket.receive(timeout=120)
            texts.append(inflate.decompress(frame.data).decode() if compression else frame.data)
            await socket.send_json(identify)
        assert '"heartbeat_interval"' in texts[0]
        assert '"t":"READY"' in texts[1]


async def test_a_compression_stream_is_shared_by_all_frames() -> None:
    """The second frame is only readable by the context that read the first, and ends as zlib demands."""
    encode = encoder("zlib-stream")
    inflate = zlib.decompressobj()
    frames = [frame for _ in range(2) if isinstance(frame := encode("Box, box. " * 20), bytes)]
    assert [frame[-4:] for frame in frames] == [b"\x00\x00\xff\xff"] * 2
    assert len(frames[1]) < len(frames[0])
    assert [inflate.decompress(frame) for frame in frames] == [b"Box, box. " * 20] * 2


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 8, "d": {}}, 4003),
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, 4004),
        ({"op": 2, "d": {"token": "bot.test.token", "intents": 1 << 40}}, 4013),
    ],
)
async def test_a_client_that_breaks_the_protocol_is_closed(
    server: DiscordServer, payload: dict[str, object], code: int
) -> None:
    """Each mistake has the close code Discord documents for it."""
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as socket:
        await socket.receive(timeout=120)
        await socket.send_json(payload)
        closing = await socket.receive(timeout=120)
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, code)
