"""The self-check of the bot: token, intents, guilds, and permissions in each watched channel."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from ingest_pipeline.domain.guild import Channel, ChannelAccess, monitored_ids
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.discovery import (
    READ_MESSAGE_HISTORY,
    VIEW_CHANNEL,
    GuildView,
    view_guild,
)
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.catalogue.guilds import find_guild, list_monitor_patterns
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.sessions import list_sessions

PERMISSIONS = VIEW_CHANNEL | READ_MESSAGE_HISTORY
"""All that reading takes; private threads take Manage Threads or an invitation on top."""

REMEDIES = {
    ChannelAccess.FORBIDDEN: "the bot does not see it: grant it View Channel there",
    ChannelAccess.NO_HISTORY: "the bot may not read its history: grant it Read Message History there",
    ChannelAccess.MISSING: "it is gone",
}


@dataclass(frozen=True, slots=True)
class GuildCheck:
    """A guild the bot is in.

    Attributes:
        guild_id: The guild.
        name: Its name.
        channels: How many of its channels and threads hold messages.
        watched: Those that are watched.
    """

    guild_id: int
    name: str
    channels: int
    watched: tuple[Channel, ...]

    @property
    def unreadable(self) -> list[Channel]:
        """The watched channels that cannot be read."""
        return [channel for channel in self.watched if not channel.is_readable]


@dataclass(frozen=True, slots=True)
class BotCheck:
    """The result of a self-check; token and intents are right, or there would be none.

    Attributes:
        name: The application's name.
        application_id: Its id.
        guilds: The guilds the bot is in.
        missing: Channels of sessions that no guild of the bot has.
    """

    name: str
    application_id: int
    guilds: tuple[GuildCheck, ...]
    missing: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """Whether there is something to watch, and all of it can be read."""
        watched = any(guild.watched for guild in self.guilds)
        return watched and not self.missing and not any(guild.unreadable for guild in self.guilds)

    def as_dict(self) -> dict[str, Any]:
        """Return the check as JSON values: ids as strings."""
        return {
            "ok": self.is_whole,
            "application_id": str(self.application_id),
            "name": self.name,
            "invite_link": invite_link(self.application_id),
            "guilds": [
                {
                    "guild_id": str(guild.guild_id),
                    "name": guild.name,
                    "channels": guild.channels,
                    "watched": [
                        {
                            "channel_id": str(channel.channel_id),
                            "name": channel.name,
                            "reading_state": channel.reading_state.value,
                        }
                        for channel in guild.watched
                    ],
                }
                for guild in self.guilds
            ],
            "missing_channels": [str(channel_id) for channel_id in self.missing],
        }


def invite_link(
    application_id: int,
    *,
    state: str | None = None,
    redirect_uri: str | None = None,
    guild_id: int | None = None,
) -> str:
    """Return the address that invites a bot with the least permissions.

    https://docs.discord.com/developers/topics/oauth2, "Bot Authorization Flow".

    Args:
        application_id: The bot's application.
        state: A secret that Discord hands back to `redirect_uri`.
        redirect_uri: Where Discord sends the user afterwards; it must be among the application's redirects.
        guild_id: The only guild that it may be added to; the user chooses without it.
    """
    asked: dict[str, object] = {
        "client_id": application_id,
        "scope": "bot",
        "permissions": PERMISSIONS,
    }
    if state is not None and redirect_uri is not None:
        asked |= {"response_type": "code", "redirect_uri": redirect_uri, "state": state}
    if guild_id is not None:
        asked |= {"guild_id": guild_id, "disable_guild_select": "true"}
    return f"https://discord.com/oauth2/authorize?{urlencode(asked)}"


def application_id_now(token: SecretStr) -> int:
    """Ask Discord for the id of the bot's application.

    Raises:
        TokenRejected: Discord does not accept the token.
        DiscordUnavailable: Discord did not answer.
    """

    async def work() -> int:
        async with open_rest(token) as rest:
            return int((await rest.application())["id"])

    return asyncio.run(work())


def check_bot_now(services: Services, token: SecretStr, default_patterns: Collection[str]) -> BotCheck:
    """Log in, look, log out.

    Args:
        default_patterns: The patterns of a guild without patterns of its own.

    Raises:
        TokenRejected: Discord does not accept the token.
        IntentMissing: The bot lacks the message content intent.
        DiscordUnavailable: Discord did not answer.
    """

    async def work() -> BotCheck:
        async with open_rest(token) as rest:
            return await _check(services, rest, default_patterns)

    return asyncio.run(work())


async def _check(services: Services, rest: DiscordRest, default_patterns: Collection[str]) -> BotCheck:
    application = await rest.application()
    views = [await view_guild(rest, int(guild["id"]), archived=False) for guild in await rest.guilds()]
    with services.database.read() as connection:
        in_sessions = {each for session in list_sessions(connection) for each in session.channel_ids}
        patterns = {
            view.guild.guild_id: patterns_in_force(connection, view, default_patterns, services.settings)
            for view in views
        }
    guilds = []
    for view in views:
        wanted = in_sessions | monitored_ids(view.channels, patterns[view.guild.guild_id])
        holding = [channel for channel in view.channels if channel.holds_messages]
        watched = tuple(channel for channel in holding if channel.channel_id in wanted)
        guilds.append(GuildCheck(view.guild.guild_id, view.guild.name, len(holding), watched))
    shown = {channel.channel_id for view in views for channel in view.channels}
    return BotCheck(
        name=str(application.get("name") or application["id"]),
        application_id=int(application["id"]),
        guilds=tuple(guilds),
        missing=tuple(sorted(in_sessions - shown)),
    )


def patterns_in_force(
    connection: Connection, view: GuildView, default_patterns: Collection[str], settings: Settings
) -> set[str]:
    """Return what a guild is monitored by: what was chosen or else the default, and the settings' channel.

    Args:
        view: The guild as Discord shows it.
        default_patterns: The patterns of a guild without patterns of its own.
        settings: They name the guild that the default is for, and the channel that is always monitored.
    """
    guild_id = view.guild.guild_id
    try:
        is_chosen = find_guild(connection, guild_id)["monitors_chosen_at"] is not None
    except NothingFound:
        is_chosen = False
    is_meant = settings.discord_guild_id in {None, guild_id}
    patterns = set(list_monitor_patterns(connection, guild_id))
    if not is_chosen and is_meant:
        patterns.update(default_patterns)
    channel_id = settings.discord_channel_id
    if channel_id in {channel.channel_id for channel in view.channels}:
        patterns.add(str(channel_id))
    return patterns
