"""The watchlist: channels whose messages the bot takes, kept in step with the catalogue.

The answer is needed for each frame, so it is kept in memory: read from the catalogue, and added to
the moment the gateway reports a new channel or thread, whose first messages follow at once.

`BotCatalogue` decides what is watched, notes each watched channel, and says which of them cannot be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from ingest_pipeline.bot.check import REMEDIES, patterns_in_force
from ingest_pipeline.bot.heartbeat import (
    SYNC_CHANNELS,
    SYNC_GUILDS,
    SYNC_THREADS,
    RunningOperations,
)
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.domain.guild import Channel, ChannelAccess, monitored_ids
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, ChannelForbidden, ChannelNotFound
from ingest_pipeline.history.catalogue_sync import note_left, save_view
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.discovery import GuildView, view_guild
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import (
    list_channels,
    list_guilds,
    list_monitor_patterns,
    mark_guild_left,
    save_channels,
    set_monitor_patterns,
    set_reading_state,
)
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.refetch_queue import (
    WatchedChannel,
    hasten_refetches,
    list_watched,
    watch_channels,
)
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.userconfig.session_files import sync_sessions_file

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogueView:
    """The part of the catalogue that decides what is watched.

    Attributes:
        channels: Every channel and thread by id.
        patterns: Each guild's patterns; guilds that were left are not there.
        sessions: All sessions, the earliest first.
    """

    channels: dict[int, Channel] = field(default_factory=dict)
    patterns: dict[int, list[str]] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()


def view_catalogue(connection: Connection) -> CatalogueView:
    """Read what decides what is watched."""
    present = [row["guild_id"] for row in list_guilds(connection) if row["left_at"] is None]
    return CatalogueView(
        channels={channel.channel_id: channel for channel in list_channels(connection)},
        patterns={guild_id: list_monitor_patterns(connection, guild_id) for guild_id in present},
        sessions=tuple(list_sessions(connection)),
    )


class Watchlist:
    """The channels that are watched now. Read from any thread; changed from the event loop alone."""

    def __init__(self) -> None:
        """Begin knowing nothing: every channel might be wanted."""
        self._view = CatalogueView()
        self._received: dict[int, Channel] = {}
        self._wanted: frozenset[int] = frozenset()
        self._ever_wanted: frozenset[int] = frozenset()
        self._monitored: frozenset[int] = frozenset()

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All sessions, the earliest first."""
        return self._view.sessions

    def wants(self, channel_id: int) -> bool:
        """Return whether a channel's messages are taken."""
        return channel_id in self._wanted

    def has_wanted(self, channel_id: int) -> bool:
        """Return whether a channel's messages are taken, or were earlier, as those of one that is deleted."""
        return channel_id in self._ever_wanted

    def may_want(self, channel_id: int) -> bool:
        """Return whether a channel's messages are taken, or the channel is not known yet."""
        return channel_id in self._wanted or channel_id not in self._view.channels

    def knows_guild(self, guild_id: int) -> bool:
        """Return whether a guild has been looked at, so that its patterns are known."""
        return guild_id in self._view.patterns

    def is_monitored(self, channel_id: int) -> bool:
        """Return whether a channel is taken for a pattern's sake, and so expected whole."""
        return channel_id in self._monitored

    def channels(self) -> list[Channel]:
        """Return the watched channels and threads that hold messages."""
        known = (self._view.channels.get(channel_id) for channel_id in sorted(self._wanted))
        return [channel for channel in known if channel is not None and channel.holds_messages]

    def with_threads(self, channel_ids: Iterable[int]) -> set[int]:
        """Return those of some channels that are watched, with their watched threads."""
        asked = set(channel_ids)
        return {
            channel.channel_id
            for channel in self.channels()
            if channel.channel_id in asked or (channel.is_thread and channel.parent_id in asked)
        }

    def replace(self, view: CatalogueView) -> set[int]:
        """Take over a fresh view and return the channels that are wanted now and were not before.

        Channels that the gateway reported and that the view does not have yet are kept.
        """
        self._received = {key: channel for key, channel in self._received.items() if key not in view.channels}
        return self._take(CatalogueView({**view.channels, **self._received}, view.patterns, view.sessions))

    def learn(self, channels: Iterable[Channel]) -> set[int]:
        """Take over channels that the gateway reported; return those that are wanted now and were not."""
        received = {channel.channel_id: channel for channel in channels}
        changed = {
            channel_id: channel
            for channel_id, channel in received.items()
            if _monitor_key(self._view.channels.get(channel_id)) != _monitor_key(channel)
        }
        if not changed:
            return set()
        self._received |= changed
        known = self._view.channels | changed
        return self._take(CatalogueView(known, self._view.patterns, self._view.sessions))

    def _take(self, view: CatalogueView) -> set[int]:
        before = self._wanted
        monitored: set[int] = set()
        for guild_id, patterns in view.patterns.items():
            own = [channel for channel in view.channels.values() if channel.guild_id == guild_id]
            monitored |= monitored_ids(own, patterns) if patterns else set()
        in_sessions = {channel_id for session in view.sessions for channel_id in session.channel_ids}
        # Assigned in this order: a reader in between takes a frame too many and none too few.
        self._wanted = frozenset(monitored | in_sessions)
        self._ever_wanted |= self._wanted
        self._monitored = frozenset(monitored)
        self._view = view
        return set(self._wanted - before)


