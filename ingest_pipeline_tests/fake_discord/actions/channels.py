"""What happens to channels and threads. Thread-safe."""

from __future__ import annotations

from datetime import datetime

from ingest_pipeline_tests.fake_discord.actions.messages import MessageActions
from ingest_pipeline_tests.fake_discord.events import Event
from ingest_pipeline_tests.fake_discord.state import payloads
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.model import (
    FLAG_HAS_THREAD,
    FORUM_KINDS,
    Channel,
    ChannelKind,
    Message,
    MessageKind,
    ThreadState,
)


class ChannelActions:
    """Create, rename, edit and delete channels."""

    def __init__(self, state: GuildState) -> None:
        """Act upon ``state``."""
        self._state = state

    def create(
        self,
        guild_id: int,
        name: str,
        kind: ChannelKind = ChannelKind.TEXT,
        *,
        parent_id: int | None = None,
        topic: str | None = None,
    ) -> int:
        """Create a channel, category or forum; return its id."""
        with self._state.lock:
            self._state.guild(guild_id)
            channel = Channel(
                id=self._state.snowflakes.mint(),
                guild_id=guild_id,
                kind=kind,
                name=name,
                position=len(self._state.channels_of(guild_id)),
                parent_id=parent_id,
                topic=topic,
            )
            self._state.channels[channel.id] = channel
            self._publish("CHANNEL_CREATE", channel)
            return channel.id

    def rename(self, channel_id: int, name: str) -> None:
        """Rename a channel or thread."""
        with self._state.lock:
            channel = self._state.channel(channel_id)
            channel.name = name
            self._publish("CHANNEL_UPDATE" if channel.thread is None else "THREAD_UPDATE", channel)

    def edit(self, channel_id: int, *, nsfw: bool, parent_id: int | None) -> None:
        """Mark a channel as NSFW or not, and move it into a category or out."""
        with self._state.lock:
            channel = self._state.channel(channel_id)
            channel.nsfw, channel.parent_id = nsfw, parent_id
            self._publish("CHANNEL_UPDATE", channel)

    def delete(self, channel_id: int) -> None:
        """Delete a channel with its threads, or a single thread."""
        with self._state.lock:
            channel = self._state.channel(channel_id)
            if channel.thread is None:
                self._publish("CHANNEL_DELETE", channel)
            else:
                keys = ("id", "guild_id", "parent_id", "type")
                whole = payloads.channel(self._state, channel_id)
                body = {key: whole[key] for key in keys}
                self._state.publish(Event("THREAD_DELETE", body, channel.guild_id, channel.id))
            channel.gone = True
            for thread in self._state.channels.values():
                thread.gone = thread.gone or (thread.thread is not None and thread.parent_id == channel_id)

    def _publish(self, name: str, channel: Channel) -> None:
        body = payloads.channel(self._state, channel.id)
        gate = None if channel.thread is None else channel.id
        self._state.publish(Event(name, body, channel.guild_id, gate))


class ThreadActions:
    """Open, archive and join threads and forum posts."""

    def __init__(self, state: GuildState, messages: MessageActions) -> None:
        """Act upon ``state``, posting through ``messages``."""
        self._state = state
        self._messages = messages

    def create(
        self, parent_id: int, name: str, *, private: bool = False, from_message: int | None = None
    ) -> int:
        """Open a thread in a text or news channel; return its id.

        Args:
            parent_id: The channel.
            name: The thread's name.
            private: A private thread: the bot sees it only once invited, or with MANAGE_THREADS.
            from_message: A message of the parent. The thread then takes the message's id, the message is
                updated, and the thread opens with a type 21 message that refers to it.

        Returns:
            The thread id; equal to ``from_message`` where given.
        """
        with self._state.lock:
            parent = self._state.channel(parent_id)
            public = ChannelKind.NEWS_THREAD if parent.kind is ChannelKind.NEWS else ChannelKind.PUBLIC_THREAD
            kind = ChannelKind.PRIVATE_THREAD if private else public
            thread = self._open(parent, name, kind, from_message or self._state.snowflakes.mint())
            if from_message is not None:
                starter = self._state.message(parent_id, from_message)
                starter.thread_id = thread.id
                starter.flags |= FLAG_HAS_THREAD
                self._messages.announce_update(parent_id, from_message)
                self._refer(thread, MessageKind.THREAD_STARTER_MESSAGE, (parent_id, from_message))
            return thread.id

    def create_post(self, forum_id: int, name: str, content: str) -> int:
        """Open a forum post; its first message lives in the thread and shares the thread's id."""
        with self._state.lock:
            forum = self._state.channel(forum_id)
            if forum.kind not in FORUM_KINDS:
                raise ValueError(f"channel {forum_id} is {forum.kind.name}, not a forum")
            thread = self._open(forum, name, ChannelKind.PUBLIC_THREAD, self._state.snowflakes.mint())
            forum.last_message_id = thread.id
            self._messages.add(thread, Message(thread.id, thread.id, self._state.member.id, content))
            return thread.id

    def archive(self, thread_id: int, *, at: datetime | None = None) -> None:
        """Archive a thread, at the server's now or at ``at`` (aware UTC)."""
        self._set_archived(thread_id, archived=True, at=at)

    def unarchive(self, thread_id: int) -> None:
        """Bring an archived thread back; posting into it does so too."""
        self._set_archived(thread_id, archived=False, at=None)

    def invite_bot(self, thread_id: int) -> None:
        """Add the bot to a thread: THREAD_CREATE as Discord sends it to somebody newly invited."""
        with self._state.lock:
            thread = self._state.channel(thread_id)
            if thread.thread is None:
                raise ValueError(f"channel {thread_id} is no thread")
            thread.thread.member_ids.add(self._state.bot.id)
            self._publish("THREAD_CREATE", thread)

    def _open(self, parent: Channel, name: str, kind: ChannelKind, thread_id: int) -> Channel:
        owner_id = self._state.member.id
        thread = Channel(
            id=thread_id,
            guild_id=parent.guild_id,
            kind=kind,
            name=name,
            parent_id=parent.id,
            thread=ThreadState(owner_id, self._state.clock.now(), member_ids={owner_id}),
        )
        self._state.channels[thread_id] = thread
        self._publish("THREAD_CREATE", thread, newly_created=True)
        return thread

    def _refer(self, thread: Channel, kind: MessageKind, reference: tuple[int, int]) -> None:
        message_id = self._state.snowflakes.mint()
        author_id = self._state.member.id
        self._messages.add(
            thread, Message(message_id, thread.id, author_id, "", kind=kind, reference=reference)
        )

    def _set_archived(self, thread_id: int, *, archived: bool, at: datetime | None) -> None:
        with self._state.lock:
            channel = self._state.channel(thread_id)
            if channel.thread is None:
                raise ValueError(f"channel {thread_id} is no thread")
            channel.thread.archived = archived
            channel.thread.archive_changed_at = at or self._state.clock.now()
            self._publish("THREAD_UPDATE", channel)

    def _publish(self, name: str, thread: Channel, *, newly_created: bool = False) -> None:
        body = payloads.channel(self._state, thread.id)
        if newly_created:
            body["newly_created"] = True
        self._state.publish(Event(name, body, thread.guild_id, thread.id))
