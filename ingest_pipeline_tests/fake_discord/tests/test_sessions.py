"""The simulated gateway's sessions: every way of losing one, and what discord.py makes of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import aiohttp
import discord
import pytest

from ingest_pipeline_tests.fake_discord.attach import PROJECT_ROOT, attached, command
from ingest_pipeline_tests.fake_discord.gateway.sessions import Session
from ingest_pipeline_tests.fake_discord.listener import Listener, listening
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.transport import Ending

pytestmark = pytest.mark.anyio

RESUMABLE = [
    (Ending.RESET, 4000),
    *[(Ending.CLOSE, code) for code in (1000, 1001, 4000, 4003, 4007, 4009)],
    (Ending.RECONNECT, 4000),
    (Ending.INVALID_RESUMABLE, 4000),
]


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


@pytest.mark.parametrize(("how", "code"), RESUMABLE)
@pytest.mark.parametrize("deliver_first", [True, False])
async def test_a_resumed_session_replays_what_was_missed(
    server: DiscordServer, radio: int, how: Ending, code: int, *, deliver_first: bool
) -> None:
    """After every drop that leaves the session alive, each message is heard exactly once, in order."""
    async with listening(server) as client:
        posted = [server.messages.post(radio, "before")]
        server.gateway.drop(how, code=code, deliver_first=deliver_first)
        posted += [server.messages.post(radio, f"gap {n}") for n in range(20)]
        await client.until(lambda: client.count("resumed") == 1)
        posted.append(server.messages.post(radio, "after"))
        await client.until(lambda: posted[-1] in client.message_ids())
        assert client.message_ids() == posted
        assert (client.count("ready"), len(server.journal.identifies)) == (1, 1)
    (resume,) = server.journal.resumes
    assert (resume.accepted, resume.path) == (True, "/resume")
    assert resume.replayed >= 20


async def test_an_invalidated_session_loses_the_gap(server: DiscordServer, radio: int) -> None:
    """Op 9 false: the client identifies again, is ready again, and never hears what it missed."""
    async with listening(server) as client:
        server.gateway.drop(Ending.INVALID)
        lost = server.messages.post(radio, "gap")
        await client.until_ready(2)
        heard = server.messages.post(radio, "after")
        await client.until(lambda: heard in client.message_ids())
        assert lost not in client.message_ids()
        assert client.count("resumed") == 0
    assert len(server.journal.identifies) == 2


@pytest.mark.parametrize("forget", [True, False])
async def test_a_refused_resume_ends_in_a_new_session(
    server: DiscordServer, radio: int, *, forget: bool
) -> None:
    """Whether the session was forgotten or the RESUME refused: on_ready again, the gap lost."""
    server.faults.refuse_resumes = 0 if forget else 1
    async with listening(server) as client:
        server.gateway.drop(forget=forget)
        lost = server.messages.post(radio, "gap")
        await client.until_ready(2)
        heard = server.messages.post(radio, "after")
        await client.until(lambda: heard in client.message_ids())
        assert lost not in client.message_ids()
    assert [resume.accepted for resume in server.journal.resumes] == [False]


async def test_a_session_expires(server: DiscordServer, radio: int) -> None:
    """A client that stays away too long must identify again."""
    server.dispatcher.session_seconds = 0.0
    async with listening(server) as client:
        server.gateway.drop()
        await client.until_ready(2)
    assert [resume.accepted for resume in server.journal.resumes] == [False]


async def test_a_replay_may_repeat_what_was_already_heard(server: DiscordServer, radio: int) -> None:
    """With an overlap the client hears the last dispatches twice, under their old numbers."""
    server.faults.replay_overlap = 2
    async with listening(server) as client:
        posted = [server.messages.post(radio, f"lap {n}") for n in range(4)]
        await client.until(lambda: client.message_ids() == posted)
        server.gateway.drop()
        await client.until(lambda: client.count("resumed") == 1)
        assert client.message_ids() == posted + posted[-2:]


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013])
async def test_some_close_codes_end_the_client(server: DiscordServer, radio: int, code: int) -> None:
    """``connect()`` raises ConnectionClosed and does not try again."""
    async with listening(server) as client:
        server.gateway.drop(Ending.CLOSE, code=code)
        await client.until(lambda: client.died is not None)
        assert isinstance(client.died, discord.ConnectionClosed)
        assert client.died.code == code
    assert (len(server.journal.identifies), server.journal.resumes) == (1, [])


async def test_an_outage_forces_a_new_session(server: DiscordServer, radio: int) -> None:
    """While the gateway is down connections are refused; afterwards the client identifies again."""
    async with listening(server) as client:
        with server.gateway.outage():
            lost = server.messages.post(radio, "gap")
            await client.until(lambda: server.journal.refused_connections >= 1)
        await client.until_ready(2)
        heard = server.messages.post(radio, "after")
        await client.until(lambda: heard in client.message_ids())
        assert lost not in client.message_ids()


async def test_an_outage_that_sessions_survive_ends_in_a_replay(server: DiscordServer, radio: int) -> None:
    """The client keeps trying, resumes, and hears the gap."""
    async with listening(server) as client:
        with server.gateway.outage(forget=False):
            missed = server.messages.post(radio, "gap")
            await client.until(lambda: server.journal.refused_connections >= 1)
        await client.until(lambda: client.message_ids() == [missed])
        assert client.count("ready") == 1


@pytest.mark.parametrize("how", ["refused", "reset"])
async def test_a_gateway_down_at_first_connect_kills_the_client_once(
    server: DiscordServer, radio: int, how: str
) -> None:
    """discord.py dies of it (its issue 10520), but ``connect()`` may simply be called again."""
    server.faults.gateway_down = "refused" if how == "refused" else "reset"
    client = Listener()
    await client.login(server.token)
    await client.run_connect()
    assert isinstance(client.died, AttributeError)
    server.faults.gateway_down = None
    task = asyncio.create_task(client.run_connect())
    await client.until_ready()
    await client.close()
    await task


async def test_what_happens_before_a_late_ready_is_not_sent(server: DiscordServer, radio: int) -> None:
    """A delayed READY leaves a gap that only a catch-up can close."""
    server.faults.ready_delay_seconds = 60
    async with listening(server, wait_until_ready=False) as client:
        await client.until(lambda: len(server.journal.identifies) == 1)
        lost = server.messages.post(radio, "too early")
        server.faults.ready_delay_seconds = 0
        await client.until_ready()
        heard = server.messages.post(radio, "in time")
        await client.until(lambda: heard in client.message_ids())
        assert lost not in client.message_ids()


async def test_a_message_may_come_before_its_guild(server: DiscordServer, radio: int) -> None:
    """With a late GUILD_CREATE a message is heard before on_ready, in an unknown channel."""
    server.faults.guild_create_delay_seconds = 60
    patient = Listener(guild_ready_timeout=5)
    async with listening(server, patient, wait_until_ready=False) as client:
        await client.until(lambda: client.count("connect") == 1)
        early = server.messages.post(radio, "early")
        await client.until(lambda: client.message_ids() == [early])
        server.faults.guild_create_delay_seconds = 0
        await client.until(lambda: client.count("guild_available") == 1)
        assert client.count("ready") == 0
        assert isinstance(client.events("message")[0].channel, discord.PartialMessageable)


async def test_a_deaf_gateway_acknowledges_heartbeats_but_sends_nothing(
    server: DiscordServer, radio: int
) -> None:
    """The client stays connected and hears nothing, until it reconnects: then RESUME replays it."""
    server.handshake.heartbeat_interval_seconds = 0.02
    async with listening(server) as client:
        assert server.gateway.deafen() == 1
        missed = server.messages.post(radio, "undelivered")
        before = server.journal.heartbeats
        await client.until(lambda: server.journal.heartbeats > before + 3 and server.gateway.settled())
        assert client.message_ids() == []
        assert client.latency < 5
        await client.ws.close(4000)
        await client.until(lambda: client.message_ids() == [missed])


async def test_what_a_deaf_spell_swallowed_is_not_sent_afterwards(server: DiscordServer, radio: int) -> None:
    """When the gateway hears again on the same connection, the missed events stay missed."""
    async with listening(server) as client:
        server.faults.deaf = True
        lost = server.messages.post(radio, "undelivered")
        server.faults.deaf = False
        heard = server.messages.post(radio, "heard")
        await client.until(lambda: heard in client.message_ids())
        server.gateway.drop()
        await client.until(lambda: client.count("resumed") == 1)
        assert lost not in client.message_ids()


async def test_unanswered_heartbeats_are_possible(server: DiscordServer, radio: int) -> None:
    """Without op 11 the client's latency stays unknown, but its events keep coming."""
    server.handshake.heartbeat_interval_seconds = 0.02
    server.faults.ignore_heartbeats = True
    async with listening(server) as client:
        posted = server.messages.post(radio, "heard")
        await client.until(lambda: server.journal.heartbeats > 3 and posted in client.message_ids())
        assert client.latency == float("inf")


