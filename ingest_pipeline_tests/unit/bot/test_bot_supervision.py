"""How the bot's parts are kept going, and its connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import discord
import pytest

from ingest_pipeline.bot.supervision import (
    BotEnded,
    GatewayReconnector,
    gateway_error,
    run_forever,
)
from ingest_pipeline.domain.backoff import Backoff, FailureCount
from ingest_pipeline.errors import DatabaseBusy, DiscordUnavailable, IngestError, IntentMissing, TokenRejected

QUICK = 0.001


class Steps:
    """A step that ends in a given way each time, and then for good."""

    def __init__(self, *endings: Exception | None) -> None:
        self.endings = list(endings)
        self.taken = 0

    async def __call__(self) -> None:
        """Take one."""
        self.taken += 1
        ending = self.endings.pop(0)
        if ending:
            raise ending


def test_a_step_that_fails_is_taken_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it fails of; and what stops the bot does."""
    steps = Steps(DatabaseBusy("busy"), None, ValueError("undelivered of"), None, TokenRejected("no"))
    with pytest.raises(BotEnded, match="no"):
        asyncio.run(run_forever("the part", steps, FailureCount(Backoff(QUICK, QUICK))))
    assert steps.taken == 5
    assert "the part failed, trying again" in caplog.text
    assert "the part failed unexpectedly" in caplog.text


def test_pauses_double_up_to_the_longest_and_begin_again() -> None:
    """With jitter of half."""
    backoff = FailureCount(Backoff(first_seconds=1.0, longest_seconds=8.0, jitter=0.5))
    for longest in (1, 2, 4, 8, 8):
        assert longest / 2 <= backoff.next_pause() <= longest
    backoff.reset()
    assert backoff.next_pause() <= 1


class Client:
    """A connection that does what a test asks for."""

    def __init__(self, connect: Callable[[], asyncio.Future[None]] | None = None) -> None:
        self.is_connected = False
        self.changed_at = time.monotonic()
        self.closed = 0
        self.began = asyncio.Event()
        self._connect = connect

    async def login(self, token: str) -> None:
        """Take any token but one."""
        if token == "wrong":
            raise discord.LoginFailure("Improper token has been passed.")

    async def connect(self) -> None:
        """Stay for as long as the test says."""
        self.began.set()
        if self._connect is None:
            await asyncio.Event().wait()
        else:
            await self._connect()

    async def close(self) -> None:
        """Count."""
        self.closed += 1


def lived(client: Client, **options: Any) -> IngestError:
    """Connect a client once and return how that ended."""

    async def live() -> IngestError:
        given: dict[str, Any] = {"token": "t", "patience_seconds": 60.0, **options}
        reconnector = GatewayReconnector(lambda: client, **given)
        with pytest.raises(IngestError) as ended:
            await reconnector.live_once()
        assert reconnector.client is None
        return ended.value

    return asyncio.run(live())


def test_a_client_that_ends_is_closed() -> None:
    """In order or not; a new one is to be made."""

    async def raises() -> None:
        raise KeyError("type")

    for client in (Client(raises), Client(lambda: asyncio.sleep(0))):  # type: ignore[arg-type, return-value]
        assert isinstance(lived(client), DiscordUnavailable)
        assert client.closed == 1


def test_a_client_without_a_session_for_too_long_is_replaced() -> None:
    """discord.py may wait for a quarter of an hour between two attempts."""
    client = Client()
    assert isinstance(lived(client, patience_seconds=0.0), DiscordUnavailable)
    assert client.closed == 1


def test_a_client_is_replaced_when_asked_to() -> None:
    """Though it believes itself connected."""

    async def live() -> None:
        client = Client()
        client.is_connected = True
        reconnector = GatewayReconnector(lambda: client, "t")
        connected = asyncio.create_task(reconnector.live_once())
        await client.began.wait()
        reconnector.is_replacing = True
        with pytest.raises(DiscordUnavailable):
            await connected
        assert client.closed == 1

    asyncio.run(live())


def test_a_wrong_token_is_distinguished() -> None:
    """Nothing but another one helps."""
    assert isinstance(lived(Client(), token="wrong"), TokenRejected)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(4004, TokenRejected), (4013, IntentMissing), (4014, IntentMissing), (4000, DiscordUnavailable)],
)
def test_close_codes_are_distinguished(code: int, kind: type[IngestError]) -> None:
    """As Discord's documentation has them."""

    class Socket:
        close_code = code

    closed = discord.ConnectionClosed(Socket(), shard_id=None, code=code)  # type: ignore[arg-type]
    assert type(gateway_error(closed)) is kind


def test_our_own_errors_stay_what_they_are() -> None:
    """Nothing is translated twice."""
    error = DatabaseBusy("busy")
    assert gateway_error(error) is error
    assert isinstance(gateway_error(discord.PrivilegedIntentsRequired(None)), IntentMissing)
