"""The bot's catalogue of guilds and channels: discovered at start, updated while it runs.

It decides what is watched, notes each watched channel, and says which of them cannot be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from ingest_pipeline.bot.check import REMEDIES
from ingest_pipeline.bot.heartbeat import (
    SYNC_CHANNELS,
    SYNC_GUILDS,
    SYNC_THREADS,
    RunningOperations,
)
from ingest_pipeline.bot.watchlist import CatalogueView, Watchlist, view_catalogue
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.domain.guild import Channel, ChannelAccess
from ingest_pipeline.errors import BadInput, ChannelForbidden, ChannelNotFound
from ingest_pipeline.history.catalogue_sync import note_left, save_view
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.discovery import GuildView, view_guild
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import (
    find_guild,
    mark_guild_left,
    save_channels,
    set_monitors,
    set_reading_state,
)
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.refetch_queue import hasten_refetches
from ingest_pipeline.storage.gateway.watched_channels import WatchedChannel, list_watched, watch_channels
from ingest_pipeline.userconfig.session_files import sync_sessions_file

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class BotCatalogue:
    """Guilds and channels, and what is watched of them.

    Attributes:
        services: The working parts.
        rest: Discord.
        watchlist: What is watched; kept up here.
        default_patterns: What a guild is monitored by for which nobody has chosen anything.
        reported: The state of each watched channel that was last told of.
        mistakes: What was last said to be wrong with the sessions file.
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
        """Bring some guilds in line with what Discord shows now; one that the bot has left is noted."""
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
        """Keep threads as they were told of, and which are gone."""
        now = datetime.now(UTC)

        def work(connection: Connection) -> None:
            save_channels(connection, threads, now=now)
            for thread_id in sorted(deleted):
                set_reading_state(connection, thread_id, ChannelAccess.MISSING, now=now)

        await asyncio.to_thread(self.services.database.run, work)

    async def reload(self) -> set[int]:
        """Read anew what is watched; return the channels that are watched now and were not before."""
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
        if self.default_patterns and find_guild(connection, guild_id)["monitors_chosen_at"] is None:
            set_monitors(connection, guild_id, self.default_patterns, now=view.seen_at)
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
        """Say which watched channels cannot be read, once for each change."""
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