async def test_a_malformed_event_kills_connect_and_a_second_connect_works(
    server: DiscordServer, radio: int
) -> None:
    """The message exists although its event was unreadable; a new session is opened on a new connect."""
    async with listening(server) as client:
        server.faults.malform()
        mangled = server.messages.post(radio, "unreadable")
        await client.until(lambda: client.died is not None)
        assert isinstance(client.died, KeyError)
        task = asyncio.create_task(client.run_connect())
        await client.until_ready(2)
        heard = server.messages.post(radio, "readable")
        await client.until(lambda: heard in client.message_ids())
        assert mangled not in client.message_ids()
        assert set(server.truth(radio).live) == {mangled, heard}
        await client.close()
        await task


async def test_a_frame_that_is_no_json_kills_connect(server: DiscordServer, radio: int) -> None:
    """Garbage on the wire raises out of ``connect()``."""
    async with listening(server) as client:
        server.gateway.inject_text("{not json")
        await client.until(lambda: client.died is not None)
        assert isinstance(client.died, ValueError)


async def test_foreign_dispatches_can_be_injected(server: DiscordServer, radio: int) -> None:
    """An event of any shape reaches the client; unknown names are ignored by discord.py."""
    async with listening(server) as client:
        server.gateway.inject("SOMETHING_NEW", {"id": "1"})
        server.gateway.inject("MESSAGE_DELETE", {"id": "7", "channel_id": str(radio)})
        await client.until(lambda: client.count("raw_message_delete") == 1)
        assert client.events("raw_message_delete")[0].message_id == 7


