"""Guilds and channels of the catalogue, and the rule of monitored channels.

How they are read from Discord is in `sources/discord/discovery.py`, how they are kept in
`storage/catalogue/guilds.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

THREAD_TYPES = frozenset({"news_thread", "public_thread", "private_thread"})
EXCEPT = "!"
"""Before a pattern: what it matches is not monitored."""
_MESSAGE_TYPES = frozenset({"text", "news", "voice", "stage"}) | THREAD_TYPES


class ChannelAccess(StrEnum):
    """Whether the bot can read what was posted in a channel before.

    Attributes:
        READABLE: It can.
        NO_HISTORY: It sees the channel but lacks Read Message History: Discord answers every request
            for messages with an empty list, which proves nothing.
        FORBIDDEN: It does not see the channel.
        MISSING: The channel is gone.
        UNKNOWN: Nobody has looked yet.
    """

    READABLE = "readable"
    NO_HISTORY = "no_history"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Guild:
    """A guild the bot is or was in.

    Attributes:
        guild_id: Its id.
        name: Its name.
        icon: Hash of its icon, or None.
        owner_id: Its owner, or None when unknown.
        joined_at: When the bot joined, aware UTC, or None when unknown.
    """

    guild_id: int
    name: str
    icon: str | None = None
    owner_id: int | None = None
    joined_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, category, forum or thread.

    Attributes:
        channel_id: Its id.
        guild_id: Its guild.
        name: Its name, without `#`.
        channel_type: Such as `text`, `forum` or `public_thread`; a number for types not known here.
        parent_id: The category of a channel, the channel of a thread, or None.
        is_nsfw: Whether it is marked so.
        position: Its place among its siblings, from 0.
        is_archived: Whether it is an archived thread.
        reading_state: Whether its history can be read.
        last_message_id: The newest message ever posted in it, which may be deleted by now, or None.
    """

    channel_id: int
    guild_id: int
    name: str
    channel_type: str = "text"
    parent_id: int | None = None
    is_nsfw: bool = False
    position: int = 0
    is_archived: bool = False
    reading_state: ChannelAccess = ChannelAccess.UNKNOWN
    last_message_id: int | None = None

    @property
    def is_thread(self) -> bool:
        """Whether it is a thread or forum post."""
        return self.channel_type in THREAD_TYPES

    @property
    def holds_messages(self) -> bool:
        """Whether messages are posted in it itself; a forum holds only threads."""
        return self.channel_type in _MESSAGE_TYPES

    @property
    def is_readable(self) -> bool:
        """Whether there is a history and the bot can read it."""
        return self.holds_messages and self.reading_state is ChannelAccess.READABLE


def monitored_ids(channels: Iterable[Channel], patterns: Collection[str]) -> set[int]:
    """Return the channels that some pattern matches, by id or by name.

    A pattern is an id or a glob such as `*aplus-setups*`, compared without regard to case and to a
    leading `#`; with a `!` before it it takes out what it matches. A thread is monitored with its
    channel, a channel with its category, unless it is matched itself: the nearest match decides, and
    at one channel its id before its name, and what takes out before what takes in.

    Args:
        channels: All of a guild's channels and threads.
        patterns: The guild's patterns; none match nothing.
    """
    known = {channel.channel_id: channel for channel in channels}
    written = [pattern.strip() for pattern in patterns]
    wanted = [_plain(pattern) for pattern in written if not pattern.startswith(EXCEPT)]
    unwanted = [_plain(pattern[1:]) for pattern in written if pattern.startswith(EXCEPT)]

    def verdict(channel: Channel) -> bool | None:
        own_id, name = str(channel.channel_id), channel.name.casefold()
        if own_id in unwanted or own_id in wanted:
            return own_id not in unwanted
        if any(fnmatchcase(name, pattern) for pattern in unwanted if pattern):
            return False
        return True if any(fnmatchcase(name, pattern) for pattern in wanted if pattern) else None

    def lineage(channel: Channel) -> Iterable[Channel]:
        seen: set[int] = set()
        current: Channel | None = channel
        while current is not None and current.channel_id not in seen:
            seen.add(current.channel_id)
            yield current
            current = known.get(current.parent_id) if current.parent_id else None

    def is_monitored(channel: Channel) -> bool:
        verdicts = (verdict(each) for each in lineage(channel))
        return next((each for each in verdicts if each is not None), False)

    return {channel.channel_id for channel in known.values() if is_monitored(channel)}


def _plain(pattern: str) -> str:
    return pattern.strip().lstrip("#").casefold()
