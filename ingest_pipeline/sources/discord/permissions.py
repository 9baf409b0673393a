"""The bot's permissions in a channel, computed from the guild's roles as Discord computes them.

Discord does not tell a bot its permissions in a channel; it tells roles, overwrites and the bot's
membership. The rules are those of https://docs.discord.com/developers/topics/permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.guild import ReadingState
from ingest_pipeline.domain.snowflake import parse_snowflake

Payload = Mapping[str, Any]

ADMINISTRATOR = 1 << 3
VIEW_CHANNEL = 1 << 10
READ_MESSAGE_HISTORY = 1 << 16
CONNECT = 1 << 20
MANAGE_THREADS = 1 << 34
EVERYTHING = (1 << 63) - 1

_VOICE_TYPES = frozenset({2, 13})
_PRIVATE_THREAD = 12
_KEPT_IN_TIMEOUT = VIEW_CHANNEL | READ_MESSAGE_HISTORY


@dataclass(frozen=True, slots=True)
class Membership:
    """The bot's place in a guild.

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
    """Return a bot's place in a guild.

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


def channel_permissions(place: Membership, channel: Payload) -> int:
    """Return the permission bits a bot has in a channel.

    Args:
        place: The bot's place in the channel's guild.
        channel: The channel object; for a thread its parent's, which holds the overwrites.

    Returns:
        The bits; none without View Channel, nor in a voice channel without Connect.
    """
    if place.base == EVERYTHING:
        return EVERYTHING
    overwrites = {int(item["id"]): item for item in channel.get("permission_overwrites") or ()}
    bits = place.base
    for targets in ({place.guild_id}, place.role_ids, {place.user_id}):
        found = [overwrites[target] for target in targets if target in overwrites]
        for item in found:
            bits &= ~int(item["deny"])
        for item in found:
            bits |= int(item["allow"])
    if place.is_timed_out:
        bits &= _KEPT_IN_TIMEOUT
    needed = VIEW_CHANNEL | (CONNECT if channel.get("type") in _VOICE_TYPES else 0)
    return bits if bits & needed == needed else 0


def reading_state(place: Membership, channel: Payload, parent: Payload | None = None) -> ReadingState:
    """Tell whether a bot can read what was posted in a channel before.

    Args:
        place: The bot's place in the channel's guild.
        channel: The channel or thread object; a thread the bot belongs to carries `member`.
        parent: The channel of a thread.
    """
    bits = channel_permissions(place, channel if parent is None else parent)
    if not bits & VIEW_CHANNEL:
        return ReadingState.FORBIDDEN
    if channel.get("type") == _PRIVATE_THREAD and "member" not in channel and not bits & MANAGE_THREADS:
        return ReadingState.FORBIDDEN
    return ReadingState.READABLE if bits & READ_MESSAGE_HISTORY else ReadingState.NO_HISTORY
