"""Discovery: guilds, channels and threads as Discord shows them, and what the bot may read.

Threads come in several lists: active ones for the whole guild, archived ones for each channel.

Discord does not send a bot its permissions in a channel; it sends roles, overwrites and the bot's
membership. The rules are those of https://docs.discord.com/developers/topics/permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ingest_pipeline.domain.guild import THREAD_TYPES, Channel, ChannelAccess, Guild
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.sources.discord.rest import DiscordRest, Payload

ADMINISTRATOR = 1 << 3
VIEW_CHANNEL = 1 << 10
READ_MESSAGE_HISTORY = 1 << 16
CONNECT = 1 << 20
MANAGE_THREADS = 1 << 34
EVERYTHING = (1 << 63) - 1

_VOICE_TYPES = frozenset({2, 13})
_PRIVATE_THREAD = 12
_KEPT_IN_TIMEOUT = VIEW_CHANNEL | READ_MESSAGE_HISTORY
# https://docs.discord.com/developers/resources/channel, "Channel Types".
_TYPE_NAMES = {
    0: "text",
    2: "voice",
    4: "category",
    5: "news",
    10: "news_thread",
    11: "public_thread",
    12: "private_thread",
    13: "stage",
    14: "directory",
    15: "forum",
    16: "media",
}
_WITH_THREADS = frozenset({"text", "news", "forum", "media"})


@dataclass(frozen=True, slots=True)
class Membership:
    """The bot's membership in a guild.

    Attributes:
        guild_id: The guild, whose id is also that of its @everyone role.
        user_id: The bot.
        role_ids: The bot's roles, @everyone left out.
        base: What all its roles grant together; every bit for an owner or administrator.
        is_timed_out: Whether it is in a timeout, which leaves it only what reading takes.
    """

    guild_id: int
    user_id: int
    role_ids: frozenset[int]
    base: int
    is_timed_out: bool = False


def membership(guild: Payload, member: Payload, user_id: int, now: datetime) -> Membership:
    """Return a bot's membership in a guild.

    Args:
        guild: The guild object, with `roles` and `owner_id`.
        member: The bot's member object, with `roles`.
        user_id: The bot.
        now: The present, aware UTC, which decides whether a timeout is over.
    """
    guild_id = int(guild["id"])
    role_ids = frozenset(int(role_id) for role_id in member.get("roles", ()))
    base = 0
    for role in guild.get("roles", ()):
        if int(role["id"]) in role_ids | {guild_id}:
            base |= int(role["permissions"])
    if parse_snowflake(guild.get("owner_id")) == user_id or base & ADMINISTRATOR:
        base = EVERYTHING
    until = member.get("communication_disabled_until")
    is_timed_out = base != EVERYTHING and bool(until) and datetime.fromisoformat(str(until)) > now
    return Membership(guild_id, user_id, role_ids, base, is_timed_out)


def channel_permissions(bot: Membership, channel: Payload) -> int:
    """Return the permission bits a bot has in a channel.

    Args:
        bot: The bot's membership in the channel's guild.
        channel: The channel object; for a thread its parent's, which holds the overwrites.

    Returns:
        The bits; none without View Channel, nor in a voice channel without Connect.
    """
    if bot.base == EVERYTHING:
        return EVERYTHING
    overwrites = {int(item["id"]): item for item in channel.get("permission_overwrites") or ()}
    bits = bot.base
    for targets in ({bot.guild_id}, bot.role_ids, {bot.user_id}):
        found = [overwrites[target] for target in targets if target in overwrites]
        for item in found:
            bits &= ~int(item["deny"])
        for item in found:
            bits |= int(item["allow"])
    if bot.is_timed_out:
        bits &= _KEPT_IN_TIMEOUT
    needed = VIEW_CHANNEL | (CONNECT if channel.get("type") in _VOICE_TYPES else 0)
    return bits if bits & needed == needed else 0


def reading_state(bot: Membership, channel: Payload, parent: Payload | None = None) -> ChannelAccess:
    """Return whether a bot can read what was posted in a channel before.

    Args:
        bot: The bot's membership in the channel's guild.
        channel: The channel or thread object; a thread the bot belongs to carries `member`.
        parent: The channel of a thread.
    """
    bits = channel_permissions(bot, channel if parent is None else parent)
    if not bits & VIEW_CHANNEL:
        return ChannelAccess.FORBIDDEN
    if channel.get("type") == _PRIVATE_THREAD and "member" not in channel and not bits & MANAGE_THREADS:
        return ChannelAccess.FORBIDDEN
    return ChannelAccess.READABLE if bits & READ_MESSAGE_HISTORY else ChannelAccess.NO_HISTORY


@dataclass(frozen=True, slots=True)
class GuildView:
    """A guild as the bot sees it at one time.

    Attributes:
        guild: The guild.
        channels: Its channels, then the threads that could be listed.
        seen_at: When it was asked for, aware UTC.
        unlisted: Channels whose threads were not listed whole: not asked for, or for want of a permission.
        roles: The names of its roles, by id.
    """

    guild: Guild
    channels: tuple[Channel, ...]
    seen_at: datetime
    unlisted: tuple[int, ...] = ()
    roles: Mapping[int, str] = field(default_factory=dict)


def guild_from(payload: Payload, member: Payload | None = None) -> Guild:
    """Return a guild object, of REST or of the gateway, as the catalogue keeps it."""
    joined_at = (member or payload).get("joined_at")
    return Guild(
        guild_id=int(payload["id"]),
        name=str(payload.get("name") or payload["id"]),
        icon=payload.get("icon"),
        owner_id=parse_snowflake(payload.get("owner_id")),
        joined_at=datetime.fromisoformat(joined_at) if joined_at else None,
    )


def channel_from(payload: Payload, guild_id: int, state: ChannelAccess = ChannelAccess.UNKNOWN) -> Channel:
    """Return a channel or thread object, of REST or of the gateway, as the catalogue keeps it."""
    kind = payload.get("type")
    return Channel(
        channel_id=int(payload["id"]),
        guild_id=guild_id,
        name=str(payload.get("name") or payload["id"]),
        channel_type=_TYPE_NAMES.get(kind, str(kind)) if isinstance(kind, int) else str(kind),
        parent_id=parse_snowflake(payload.get("parent_id")),
        is_nsfw=bool(payload.get("nsfw")),
        position=int(payload.get("position") or 0),
        is_archived=bool((payload.get("thread_metadata") or {}).get("archived")),
        reading_state=state,
        last_message_id=parse_snowflake(payload.get("last_message_id")),
    )


async def view_guild(rest: DiscordRest, guild_id: int, *, archived: bool = True) -> GuildView:
    """Ask Discord for a guild's channels and threads.

    Args:
        archived: Ask for archived threads too, one request or more for each channel.

    Raises:
        ChannelForbidden: The bot is not in the guild.
        ChannelNotFound: There is no such guild.
        DiscordUnavailable: Discord did not answer.
    """
    seen_at = datetime.now(UTC)
    guild, member = await rest.guild(guild_id), await rest.membership(guild_id)
    bot = membership(guild, member, rest.user_id, seen_at)
    channels = {payload["id"]: payload for payload in await rest.channels(guild_id)}
    threads = {payload["id"]: payload for payload in await rest.active_threads(guild_id)}
    unlisted: list[int] = []
    for parent in channels.values() if archived else ():
        found, is_whole = await _archived_threads(rest, bot, parent)
        threads.update((payload["id"], payload) for payload in found)
        if not is_whole:
            unlisted.append(int(parent["id"]))
    if not archived:
        unlisted = [int(channel_id) for channel_id in channels]
    else:
        # A thread that was archived when the active ones were listed may have become active before
        # its channel's turn came.
        threads.update((payload["id"], payload) for payload in await rest.active_threads(guild_id))
    states = [(payload, reading_state(bot, payload)) for payload in channels.values()]
    states += [
        (payload, reading_state(bot, payload, channels.get(payload.get("parent_id"))))
        for payload in threads.values()
    ]
    found_channels = tuple(channel_from(payload, guild_id, state) for payload, state in states)
    roles = {int(role["id"]): str(role.get("name") or role["id"]) for role in guild.get("roles") or ()}
    return GuildView(guild_from(guild, member), found_channels, seen_at, tuple(unlisted), roles)


async def reading_state_now(rest: DiscordRest, channel_id: int) -> ChannelAccess:
    """Ask Discord whether the bot can read a channel's or thread's history at this moment.

    Raises:
        DiscordUnavailable: Discord did not answer.
    """
    try:
        channel = await rest.channel(channel_id)
        kind = _TYPE_NAMES.get(channel["type"])
        parent = await rest.channel(int(channel["parent_id"])) if kind in THREAD_TYPES else None
        guild = await rest.guild(int(channel["guild_id"]))
        member = await rest.membership(int(channel["guild_id"]))
    except ChannelForbidden:
        return ChannelAccess.FORBIDDEN
    except ChannelNotFound:
        return ChannelAccess.MISSING
    bot = membership(guild, member, rest.user_id, datetime.now(UTC))
    return reading_state(bot, channel, parent)


async def _archived_threads(
    rest: DiscordRest, bot: Membership, parent: Payload
) -> tuple[list[Payload], bool]:
    """Return a channel's archived threads, and whether these are all that the bot can read."""
    if _TYPE_NAMES.get(parent["type"]) not in _WITH_THREADS:
        return [], True
    if reading_state(bot, parent) is not ChannelAccess.READABLE:
        return [], False
    channel_id = int(parent["id"])
    has_all_private = bool(channel_permissions(bot, parent) & MANAGE_THREADS)
    kinds = ["public"]
    if _TYPE_NAMES[parent["type"]] == "text":
        kinds.append("private" if has_all_private else "joined")
    found: list[Payload] = []
    try:
        for kind in kinds:
            found += await rest.archived_threads(channel_id, kind)
    except (ChannelForbidden, ChannelNotFound):
        return found, False
    return found, True
