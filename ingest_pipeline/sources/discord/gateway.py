"""The gateway connection: every message event goes to the spool first.

This is discord.py's own client. It reconnects, resumes and keeps guilds and channels in its cache;
message events are taken as raw frames, since the archive needs them whole, uncached messages
included, and a malformed one must not end the connection (discord.py's own message parsers raise
out of `connect`). `gateway_events.py` reads message events; `gateway_guilds.py` those of guilds and
permissions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import discord
import msgspec
from discord.gateway import DiscordWebSocket
from discord.http import Route

from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import StorageRejected
from ingest_pipeline.landing.spool import Spool
from ingest_pipeline.sources.discord.gateway_guilds import GuildChange, GuildWatch
from ingest_pipeline.sources.http import proxy_for

_logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05
"""Events that come within this time are forced to disk together."""

RESUMABLE_CLOSE = 4000
"""A close code after which Discord keeps the session, so that a RESUME brings back what was missed."""

_RETRY_SECONDS = 1.0
_CREATION = "MESSAGE_CREATE"
# Taken as they are: discord.py's own parsers raise out of `connect` for a field that is new to them.
_SCHEDULED_EVENTS = frozenset(f"GUILD_SCHEDULED_EVENT_{kind}" for kind in ("CREATE", "UPDATE", "DELETE"))
_TICK = timedelta(microseconds=1)


class _Head(msgspec.Struct):
    t: str | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")


class _EventIds(msgspec.Struct):
    channel_id: Any = None
    id: Any = None


class _GuildOf(msgspec.Struct):
    guild_id: Any = None


_HEAD = msgspec.json.Decoder(_Head)
_GUILD_OF = msgspec.json.Decoder(_GuildOf)
_EVENT_IDS = msgspec.json.Decoder(_EventIds)


class GatewayListener(Protocol):
    """Takes what the connection brings; on the event loop, and must not wait for anything."""

    def may_want(self, channel_id: int) -> bool:
        """Return whether a channel's messages are wanted, as far as is known."""
        ...

    def session_began(self) -> None:
        """Note a READY: everything that happened before it may have been missed."""
        ...

    def session_resumed(self) -> None:
        """Note a RESUMED: what happened meanwhile was replayed."""
        ...

    def disconnected(self) -> None:
        """Note that the connection is gone."""
        ...

    def spooled(self) -> None:
        """Note that events have become durable."""
        ...

    def guild_changed(self, change: GuildChange) -> None:
        """Note what is new about a guild."""
        ...

    def scheduled_events_changed(self, guild_id: int) -> None:
        """Note that a guild's scheduled events are others."""
        ...


def archive_intents() -> discord.Intents:
    """Return the least intents that are needed: guilds and their scheduled events, messages, reactions.

    Message content is privileged and must be switched on in Discord's developer portal.
    """
    intents = discord.Intents.none()
    intents.guilds = True
    intents.guild_scheduled_events = True
    intents.guild_messages = True
    intents.guild_reactions = True
    intents.message_content = True
    return intents


