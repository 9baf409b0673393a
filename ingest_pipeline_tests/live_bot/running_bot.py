"""The bot in a thread of the test's own process, so that a test can act while it runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from ingest_pipeline.bot.gateway_ingest import SpoolBatch
from ingest_pipeline.bot.listener import run_bot
from ingest_pipeline.bot.runtime import BotOptions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.settling import settle

_STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.05


class RunningBot:
    """A bot that runs until the block ends.

    Args:
        archive: What it writes to, and the Discord it reads from.
        options: How it behaves.
        connected: Wait until it is connected and has caught up.

    Attributes:
        batches: What it did with its spool, batch by batch.
    """

    def __init__(self, archive: Archive, options: BotOptions = QUICK, *, connected: bool = True) -> None:
        self._archive = archive
        self._options = options
        self._connected = connected
        self._thread = threading.Thread(target=self._run, name="bot")
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None
        self.batches: list[SpoolBatch] = []

    def settle(self, seconds: float = 60.0) -> None:
        """Wait until nothing is left to do."""
        settle(self._archive.server, self._archive.services, seconds)

    def settle_exactly(self, channel_id: int) -> None:
        """Wait until a channel is stored as Discord has it, or a minute, then until nothing is left to do.

        A gap that the bot has yet to notice is nothing left to do: on a busy machine `settle` alone may come
        before.
        """
        server = self._archive.server
        with suppress(TimeoutError):
            self.wait_for(lambda: not self._archive.differences(server.truth(channel_id)), "an exact archive")
        self.settle()

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Wait until something is so.

        Raises:
            TimeoutError: It is not.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s in vain for {what}")
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop it in order; raise what ended it, if something did."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_SECONDS)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def wait_for_end(self, seconds: float = 60.0) -> None:
        """Wait until it ends by itself, and raise what ended it."""
        self._thread.join(seconds)
        error, self._error = self._error, None
        assert not self._thread.is_alive()
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            self._error = error
        finally:
            self._begun.set()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        token = self._archive.services.settings.discord_bot_token or SecretStr("")
        await run_bot(
            self._archive.services, token, self._stop, options=self._options, observe=self.batches.append
        )

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        self._begun.wait()
        if self._connected:
            try:
                self.settle()
            except BaseException:
                self.stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        if self._thread.is_alive():
            self.stop()
