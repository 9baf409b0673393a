"""Guild events of the gateway: channels and threads, and the bot's permissions to read.

Discord sends no message events of a channel while the bot may not see it, and sends nothing about
that but what changed: a role, an overwrite, the bot's own membership. So after each such event the
permissions are computed again, from discord.py's cache, and compared with those before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import discord

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.sources.discord.discovery import channel_from

_logger = logging.getLogger(__name__)

_GUILD_IS_THERE = frozenset({"guild_available", "guild_join"})
_GUILD_IS_GONE = frozenset({"guild_unavailable", "guild_remove"})
# Whatever can change what the bot may read.
_PERMISSIONS = frozenset(
    {
        "guild_update",
        "guild_channel_create",
        "guild_channel_update",
        "guild_channel_delete",
        "guild_role_create",
        "guild_role_update",
        "guild_role_delete",
        "member_update",
    }
)
_THREADS = frozenset({"thread_create", "thread_join", "thread_update", "thread_remove"})
# Also sent for threads that discord.py does not know.
_THREAD_IS_GONE = "raw_thread_delete"


@dataclass(frozen=True, slots=True)
class GuildChange:
    """A change of a guild that an event reports.

    Attributes:
        guild_id: The guild.
        channels: Channels and threads as they are now, as far as the event is about them.
        lost: Channels and threads that the bot cannot read any more.
        regained: Channels and threads that it can read now and could not, or did not know of, before:
            everything that happened there meanwhile was missed.
        deleted: Threads that were deleted; the next look at the guild finds other deleted channels.
        is_gone: The bot has left the guild, or Discord has lost it for a while.
        has_left: The former.
    """

    guild_id: int
    channels: tuple[Channel, ...] = ()
    lost: frozenset[int] = frozenset()
    regained: frozenset[int] = frozenset()
    deleted: frozenset[int] = frozenset()
    is_gone: bool = False
    has_left: bool = False


class GuildWatch:
    """Follows the guilds through the events of one client.

    Args:
        notify: Called with each change, in their order.
    """

    def __init__(self, notify: Callable[[GuildChange], None]) -> None:
        """Begin knowing no guild."""
        self._notify = notify
        self._readable: dict[int, frozenset[int]] = {}

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an event of discord.py, with its arguments, after the cache was updated.

        Whatever goes wrong here is logged: raised, it would end the connection.
        """
        try:
            self._see(event, arguments)
        except Exception:
            _logger.exception("what %s means for the channels is not known", event)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _GUILD_IS_THERE:
            self._guild_came(arguments[0])
        elif event in _GUILD_IS_GONE:
            self._guild_went(arguments[0], has_left=event == "guild_remove")
        elif event in _PERMISSIONS:
            self._permissions_changed(event, arguments[-1])
        elif event in _THREADS:
            self._thread_changed(event, arguments[-1])
        elif event == _THREAD_IS_GONE:
            only = frozenset({arguments[0].thread_id})
            self._notify(GuildChange(arguments[0].guild_id, lost=only, deleted=only))

    def _guild_came(self, guild: discord.Guild) -> None:
        readable = _readable(guild)
        # A guild that comes at the beginning of a session brings nothing that its READY did not.
        is_back = guild.id in self._readable
        missed = readable - self._readable.get(guild.id, frozenset())
        self._readable[guild.id] = readable
        regained = missed if is_back else frozenset()
        self._notify(GuildChange(guild.id, _channels(guild), regained=regained))

    def _guild_went(self, guild: discord.Guild, *, has_left: bool) -> None:
        lost = self._readable.get(guild.id, frozenset())
        self._readable[guild.id] = frozenset()
        self._notify(GuildChange(guild.id, lost=lost, is_gone=True, has_left=has_left))

    def _permissions_changed(self, event: str, subject: Any) -> None:
        guild: discord.Guild = subject if isinstance(subject, discord.Guild) else subject.guild
        if event == "member_update" and subject.id != guild.me.id:
            return
        readable = _readable(guild)
        # Without a reading from before, all of it may have been lost and regained in the meantime.
        before = self._readable.get(guild.id, frozenset())
        self._readable[guild.id] = readable
        channels = _channels(guild) if event.startswith("guild_channel") else ()
        self._notify(GuildChange(guild.id, channels, lost=before - readable, regained=readable - before))

    def _thread_changed(self, event: str, thread: discord.Thread) -> None:
        only = frozenset({thread.id})
        nothing: frozenset[int] = frozenset()
        self._notify(
            GuildChange(
                thread.guild.id,
                () if event == "thread_remove" else (_thread(thread),),
                lost=only if event == "thread_remove" else nothing,
                regained=only if event in {"thread_create", "thread_join"} else nothing,
            )
        )


def _readable(guild: discord.Guild) -> frozenset[int]:
    me = guild.me
    if me is None:
        return frozenset()
    permitted = ((channel.id, channel.permissions_for(me)) for channel in guild.channels)
    return frozenset(
        channel_id for channel_id, bits in permitted if bits.view_channel and bits.read_message_history
    )


def _channels(guild: discord.Guild) -> tuple[Channel, ...]:
    return (*map(_channel, guild.channels), *map(_thread, guild.threads))


def _channel(channel: Any) -> Channel:
    return channel_from(
        {
            "id": channel.id,
            "name": channel.name,
            "type": channel.type.value,
            "parent_id": channel.category_id,
            "position": channel.position,
            "nsfw": getattr(channel, "nsfw", False),
            "last_message_id": getattr(channel, "last_message_id", None),
        },
        channel.guild.id,
    )


def _thread(thread: discord.Thread) -> Channel:
    return channel_from(
        {
            "id": thread.id,
            "name": thread.name,
            "type": thread.type.value,
            "parent_id": thread.parent_id,
            "thread_metadata": {"archived": thread.archived},
            "last_message_id": thread.last_message_id,
        },
        thread.guild.id,
    )