class GatewayClient(discord.Client):
    """A client that spools the events it is asked for.

    Args:
        spool: Where events go.
        captured: Names of the events to keep, such as `MESSAGE_CREATE`.
        listener: Takes everything else that matters.
        ready_timeout_seconds: How long after the last guild discord.py takes its cache as complete.

    Attributes:
        is_connected: Whether a session is established and its connection stands.
        changed_at: When `is_connected` last changed, on the monotonic clock.
        last_frame_at: When the last frame of any kind was received, aware UTC, or None.
        newest_ids: The newest message that was heard of in each channel.
    """

    def __init__(
        self,
        spool: Spool,
        captured: frozenset[str],
        listener: GatewayListener,
        *,
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
            proxy=proxy_for(Route.BASE),
        )
        self._spool = spool
        self._captured = captured
        self._listener = listener
        self._guild_watch = GuildWatch(listener.guild_changed)
        self._waiting = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self.is_connected = False
        self.changed_at = time.monotonic()
        self.last_frame_at: datetime | None = None
        self.newest_ids: dict[int, int] = {}
        for event in captured | _SCHEDULED_EVENTS:
            self._connection.parsers.pop(event, None)

    async def login(self, token: str) -> None:
        """Log in over REST; what follows is the gateway, another host, for which another proxy may hold."""
        await super().login(token)
        self.http.proxy = proxy_for(str(DiscordWebSocket.DEFAULT_GATEWAY))

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Take raw frames at once, in the order they came, and see what discord.py made of the others."""
        if event == "socket_raw_receive":
            self._take(args[0])
            return
        if event == "disconnect":
            self._hear(hearing=False)
            self._listener.disconnected()
        self._guild_watch.see(event, args)
        super().dispatch(event, *args, **kwargs)

    def _take(self, frame: str) -> None:
        raw = frame.encode()
        try:
            head = _HEAD.decode(raw)
        except msgspec.DecodeError:
            # discord.py cannot read it either and ends the connection: the next READY catches up.
            return
        # Never the same time twice and never backwards: it decides between two versions.
        earliest = self.last_frame_at + _TICK if self.last_frame_at else datetime.min.replace(tzinfo=UTC)
        self.last_frame_at = max(datetime.now(UTC), earliest)
        if head.t in self._captured:
            self._capture(raw, head, self.last_frame_at)
        elif head.t == "READY":
            self._hear(hearing=True)
            self._listener.session_began()
        elif head.t == "RESUMED":
            self._hear(hearing=True)
            self._listener.session_resumed()
        elif head.t in _SCHEDULED_EVENTS:
            self._note_scheduled_event(head)

    def _note_scheduled_event(self, head: _Head) -> None:
        # The guild's list is read again over REST, which has recurrence rules too.
        with suppress(msgspec.DecodeError):
            guild_id = parse_snowflake(_GUILD_OF.decode(head.d).guild_id)
            if guild_id is not None:
                self._listener.scheduled_events_changed(guild_id)

    def _capture(self, raw: bytes, head: _Head, received_at: datetime) -> None:
        try:
            ids = _EVENT_IDS.decode(head.d)
        except msgspec.DecodeError:
            ids = _EventIds()
        channel_id, message_id = parse_snowflake(ids.channel_id), parse_snowflake(ids.id)
        if channel_id is not None:
            if head.t == _CREATION and message_id is not None:
                self.newest_ids[channel_id] = max(self.newest_ids.get(channel_id, 0), message_id)
            if not self._listener.may_want(channel_id):
                return
        self._spool.append(raw.replace(b"\n", b" "), received_at)
        self._waiting.set()

    def _hear(self, *, hearing: bool) -> None:
        if hearing != self.is_connected:
            self.is_connected = hearing
            self.changed_at = time.monotonic()

    async def setup_hook(self) -> None:
        """Begin to force events to disk; called by discord.py after login."""
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="spool-flusher")

    async def reconnect(self) -> None:
        """Drop the connection and resume the session on a new one."""
        if self.ws is not None:
            await self.ws.close(code=RESUMABLE_CLOSE)

    async def close(self) -> None:
        """Disconnect, then force the last events to disk."""
        await super().close()
        if self._flusher is not None:
            self._flusher.cancel()
            with suppress(asyncio.CancelledError):
                await self._flusher
            self._flusher = None
        await self._flush()

    async def _flush_for_ever(self) -> None:
        """Force what came to disk, many events at a time when they come fast."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            if not await self._flush():
                self._waiting.set()
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(FLUSH_SECONDS)

    async def _flush(self) -> bool:
        try:
            await asyncio.to_thread(self._spool.flush)
        except StorageRejected as error:
            _logger.warning("%s", error)
            return False
        self._listener.spooled()
        return True
