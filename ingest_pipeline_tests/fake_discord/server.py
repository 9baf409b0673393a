"""A real Discord on loopback: REST and gateway for unmodified discord.py, faults under the test's control.

In a test::

    with DiscordServer() as server:
        guild = server.guilds.create("Paddock")
        radio = server.channels.create(guild, "team-radio")
        server.messages.bulk_load(radio, 20_000)          # history from before the bot came
        with attached(server):                            # attach.py: points discord.py here
            ...                                           # run the bot; its token is server.token
            message = server.messages.post(radio, "Box, box.")
            server.messages.edit(radio, message, "Box now.")
        assert server.truth(radio).live[message].content == "Box now."

Everything a test calls is thread-safe and acts at once: the truth changes and the gateway's event is
numbered under one lock.

- ``server.guilds``, ``channels``, ``threads``, ``messages``: what people do.
- ``server.permissions``: what administrators do to the bot; Discord's update events follow.
- ``server.truth(channel)``, ``server.whole_truth(guild)``: what a perfect archive would hold.
- ``server.faults``: the switchboard. ``server.faults.fail(502, Requests("history", times=3))``,
  ``server.faults.reorder()``, ``server.faults.max_page = 37``, ``server.faults.ready_delay_seconds = 3``;
  ``server.faults.before_answering(action, Requests("history", skip=2))`` acts exactly before page three.
- ``server.gateway``: ``drop(Ending.RECONNECT)``, ``drop(forget=True)`` (RESUME refused), ``deafen()``,
  ``outage()``, ``inject()``; ``settled()`` once every event has been handed to every socket.
- ``server.rate_limits``: ``set_limit("history", 5, window_seconds=1.0)``, ``set_global_limit(50)``.
- ``server.clock.skew_seconds = 30``: Discord's clock is ahead of the local one.
- ``server.journal``: every request, IDENTIFY and RESUME; ``journal.wait_for(condition)``.

A bot in a process of its own, to be killed::

    subprocess.Popen(command(server, "ingest_pipeline.cli.app:main", "bot"), cwd=PROJECT_ROOT)   # attach.py

Inside a running event loop use ``async with DiscordServer() as server`` instead: then the server shares
that loop, and nothing that blocks (``journal.wait_for``) may be called on it.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

from ingest_pipeline_tests.fake_discord.actions.channels import ChannelActions, ThreadActions
from ingest_pipeline_tests.fake_discord.actions.guilds import GuildActions
from ingest_pipeline_tests.fake_discord.actions.messages import MessageActions
from ingest_pipeline_tests.fake_discord.actions.permissions import PermissionActions
from ingest_pipeline_tests.fake_discord.faults import Faults
from ingest_pipeline_tests.fake_discord.gateway.dispatcher import Dispatcher
from ingest_pipeline_tests.fake_discord.gateway.gateway import Gateway
from ingest_pipeline_tests.fake_discord.gateway.handshake import Handshake
from ingest_pipeline_tests.fake_discord.journal import Journal
from ingest_pipeline_tests.fake_discord.rest.answers import Answers
from ingest_pipeline_tests.fake_discord.rest.oauth import PATH as OAUTH_PATH
from ingest_pipeline_tests.fake_discord.rest.oauth import OAuth
from ingest_pipeline_tests.fake_discord.rest.rate_limits import RateLimits
from ingest_pipeline_tests.fake_discord.rest.rest import PREFIX, Rest
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.snowflakes import ServerClock
from ingest_pipeline_tests.fake_discord.state.truth import ChannelTruth, truth, whole_truth

TOKEN = "bot.test.token"
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_SHUTDOWN_SECONDS = 1.0


class DiscordServer:
    """The whole simulated Discord; see the module's docstring.

    Attributes:
        token: The bot token it accepts.
        rest_url: ``http://127.0.0.1:PORT/api/v10``, once started.
        gateway_url: ``ws://127.0.0.1:PORT/``, once started.
    """

    def __init__(self, *, token: str = TOKEN) -> None:
        """Prepare an empty Discord; nothing listens yet."""
        self.token = token
        self.rest_url = ""
        self.gateway_url = ""
        self.clock = ServerClock()
        self.faults = Faults()
        self.journal = Journal()
        self.rate_limits = RateLimits(self.clock)
        self.state = GuildState(self.clock)
        self.guilds = GuildActions(self.state)
        self.channels = ChannelActions(self.state)
        self.messages = MessageActions(self.state)
        self.threads = ThreadActions(self.state, self.messages)
        self.permissions = PermissionActions(self.state)
        self.oauth = OAuth(self.state, self.guilds)
        self.dispatcher = Dispatcher(self.state, self.faults)
        self.gateway = Gateway(self.state, self.faults, self.dispatcher)
        self.handshake = Handshake(self.state, self.faults, self.journal, self.dispatcher, token)
        self._answers = Answers(self.state, self.faults)
        self._runner: web.AppRunner | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()

    def truth(self, channel_id: int) -> ChannelTruth:
        """Return what a perfect archive of a channel or thread would hold now."""
        return truth(self.state, channel_id)

    def whole_truth(self, guild_id: int) -> dict[int, ChannelTruth]:
        """Return the truth of every channel and thread a guild ever had, from one moment."""
        return whole_truth(self.state, guild_id)

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1, in a thread with its own event loop.

        Raises:
            TimeoutError: It did not come up.
        """
        self._thread = threading.Thread(target=self._run, name="discord-server", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise TimeoutError(f"the Discord server did not start within {_START_SECONDS} s")

    def stop(self) -> None:
        """Cut every connection and end the thread."""
        if self._thread is not None and self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_START_SECONDS)
            self._thread = None

    async def start_here(self) -> None:
        """Listen, served by the running event loop."""
        rest = Rest(self.state, self.faults, self.journal, self.rate_limits, self._answers, self.token)
        app = web.Application()
        rest.add_routes(app.router)
        app.router.add_get("/", self.handshake.handle)
        app.router.add_get("/resume", self.handshake.handle)
        app.router.add_get(OAUTH_PATH, self.oauth.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, 0).start()
        port = self._runner.addresses[0][1]
        self.rest_url = f"http://{_HOST}:{port}{PREFIX}"
        self.gateway_url = f"ws://{_HOST}:{port}/"
        self.handshake.url = self._answers.gateway_url = self.gateway_url

    async def stop_here(self) -> None:
        """Cut every connection and stop listening."""
        self.handshake.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _run(self) -> None:
        asyncio.run(self._serve_until_stopped())

    async def _serve_until_stopped(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await self.start_here()
        self._started.set()
        await self._stopping.wait()
        await self.stop_here()

    def __enter__(self) -> Self:
        """Start in a thread."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the thread."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start on the running loop."""
        await self.start_here()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop_here()
