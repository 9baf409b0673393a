"""The simulated REST API's ways to fail: limits, errors, cut connections, a wrong clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import discord
import pytest

from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.listener import Listener, listening
from ingest_pipeline_tests.fake_discord.server import DiscordServer

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


async def test_a_429_is_waited_out(server: DiscordServer, radio: int) -> None:
    """With ``Via`` discord.py sleeps and asks again, for one bucket and globally."""
    ids = server.messages.bulk_load(radio, 3)
    server.faults.rate_limit(0.02, Requests(HISTORY))
    server.faults.rate_limit(0.02, Requests(HISTORY), scope="global")
    async with listening(server) as client:
        assert await read_until_empty(client, radio) == ids
    assert [record.status for record in server.journal.select(HISTORY)] == [429, 429, 200, 200]


async def test_a_429_without_via_is_a_ban(server: DiscordServer, radio: int) -> None:
    """discord.py takes it for Cloudflare and raises at once."""
    server.faults.rate_limit(60, Requests(HISTORY), via=False)
    async with listening(server) as client:
        with pytest.raises(discord.HTTPException) as refusal:
            await client.http.logs_from(radio, 100)
        assert refusal.value.status == 429
    assert len(server.journal.select(HISTORY)) == 1


async def test_discord_py_paces_itself_by_the_headers(server: DiscordServer, radio: int) -> None:
    """Against a real limit it finishes without a single 429."""
    ids = server.messages.bulk_load(radio, 400)
    server.rate_limits.set_limit(HISTORY, 2, window_seconds=0.05)
    async with listening(server) as client:
        assert await read_until_empty(client, radio) == ids
    assert {record.status for record in server.journal.select(HISTORY)} == {200}


async def test_a_client_that_ignores_the_headers_is_limited(server: DiscordServer, radio: int) -> None:
    """The third request of a window is refused, with every header a client needs; so is the 50th of all."""
    server.rate_limits.set_limit(HISTORY, 2, window_seconds=60)
    headers = {"Authorization": f"Bot {server.token}"}
    url = f"{server.rest_url}/channels/{radio}/messages"
    async with aiohttp.ClientSession(headers=headers) as session:
        for remaining in ("1", "0"):
            async with session.get(url) as response:
                assert response.headers["X-RateLimit-Remaining"] == remaining
        async with session.get(url) as response:
            body = await response.json()
            assert (response.status, body["global"]) == (429, False)
            assert 0 < body["retry_after"] <= 60
            assert response.headers["X-RateLimit-Scope"] == "user"
            assert int(response.headers["Retry-After"]) >= body["retry_after"]
        server.rate_limits.set_global_limit(1, window_seconds=60)
        async with session.get(f"{server.rest_url}/users/@me"):
            pass
        async with session.get(f"{server.rest_url}/users/@me") as response:
            assert (await response.json())["global"] is True
            assert response.headers["X-RateLimit-Global"] == "true"


@pytest.mark.parametrize("html", [False, True])
async def test_server_errors_are_raised(server: DiscordServer, radio: int, *, html: bool) -> None:
    """503 is not retried by discord.py, whether Discord or a proxy says it."""
    server.faults.fail(503, Requests(HISTORY), html=html)
    async with listening(server) as client:
        with pytest.raises(discord.DiscordServerError):
            await client.http.logs_from(radio, 100)
        assert await client.http.logs_from(radio, 100) == []


async def test_faults_strike_only_what_they_are_aimed_at(server: DiscordServer, radio: int) -> None:
    """Route, channel, how many to skip and how many to strike are all kept to."""
    other = server.channels.create(server.state.channel(radio).guild_id, "other")
    server.faults.fail(503, Requests(HISTORY, channel_id=radio, skip=1, times=2))
    async with listening(server) as client:
        for channel_id in [radio, other] * 4:
            try:
                await client.http.logs_from(channel_id, 100)
            except discord.DiscordServerError:
                continue
        server.faults.fail(503, Requests(times=None))
        server.faults.clear()
        await client.http.logs_from(radio, 100)
    statuses = [record.status for record in server.journal.select(HISTORY, channel_id=radio)]
    assert statuses == [200, 503, 503, 200, 200]
    assert {record.status for record in server.journal.select(HISTORY, channel_id=other)} == {200}


async def test_a_connection_reset_reaches_the_client(server: DiscordServer, radio: int) -> None:
    """Two in a row raise; a single one on a reused connection is repeated by aiohttp itself."""
    ids = server.messages.bulk_load(radio, 1)
    async with listening(server) as client:
        server.faults.reset(Requests(HISTORY, times=2))
        with pytest.raises(aiohttp.ClientError):
            await client.http.logs_from(radio, 100)
        assert await read_until_empty(client, radio) == ids
        cut_so_far = len(server.journal.select(HISTORY, status=-1))
        server.faults.reset(Requests(HISTORY))
        assert await read_until_empty(client, radio) == ids
    assert len(server.journal.select(HISTORY, status=-1)) == cut_so_far + 1


async def test_half_a_body_is_noticed(server: DiscordServer, radio: int) -> None:
    """The connection ends in the middle of the answer."""
    server.messages.bulk_load(radio, 50)
    server.faults.truncate(Requests(HISTORY))
    async with listening(server) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.http.logs_from(radio, 100)
        assert len(await client.http.logs_from(radio, 100)) == 50


@pytest.mark.parametrize("skew_seconds", [30.0, -30.0])
async def test_a_skewed_clock_shows_in_everything_the_server_dates(
    server: DiscordServer, radio: int, skew_seconds: float
) -> None:
    """Ids, edit times and the Date header are all off by the same half minute."""
    server.clock.skew_seconds = skew_seconds
    async with listening(server) as client:
        message_id = server.messages.post(radio, "Box.")
        server.messages.edit(radio, message_id, "Box now.")
        message = await client.get_partial_messageable(radio).fetch_message(message_id)
        assert message.edited_at is not None
        expected = datetime.now(UTC) + timedelta(seconds=skew_seconds)
        for moment in (message.created_at, message.edited_at):
            assert abs(moment - expected) < timedelta(seconds=25)
    headers = {"Authorization": f"Bot {server.token}"}
    url = f"{server.rest_url}/users/@me"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        date = parsedate_to_datetime(response.headers["Date"])
    assert abs(date - expected) < timedelta(seconds=25)


async def test_the_server_can_share_the_loop_of_its_client() -> None:
    """``async with`` serves on the running loop; two servers can stand side by side."""
    async with DiscordServer() as first, DiscordServer() as second:
        for server in (first, second):
            radio = server.channels.create(server.guilds.create("Paddock"), "team-radio")
            server.messages.bulk_load(radio, 3)
            with attached(server):
                async with listening(server) as client:
                    assert len(await read_until_empty(client, radio)) == 3


async def test_attaching_is_undone() -> None:
    """Afterwards discord.py points at Discord again and waits as it always did."""
    before = discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    hook = Listener.before_identify_hook
    with DiscordServer() as server, attached(server):
        assert server.rest_url == discord.http.Route.BASE
        assert Listener.before_identify_hook is not hook
    assert before == (discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY)
    assert Listener.before_identify_hook is hook
