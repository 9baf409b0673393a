"""The state of the gateway connection, and the canary that finds a connection that delivers nothing.

The connection calls on the event loop and must not be kept waiting, so its calls only note things:
possible gaps, changed guilds, events of the bot's life.

Discord's REST API is asked for the newest message of each live channel. One that the gateway has not
delivered, and still not a while later, means that the gateway delivers nothing any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingest_pipeline.bot.ingest import SpoolIngester
from ingest_pipeline.bot.supervision import connection_event
from ingest_pipeline.bot.watchlist import Watchlist
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound, IngestError
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.batch_events import bot_event
from ingest_pipeline.sources.discord.gateway_guilds import GuildChange
from ingest_pipeline.sources.discord.rest import DiscordRest

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PossibleGap:
    """Changes since a time may have been missed.

    Attributes:
        channel_ids: Where; None for every watched channel.
        since: The time, aware UTC; None for when the bot last received an event.
    """

    channel_ids: frozenset[int] | None
    since: datetime | None


class GatewayState:
    """The listener of the connection; see `GatewayListener`. For one event loop.

    Args:
        ingester: Is woken when events are durable.
        journey: The correlation id of this run of the bot.

    Attributes:
        missed: What may have been missed and is not noted in the database yet.
        changed_guilds: Guilds whose channels are to be looked at again.
        threads: Threads as events last reported them; a look at a guild does not show archived ones.
        deleted: Threads that were deleted.
        pending_events: Events of the bot's life that are not written yet.
        sessions_begun: How many gateway sessions there were.
        catch_up_wanted: Set when there is something to catch up on.
        guilds_changed: Set when there are guilds to look at soon.
        rescheduled_guilds: Guilds whose scheduled events are to be read again.
        events_rescheduled: Set when there are such guilds.
        has_pending_events: Set when there is something to write.
    """

    def __init__(self, watchlist: Watchlist, ingester: SpoolIngester, journey: str) -> None:
        """Begin having heard nothing."""
        self._watchlist = watchlist
        self._ingester = ingester
        self._journey = journey
        self._was_connected = False
        self._failure: tuple[EventType, str] | None = None
        self.possible_gaps: list[PossibleGap] = []
        self.changed_guilds: set[int] = set()
        self.threads: dict[int, Channel] = {}
        self.deleted: set[int] = set()
        self.pending_events: list[Event] = []
        self.sessions_begun = 0
        self.catch_up_wanted = asyncio.Event()
        self.guilds_changed = asyncio.Event()
        self.rescheduled_guilds: set[int] = set()
        self.events_rescheduled = asyncio.Event()
        self.has_pending_events = asyncio.Event()

    def may_want(self, channel_id: int) -> bool:
        """See `GatewayListener`."""
        return self._watchlist.may_want(channel_id)

    def session_began(self) -> None:
        """See `GatewayListener`."""
        self.sessions_begun += 1
        self._note_connected()
        self.record_possible_gap(None, None)
        _logger.info("connected to Discord's gateway; catching up")
        self.record(EventType.BOT_READY, {"resumed": False})

    def session_resumed(self) -> None:
        """See `GatewayListener`."""
        self._note_connected()
        _logger.info("the gateway session was resumed; what happened meanwhile was replayed")
        self.record(EventType.BOT_READY, {"resumed": True})

    def disconnected(self) -> None:
        """See `GatewayListener`; reported once for each interruption."""
        if self._was_connected:
            self._was_connected = False
            interrupted = "the connection to Discord's gateway is interrupted"
            _logger.warning(interrupted)
            self.record(EventType.BOT_DISCONNECTED, {})
            self.record(EventType.SYSTEM_CONNECTION_LOST, {"message": interrupted})

    def connection_failed(self, error: IngestError) -> None:
        """Note that a connection was refused by Discord or could not be kept; the same is reported once."""
        failure = (connection_event(error), str(error))
        if failure != self._failure:
            self._failure = failure
            self.record(failure[0], {"error": type(error).__name__, "message": failure[1]})

    def _note_connected(self) -> None:
        self._was_connected = True
        self._failure = None

    def spooled(self) -> None:
        """See `GatewayListener`."""
        self._ingester.wake()

    def scheduled_events_changed(self, guild_id: int) -> None:
        """See `GatewayListener`."""
        self.rescheduled_guilds.add(guild_id)
        self.events_rescheduled.set()

    def guild_changed(self, change: GuildChange) -> None:
        """See `GatewayListener`."""
        learned = self._watchlist.learn(change.channels)
        now = datetime.now(UTC)
        lost = self._watchlist.with_threads(change.lost)
        found = self._watchlist.with_threads(change.regained) | learned
        if lost:
            self.possible_gaps.append(PossibleGap(frozenset(lost), now))
        if found:
            self.record_possible_gap(frozenset(found), now)
        self.changed_guilds.add(change.guild_id)
        self.threads.update((each.channel_id, each) for each in change.channels if each.is_thread)
        self.deleted |= change.deleted
        is_new = not self._watchlist.knows_guild(change.guild_id)
        if lost or found or change.is_gone or is_new:
            self.guilds_changed.set()

    def record_possible_gap(self, channel_ids: frozenset[int] | None, since: datetime | None) -> None:
        """Note that changes may have been missed, and ask for a catch-up."""
        self.possible_gaps.append(PossibleGap(channel_ids, since))
        self.catch_up_wanted.set()

    def record(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Note an event of the bot's life, to be written when the database lets it."""
        self.pending_events.append(bot_event(event_type, self._journey, datetime.now(UTC), data))
        self.has_pending_events.set()


@dataclass(slots=True)
class StaleGatewayDetector:
    """The state of the canary in one gateway session.

    Attributes:
        grace_seconds: How long the gateway may be behind REST.
        known: The newest message of each channel when it was first looked at in this session.
        undelivered: Messages the gateway has not delivered, by channel, with when that was first seen, on
            the monotonic clock.
    """

    grace_seconds: float
    known: dict[int, int] = field(default_factory=dict)
    undelivered: dict[int, tuple[int, float]] = field(default_factory=dict)

    async def look(
        self, rest: DiscordRest, channel_ids: Collection[int], last_received: Mapping[int, int]
    ) -> None:
        """Ask for the newest message of some channels; those that cannot be read are left out.

        Args:
            last_received: The newest message that the gateway delivered of each channel.

        Raises:
            DiscordUnavailable: Discord did not answer.
        """
        for channel_id in channel_ids:
            try:
                page = await rest.history(channel_id, limit=1)
            except (ChannelForbidden, ChannelNotFound):
                continue
            newest = max((int(message["id"]) for message in page.messages), default=0)
            self._note(channel_id, newest, last_received.get(channel_id, 0), time.monotonic())

    def is_stale(self, last_received: Mapping[int, int], now: float) -> bool:
        """Return whether a message stayed undelivered for longer than the grace.

        Args:
            last_received: As for `look`.
            now: The monotonic clock.
        """
        return any(
            last_received.get(channel_id, 0) < message_id and now - since >= self.grace_seconds
            for channel_id, (message_id, since) in self.undelivered.items()
        )

    def _note(self, channel_id: int, newest: int, last_received: int, now: float) -> None:
        # The session delivers no message that was there when it began.
        known = self.known.setdefault(channel_id, newest)
        earlier = self.undelivered.get(channel_id)
        if earlier and last_received >= earlier[0]:
            del self.undelivered[channel_id]
            earlier = None
        if earlier is None and newest > max(known, last_received):
            self.undelivered[channel_id] = (newest, now)
