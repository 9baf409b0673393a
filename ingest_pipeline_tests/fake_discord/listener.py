"""An unmodified discord.py client that writes down what it hears: the server's own test subject."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import discord

from ingest_pipeline_tests.fake_discord.server import DiscordServer

_POLL_SECONDS = 0.005
_READY_SECONDS = 0.05


class Listener(discord.Client):
    """Hears everything an archiving bot needs.

    Attributes:
        heard: (event name, argument) in the order dispatched, lifecycle events included.
        died: What ``connect()`` raised, None while it runs.
    """

    def __init__(self, intents: discord.Intents | None = None, **options: Any) -> None:
        """Ask for the least intents an archive needs, reactions included, unless others are given."""
        chosen = intents or discord.Intents(
            guilds=True, guild_messages=True, guild_reactions=True, message_content=True
        )
        options.setdefault("guild_ready_timeout", _READY_SECONDS)
        super().__init__(intents=chosen, **options)
        self.heard: list[tuple[str, Any]] = []
        self.died: BaseException | None = None

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Write an event down as discord.py dispatches it."""
        if not event.startswith("socket_"):
            self.heard.append((event, args[0] if args else None))
        super().dispatch(event, *args, **kwargs)

    def events(self, *names: str) -> list[Any]:
        """Return the arguments of the events of these names, in order."""
        return [argument for name, argument in self.heard if name in names]

    def message_ids(self) -> list[int]:
        """Return the ids of the messages heard live, in order, repetitions included."""
        return [message.id for message in self.events("message")]

    def count(self, name: str) -> int:
        """Count the events of a name."""
        return sum(event == name for event, _ in self.heard)

    async def run_connect(self) -> None:
        """Run ``connect()`` until it ends, keeping what it raised."""
        self.died = None
        try:
            await self.connect()
        except Exception as error:  # noqa: BLE001 - the tests ask what it was
            self.died = error

    async def until(self, condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Wait until ``condition`` holds.

        Raises:
            TimeoutError: It did not within ``seconds``; the message lists what was heard.
        """
        try:
            async with asyncio.timeout(seconds):
                while not condition():  # noqa: ASYNC110 - it may depend on the server, in another thread
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            heard = [name for name, _ in self.heard][-30:]
            raise TimeoutError(f"waited {seconds} s in vain; heard last: {heard}") from None

    async def until_ready(self, times: int = 1) -> None:
        """Wait until ``on_ready`` has fired ``times`` times."""
        await self.until(lambda: self.count("ready") >= times)


@asynccontextmanager
async def listening(
    server: DiscordServer, client: Listener | None = None, *, wait_until_ready: bool = True
) -> AsyncIterator[Listener]:
    """Log a listener in, connect it, and close it afterwards.

    Args:
        server: A started server that discord.py is attached to.
        client: The listener (default: a fresh one).
        wait_until_ready: Whether to wait for ``on_ready`` before the block begins.
    """
    listener = client or Listener()
    await listener.login(server.token)
    task = asyncio.create_task(listener.run_connect())
    try:
        if wait_until_ready:
            await listener.until(
                lambda: (
                    listener.count("ready") > 0 and not any(guild.unavailable for guild in listener.guilds)
                )
            )
        yield listener
    finally:
        await listener.close()
        await task


class _Printer(Listener):
    async def on_message(self, message: discord.Message) -> None:
        sys.stdout.write(f"{message.id}\n")
        sys.stdout.flush()


def print_live_messages() -> None:
    """Print the id of each message heard, one a line, until killed; the token is the first argument."""
    asyncio.run(_Printer().start(sys.argv[1]))
