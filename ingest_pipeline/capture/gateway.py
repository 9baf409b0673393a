"""The gateway connection: every message event goes to the spool before anything else looks at it.

This is discord.py's own client. It reconnects, resumes and keeps guilds and channels in its cache;
message events are taken as raw frames, since the archive needs them whole, uncached messages
included, and a malformed one must not end the connection (discord.py's own message parsers raise
out of `connect`). What events mean is for `gateway_events.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import discord
import msgspec

from ingest_pipeline.capture.spool import Spool
from ingest_pipeline.errors import LandingRefused

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05


class _Head(msgspec.Struct):
    t: str | None = None


_HEAD = msgspec.json.Decoder(_Head)


def archive_intents() -> discord.Intents:
    """Return the least intents that capture needs: guilds, messages, their content, reactions.

    Message content is privileged and must be switched on in Discord's developer portal.
    """
    intents = discord.Intents.none()
    intents.guilds = True
    intents.guild_messages = True
    intents.guild_reactions = True
    intents.message_content = True
    return intents


class GatewayClient(discord.Client):
    """A client that spools the events it is asked for.

    Args:
        spool: Where events go.
        captured: Names of the events to keep, such as `MESSAGE_CREATE`.
        on_ready_again: Awaited at every READY: whatever happened before it may have been missed.
        on_spooled: Called after events have become durable.
        ready_timeout_seconds: How long after the last guild READY is taken as complete.
    """

    def __init__(
        self,
        spool: Spool,
        captured: frozenset[str],
        *,
        on_ready_again: Callable[[], Awaitable[None]],
        on_spooled: Callable[[], None],
        ready_timeout_seconds: float = 2.0,
    ) -> None:
        """Prepare the client; nothing connects yet."""
        super().__init__(
            intents=archive_intents(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            enable_debug_events=True,
            guild_ready_timeout=ready_timeout_seconds,
        )
        self._spool = spool
        self._captured = captured
        self._on_ready_again = on_ready_again
        self._on_spooled = on_spooled
        self._waiting = asyncio.Event()
        self.last_event_at: datetime | None = None
        self.newest_ids: dict[int, int] = {}
        for event in captured:
            self._connection.parsers.pop(event, None)

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Take raw frames at once, in the order they came; pass everything else on."""
        if event == "socket_raw_receive":
            self._capture(args[0])
        elif event != "socket_event_type":
            super().dispatch(event, *args, **kwargs)

    def _capture(self, frame: str) -> None:
        raw = frame.encode()
        try:
            kind = _HEAD.decode(raw).t
        except msgspec.DecodeError:
            return
        self.last_event_at = datetime.now(UTC)
        if kind in self._captured:
            self._spool.append(raw.replace(b"\n", b" "), self.last_event_at)
            self._waiting.set()

    async def setup_hook(self) -> None:
        """Begin to force events to disk; called by discord.py after login."""
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="spool-flusher")

    async def on_ready(self) -> None:
        """Catch up: a new session replays nothing."""
        await self._on_ready_again()

    async def close(self) -> None:
        """Disconnect, then force the last events to disk."""
        await super().close()
        flusher = getattr(self, "_flusher", None)
        if flusher is not None:
            flusher.cancel()
            with suppress(asyncio.CancelledError):
                await flusher
        await self._flush()

    async def _flush_for_ever(self) -> None:
        """Force what came to disk, many events at a time when they come fast."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            if not await self._flush():
                self._waiting.set()
                await asyncio.sleep(1.0)
            await asyncio.sleep(FLUSH_SECONDS)

    async def _flush(self) -> bool:
        try:
            await asyncio.to_thread(self._spool.flush)
        except LandingRefused as error:
            logger.error("%s", error)
            return False
        self._on_spooled()
        return True
