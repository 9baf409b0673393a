"""Synchronisation of the catalogue with Discord: guilds, channels, and authors of stored messages.

The bot does it at its start and after each event of a guild, the assets on a schedule, `ingest guilds
sync` when asked. Whatever is gone is marked so; no message is ever removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.domain.guild import Guild
from ingest_pipeline.domain.messages.parts import clean
from ingest_pipeline.domain.messages.profiles import ROLE, Profile, Profiles
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.discovery import GuildView, guild_from, view_guild
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.catalogue.guilds import (
    list_channels,
    list_guilds,
    mark_channels_missing,
    mark_guild_left,
    save_channels,
    save_guild,
    sync_users,
)
from ingest_pipeline.storage.catalogue.profiles import save_profiles
from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class Synced:
    """The result of a sync for one kind of entity.

    Attributes:
        known: How many the catalogue has now, those that are gone included.
        created: How many were new.
        updated: Of how many something changed.
        gone: How many were found to be gone: guilds left, channels deleted.
    """

    known: int = 0
    created: int = 0
    updated: int = 0
    gone: int = 0

    def __add__(self, other: Synced) -> Synced:
        """Join the syncs of two guilds."""
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Synced(*(one + another for one, another in pairs))


@dataclass(frozen=True, slots=True)
class CatalogueSync:
    """The result of a sync of guilds, channels and users."""

    guilds: Synced
    channels: Synced
    users: Synced


async def sync_catalogue(services: Services) -> CatalogueSync:
    """Synchronise guilds, channels and users with Discord and the stored messages.

    Raises:
        ConfigurationError: There is no token of a bot.
        TokenRejected: Discord does not accept it.
        IntentMissing: The bot lacks the message content intent.
        DiscordUnavailable: Discord did not answer.
    """
    async with open_rest(services.settings.discord_bot_token) as rest:
        guilds = await sync_guilds(services, rest)
        channels = await sync_channels(services, rest)
    return CatalogueSync(guilds, channels, await asyncio.to_thread(sync_authors, services))


async def sync_guilds(services: Services, rest: DiscordRest) -> Synced:
    """Synchronise the guilds with those that the bot is in."""
    present = [int(payload["id"]) for payload in await rest.guilds()]
    found: list[Guild] = []
    for guild_id in present:
        try:
            found.append(guild_from(await rest.guild(guild_id), await rest.membership(guild_id)))
        except (ChannelForbidden, ChannelNotFound):
            continue

    def work(connection: Connection) -> Synced:
        now = datetime.now(UTC)
        before = {row["guild_id"]: row["updated_at"] for row in list_guilds(connection)}
        for guild in found:
            save_guild(connection, guild, now=now)
        changed = {
            row["guild_id"]
            for row in list_guilds(connection)
            if row["updated_at"] != before.get(row["guild_id"])
        }
        gone = note_left(connection, [guild.guild_id for guild in found], now=now)
        created = changed.difference(before)
        return Synced(len(before) + len(created), len(created), len(changed) - len(created), gone)

    return await asyncio.to_thread(services.database.run, work)


async def sync_channels(services: Services, rest: DiscordRest) -> Synced:
    """Synchronise the channels and active threads of the catalogue's guilds."""

    def read() -> list[int]:
        with services.database.read() as connection:
            return [row["guild_id"] for row in list_guilds(connection) if is_joined(row)]

    synced = Synced()
    for guild_id in await asyncio.to_thread(read):
        try:
            view = await view_guild(rest, guild_id, archived=False)
        except (ChannelForbidden, ChannelNotFound):
            # Left since; the next sync of the guilds finds that out.
            continue
        synced += await asyncio.to_thread(services.database.run, partial(save_view, view=view))
    # The parent of a thread may be new, and with it whose messages the thread's are.
    await asyncio.to_thread(read_relinked, services)
    return synced


def sync_authors(services: Services) -> Synced:
    """Synchronise the users with the stored messages."""
    done = services.database.run(partial(sync_users, now=datetime.now(UTC)))
    return Synced(done.known, done.created, done.updated)


def save_view(connection: Connection, view: GuildView) -> Synced:
    """Synchronise the catalogue with a guild, and return the result for its channels.

    Args:
        view: What Discord showed.
    """
    guild_id, now = view.guild.guild_id, view.seen_at
    before = {channel.channel_id for channel in list_channels(connection, guild_id)}
    save_guild(connection, view.guild, now=now)
    roles: Profiles = {(ROLE, role_id): Profile(clean(name)) for role_id, name in view.roles.items()}
    save_profiles(connection, [(now, roles)])
    changed = save_channels(connection, view.channels, now=now)
    seen = {channel.channel_id for channel in view.channels}
    gone = mark_channels_missing(connection, guild_id, seen, unlisted=view.unlisted, now=now)
    created = len(seen - before)
    return Synced(len(seen | before), created, changed - created, gone)


def note_left(connection: Connection, present: Collection[int], *, now: datetime) -> int:
    """Note which guilds the bot was in and is not any more, and return how many they are."""
    return sum(
        mark_guild_left(connection, row["guild_id"], now=now)
        for row in list_guilds(connection)
        if is_joined(row) and row["guild_id"] not in present
    )


def is_joined(row: dict[str, Any]) -> bool:
    """Return whether the bot is in a guild, which the catalogue may also know by its name alone."""
    return row["joined_at"] is not None and row["left_at"] is None