def _monitor_key(channel: Channel | None) -> tuple[str, int | None] | None:
    """Return what decides whether a channel is monitored."""
    return None if channel is None else (channel.name, channel.parent_id)


@dataclass(slots=True)
class BotCatalogue:
    """Guilds and channels, and what is watched of them.

    Attributes:
        watchlist: What is watched; kept up here.
        default_patterns: The patterns of a guild without patterns of its own.
        reported: The state of each watched channel as it was last reported.
        mistakes: The problems of the sessions file as they were last reported.
        present: The guilds the bot was in when it last looked.
        operations: What goes on.
    """

    services: Services
    rest: DiscordRest
    watchlist: Watchlist
    default_patterns: Collection[str] = ()
    reported: dict[int, ChannelAccess] = field(default_factory=dict)
    mistakes: str = ""
    present: list[int] = field(default_factory=list)
    operations: RunningOperations = field(default_factory=RunningOperations)

    async def discover(self, *, archived: bool) -> list[int]:
        """Look at every guild the bot is in and return their ids.

        Args:
            archived: Look for archived threads too, one request or more for each channel.

        Raises:
            TokenRejected: Discord does not accept the bot any more.
            DiscordUnavailable: Discord did not answer.
        """
        async with self.operations.running(SYNC_GUILDS):
            present = [int(payload["id"]) for payload in await self.rest.guilds()]
            await asyncio.to_thread(
                self.services.database.run, partial(note_left, present=present, now=datetime.now(UTC))
            )
        await self.refresh(present, archived=archived)
        self.present = present
        return present

    async def refresh(self, guild_ids: Iterable[int], *, archived: bool = False) -> None:
        """Synchronise some guilds with Discord; a guild that the bot has left is recorded."""
        async with self.operations.running(SYNC_THREADS if archived else SYNC_CHANNELS):
            await self._refresh(guild_ids, archived=archived)
        await self.reload()

    async def _refresh(self, guild_ids: Iterable[int], *, archived: bool) -> None:
        for guild_id in sorted(guild_ids):
            try:
                view = await view_guild(self.rest, guild_id, archived=archived)
            except (ChannelForbidden, ChannelNotFound):
                now = datetime.now(UTC)
                await asyncio.to_thread(
                    self.services.database.run, partial(mark_guild_left, guild_id=guild_id, now=now)
                )
                continue
            await asyncio.to_thread(self.services.database.run, partial(self._save, view=view))

    async def note_threads(self, threads: Sequence[Channel], deleted: Collection[int]) -> None:
        """Store threads as events reported them, and which are gone."""
        now = datetime.now(UTC)

        def work(connection: Connection) -> None:
            save_channels(connection, threads, now=now)
            for thread_id in sorted(deleted):
                set_reading_state(connection, thread_id, ChannelAccess.MISSING, now=now)

        await asyncio.to_thread(self.services.database.run, work)

    async def reload(self) -> set[int]:
        """Read again what is watched; return the channels that are watched now and were not before."""
        noted_at = datetime.now(UTC)

        def read() -> CatalogueView:
            self._take_over_sessions()
            with self.services.database.read() as connection:
                return view_catalogue(connection)

        fresh = self.watchlist.replace(await asyncio.to_thread(read))
        await asyncio.to_thread(self._watch, noted_at)
        self._report_access()
        return fresh

    def _save(self, connection: Connection, view: GuildView) -> None:
        guild_id = view.guild.guild_id
        save_view(connection, view)
        patterns = patterns_in_force(connection, view, self.default_patterns, self.services.settings)
        if patterns != set(list_monitor_patterns(connection, guild_id)):
            set_monitor_patterns(connection, guild_id, patterns, now=view.seen_at)
        readable = [channel.channel_id for channel in view.channels if channel.is_readable]
        hasten_refetches(connection, readable, now=view.seen_at)

    def _take_over_sessions(self) -> None:
        try:
            sync_sessions_file(self.services.database, self.services.settings, datetime.now(UTC))
            read_relinked(self.services)
            self.mistakes = ""
        except BadInput as error:
            if str(error) != self.mistakes:
                _logger.warning("the sessions were not updated: %s", error)
            self.mistakes = str(error)

    def _watch(self, noted_at: datetime) -> None:
        channels = self.watchlist.channels()
        with self.services.database.read() as connection:
            watched = list_watched(connection)
        fresh = [channel for channel in channels if channel.channel_id not in watched]
        if fresh:
            rows = [_watched(channel, watched, noted_at) for channel in fresh]
            self.services.database.run(partial(watch_channels, channels=rows, now=noted_at))

    def _report_access(self) -> None:
        """Log which watched channels cannot be read, once for each change."""
        for channel in self.watchlist.channels():
            state = channel.reading_state
            before = self.reported.get(channel.channel_id, ChannelAccess.READABLE)
            if state is ChannelAccess.UNKNOWN or state is before:
                continue
            self.reported[channel.channel_id] = state
            if state is ChannelAccess.READABLE:
                _logger.info("#%s (%s) can be read again", channel.name, channel.channel_id)
            else:
                _logger.warning("#%s (%s): %s", channel.name, channel.channel_id, REMEDIES[state])


def _watched(channel: Channel, watched: dict[int, WatchedChannel], now: datetime) -> WatchedChannel:
    """Return a channel as watched from now on; a thread since its channel is, or else from now on too."""
    parent = watched.get(channel.parent_id) if channel.is_thread and channel.parent_id else None
    return WatchedChannel(channel.channel_id, channel.guild_id, parent.watched_from if parent else now)