@pytest.mark.parametrize(("code", "resumable"), [(1000, False), (1001, False), (4000, True)])
async def test_a_client_ends_its_session_by_how_it_closes(
    server: DiscordServer, radio: int, code: int, *, resumable: bool
) -> None:
    """The client's own 1000 and 1001 invalidate the session; any other code leaves it to be resumed."""
    identify = {"op": 2, "d": {"token": server.token, "intents": 1}}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(server.gateway_url) as socket:
            await socket.receive_json(timeout=120)
            await socket.send_json(identify)
            ready = await socket.receive_json(timeout=120)
            await socket.close(code=code)
        server.journal.wait_for(lambda: server.journal.disconnections == 1)
        async with session.ws_connect(server.gateway_url) as socket:
            await socket.receive_json(timeout=120)
            resume = {"token": server.token, "session_id": ready["d"]["session_id"], "seq": 1}
            await socket.send_json({"op": 6, "d": resume})
            answers = [await socket.receive_json(timeout=120) for _ in range(2 if resumable else 1)]
    assert [answer["t"] for answer in answers] == (["GUILD_CREATE", "RESUMED"] if resumable else [None])


async def test_a_session_follows_the_connection_that_resumes_it(server: DiscordServer, radio: int) -> None:
    """A RESUME while the old connection still stands takes the session away from it."""
    identify = {"op": 2, "d": {"token": server.token, "intents": 1}}
    async with aiohttp.ClientSession() as session:
        former = await session.ws_connect(server.gateway_url)
        await former.receive_json(timeout=120)
        await former.send_json(identify)
        ready = await former.receive_json(timeout=120)
        async with session.ws_connect(server.gateway_url) as socket:
            await socket.receive_json(timeout=120)
            resume = {"token": server.token, "session_id": ready["d"]["session_id"], "seq": 2}
            await socket.send_json({"op": 6, "d": resume})
            assert (await socket.receive_json(timeout=120))["t"] == "RESUMED"
            server.journal.wait_for(lambda: server.journal.disconnections == 1)
            assert server.gateway.connected() == 1
            server.channels.rename(radio, "radio")
            assert (await socket.receive_json(timeout=120))["t"] == "CHANNEL_UPDATE"
        await former.close()


def test_a_session_keeps_only_so_much_for_replay() -> None:
    """What lies too far back can no longer be resumed from; what is kept keeps its numbers."""
    session = Session(intents=1)
    for _ in range(100_001):
        session.dispatch("MESSAGE_CREATE", "{}")
    assert not session.can_replay_from(0)
    assert session.can_replay_from(session.sequence - 50_000)
    assert [dispatch.sequence for dispatch in session.after(session.sequence - 2, 10)] == [100_000, 100_001]


async def test_a_closed_client_leaves_nothing_connected(server: DiscordServer, radio: int) -> None:
    """After ``Client.close()`` the server knows of no connection."""
    async with listening(server):
        assert server.gateway.connected() == 1
    server.journal.wait_for(lambda: server.journal.disconnections == 1)
    assert server.gateway.connected() == 0


async def test_a_killed_process_leaves_a_session_behind(server: DiscordServer, radio: int) -> None:
    """A bot in its own process hears messages; killed with SIGKILL it can be followed by another."""
    program = command(server, "ingest_pipeline_tests.fake_discord.listener:print_live_messages", server.token)
    for round_number in range(2):
        with subprocess.Popen(  # noqa: ASYNC220
            program, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            server.journal.wait_for(lambda: server.gateway.connected() == 1, seconds=60)
            posted = server.messages.post(radio, f"round {round_number}")
            assert process.stdout is not None
            assert int(process.stdout.readline()) == posted
            os.kill(process.pid, signal.SIGKILL)
        server.journal.wait_for(lambda: server.gateway.connected() == 0)
        assert len(server.dispatcher.sessions()) == round_number + 1
