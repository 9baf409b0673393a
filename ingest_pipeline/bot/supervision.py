"""Supervision of the bot's services: each fails independently, backs off and goes on.

What no repetition can help, a token that Discord does not accept above all, ends the bot.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ingest_pipeline.domain.backoff import Backoff, FailureCount
from ingest_pipeline.errors import (
    ConfigurationError,
    DiscordUnavailable,
    IngestError,
    IntentMissing,
    PermanentError,
    TokenRejected,
)
from ingest_pipeline.events import EventType

FIRST_PAUSE_SECONDS = 1.0
CONNECTIONS = Backoff(FIRST_PAUSE_SECONDS, longest_seconds=120.0, jitter=0.5)
"""Pauses between attempts to connect."""
"""A connection that fails at once every time makes some 700 IDENTIFYs a day, of which Discord grants 1000
(https://docs.discord.com/developers/events/gateway, "Session Start Limit")."""

STABLE_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.25

_logger = logging.getLogger(__name__)


class BotEnded(ConfigurationError):
    """The bot cannot go on until an operator has acted."""


async def run_forever(
    name: str, step: Callable[[], Awaitable[object]], failures: FailureCount | None = None
) -> None:
    """Take one step after the other until cancelled; one that fails is taken again after a pause.

    Args:
        name: What it is, for the log.
        step: The step; it waits by itself when there is nothing to do.
        failures: Failures in a row, for the pauses.

    Raises:
        BotEnded: Discord does not accept the bot any more.
    """
    pauses = failures or FailureCount(Backoff(FIRST_PAUSE_SECONDS, 30.0, jitter=0.5))
    while True:
        try:
            await step()
        except (TokenRejected, IntentMissing) as error:
            raise BotEnded(str(error)) from error
        except IngestError as error:
            pause = pauses.next_pause()
            _logger.warning("%s failed, trying again in %.1f s: %s", name, pause, error)
            await asyncio.sleep(pause)
        except Exception:
            pause = pauses.next_pause()
            _logger.exception("%s failed unexpectedly, trying again in %.1f s", name, pause)
            await asyncio.sleep(pause)
        else:
            pauses.reset()


class GatewayConnection(Protocol):
    """A client that can be connected once."""

    is_connected: bool
    changed_at: float

    async def login(self, token: str) -> None:
        """Present the token."""
        ...

    async def connect(self) -> None:
        """Stay connected, through interruptions, until something cannot be fixed."""
        ...

    async def close(self) -> None:
        """Disconnect, and make durable what was received."""
        ...


Client = TypeVar("Client", bound=GatewayConnection)


@dataclass(slots=True)
class GatewayReconnector(Generic[Client]):
    """Keeps one client connected, and replaces it when it is beyond help.

    discord.py fixes most interruptions itself, by RESUME. It gives up when the very first connection
    fails, when a frame cannot be parsed and on some close codes, and after repeated failure it waits
    for up to a quarter of an hour: a client that has heard nothing for `patience_seconds` is replaced.

    Attributes:
        make: Makes a client.
        token: The bot's token.
        patience_seconds: How long a client may be without a session.
        failures: Clients that failed in a row, for the pauses between them.
        client: The present client, or None between two.
        is_replacing: Set to have the present client replaced.
        report: Called for each connection that was refused or lost.
    """

    make: Callable[[], Client]
    token: str
    patience_seconds: float = PATIENCE_SECONDS
    failures: FailureCount | None = None
    client: Client | None = None
    is_replacing: bool = False
    report: Callable[[IngestError], None] | None = None

    async def live_once(self) -> None:
        """Connect one client and stay until it ends.

        Raises:
            TokenRejected: Discord does not accept the token.
            IntentMissing: The bot lacks an intent.
            DiscordUnavailable: The connection ended.
        """
        client = self.client = self.make()
        self.is_replacing = False
        began = time.monotonic()
        try:
            await self._connect(client)
            raise DiscordUnavailable("the connection to Discord's gateway ended: reconnecting")
        except IngestError as error:
            if self.report:
                self.report(error)
            raise
        finally:
            self.client = None
            if self.failures and time.monotonic() - began > STABLE_SECONDS:
                self.failures.reset()
            await _close(client)

    async def _connect(self, client: Client) -> None:
        try:
            await client.login(self.token)
            connection = asyncio.create_task(client.connect(), name="gateway-connection")
            try:
                while not connection.done() and not self._is_stuck(client):
                    await asyncio.wait([connection], timeout=_LOOK_SECONDS)
            finally:
                if not connection.done():
                    connection.cancel()
                    with suppress(asyncio.CancelledError):
                        await connection
            if not connection.cancelled():
                connection.result()
        except Exception as error:
            raise gateway_error(error) from error

    def _is_stuck(self, client: Client) -> bool:
        silent = not client.is_connected and time.monotonic() - client.changed_at > self.patience_seconds
        return silent or self.is_replacing


def gateway_error(error: Exception) -> IngestError:
    """Return what ended a connection, as one of our own errors."""
    from discord import errors

    if isinstance(error, IngestError):
        return error
    if isinstance(error, errors.LoginFailure) or _close_code(error) == 4004:
        return TokenRejected(
            "Discord does not accept the bot's token: copy DISCORD_BOT_TOKEN again from "
            "https://discord.com/developers/applications, Bot, Reset Token"
        )
    if isinstance(error, errors.PrivilegedIntentsRequired) or _close_code(error) in {4013, 4014}:
        return IntentMissing(
            "Discord refuses the message content intent: switch it on at "
            "https://discord.com/developers/applications under Bot, Privileged Gateway Intents"
        )
    return DiscordUnavailable(f"the connection to Discord's gateway failed ({type(error).__name__}: {error})")


def connection_event(error: IngestError) -> EventType:
    """Return what it is called that a connection to Discord failed: refused for good, or lost."""
    refused = isinstance(error, PermanentError)
    return EventType.SYSTEM_CONNECTION_REFUSED if refused else EventType.SYSTEM_CONNECTION_LOST


def _close_code(error: Exception) -> int | None:
    from discord import errors

    return error.code if isinstance(error, errors.ConnectionClosed) else None


async def _close(client: GatewayConnection) -> None:
    try:
        await client.close()
    except Exception:
        _logger.exception("the gateway connection did not close properly")
