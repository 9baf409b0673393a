"""The truth: every guild, channel, thread and message of the simulated Discord.

This module holds and finds; the ``*_actions.py`` modules change things through it. Everything happens under
one re-entrant lock, in which an action also publishes its gateway event: so a snapshot taken under the lock
(READY, a page of history, ``truth``) and the stream of events can never disagree about what came first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import RLock

from ingest_pipeline_tests.fake_discord.events import Event
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.state.model import Channel, ChannelKind, Guild, Message, User
from ingest_pipeline_tests.fake_discord.state.snowflakes import ServerClock, SnowflakeMint


class UnknownEntityError(LookupError):
    """A test asked for a guild, channel or message that does not exist (or no longer does)."""


class GuildState:
    """Records, lookups, and the stream of events.

    Attributes:
        lock: Held by whoever reads or changes anything here; re-entrant.
        clock: The server's clock.
        snowflakes: Where new ids come from.
        bot: The user the token belongs to.
        publish: Called under the lock with each event; the gateway puts itself here.
    """

    def __init__(self, clock: ServerClock) -> None:
        """Start with no guild and one bot user."""
        self.lock = RLock()
        self.clock = clock
        self.snowflakes = SnowflakeMint(clock)
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.publish: Callable[[Event], None] = _to_nobody
        self.bot = self.add_user("archivist", bot=True)
        self.member = self.add_user("morgan")

    def add_user(self, name: str, *, bot: bool = False, webhook: bool = False) -> User:
        """Create a user (``webhook``: the face of one) and return it."""
        with self.lock:
            user = User(self.snowflakes.mint(), name, global_name=name.title(), bot=bot, webhook=webhook)
            self.users[user.id] = user
            return user

    def guild(self, guild_id: int) -> Guild:
        """Return a guild, whether or not the bot is in it.

        Raises:
            UnknownEntityError: There is no such guild.
        """
        try:
            return self.guilds[guild_id]
        except KeyError:
            raise UnknownEntityError(f"guild {guild_id} was never created") from None

    def channel(self, channel_id: int) -> Channel:
        """Return a living channel or thread.

        Raises:
            UnknownEntityError: It was never created, or it was deleted.
        """
        channel = self.channels.get(channel_id)
        if channel is None or channel.gone:
            raise UnknownEntityError(f"channel {channel_id} does not exist; create it first")
        return channel

    def message(self, channel_id: int, message_id: int) -> Message:
        """Return a live message.

        Raises:
            UnknownEntityError: The channel or the message does not exist (any more).
        """
        try:
            return self.channel(channel_id).messages[message_id]
        except KeyError:
            raise UnknownEntityError(f"message {message_id} is not in channel {channel_id}") from None

    def joined_guilds(self) -> list[Guild]:
        """Return the guilds the bot is in, by ascending id."""
        return sorted((guild for guild in self.guilds.values() if guild.joined), key=lambda guild: guild.id)

    def channels_of(self, guild_id: int) -> list[Channel]:
        """Return a guild's living channels and categories, threads excluded."""
        return [channel for channel in self._living(guild_id) if channel.thread is None]

    def threads_of(self, guild_id: int, *, parent_id: int | None = None) -> list[Channel]:
        """Return the living threads the bot can see, archived ones included, newest first."""
        threads = [
            channel
            for channel in self._living(guild_id)
            if channel.thread is not None
            and (parent_id is None or channel.parent_id == parent_id)
            and self.can_view(channel)
        ]
        return sorted(threads, key=lambda thread: thread.id, reverse=True)

    def permissions_in(self, channel: Channel, user_id: int | None = None) -> int:
        """Return the permission bits of a member (default: the bot) in a channel or thread."""
        guild = self.guild(channel.guild_id)
        if not guild.joined and user_id in {None, self.bot.id}:
            return 0
        holder = channel
        if channel.thread is not None and channel.parent_id is not None:
            holder = self.channels[channel.parent_id]
        return permissions.resolve(guild, holder, self.bot.id if user_id is None else user_id)

    def can_view(self, channel: Channel) -> bool:
        """Return whether the bot sees the channel: private threads need membership or MANAGE_THREADS."""
        bits = self.permissions_in(channel)
        if channel.kind is ChannelKind.PRIVATE_THREAD and channel.thread is not None:
            invited = self.bot.id in channel.thread.member_ids
            return bool(bits & permissions.VIEW_CHANNEL) and (
                invited or bool(bits & permissions.MANAGE_THREADS)
            )
        return bool(bits & permissions.VIEW_CHANNEL)

    def can_read_history(self, channel: Channel) -> bool:
        """Return whether the bot may read what was posted before."""
        return self.can_view(channel) and bool(
            self.permissions_in(channel) & permissions.READ_MESSAGE_HISTORY
        )

    def _living(self, guild_id: int) -> Iterator[Channel]:
        return (
            channel for channel in self.channels.values() if channel.guild_id == guild_id and not channel.gone
        )


def _to_nobody(event: Event) -> None:
    """Drop an event that happens before a gateway listens."""
