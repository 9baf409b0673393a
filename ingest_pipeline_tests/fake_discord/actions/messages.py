"""What people do with messages. Thread-safe; each action changes the truth and is on the gateway at once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest_pipeline_tests.fake_discord.events import Event
from ingest_pipeline_tests.fake_discord.state import payloads
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.model import (
    FLAG_SUPPRESS_EMBEDS,
    Attachment,
    Channel,
    Message,
    MessageKind,
)
from ingest_pipeline_tests.fake_discord.state.snowflakes import created_at, iso

_BULK_DELETE_LIMIT = 100
_LEAST_BETWEEN_EDITS = timedelta(milliseconds=1)


class MessageActions:
    """Post, edit, delete, pin and react."""

    def __init__(self, state: GuildState) -> None:
        """Act upon ``state``."""
        self._state = state

    def post(
        self,
        channel_id: int,
        content: str,
        *,
        author_id: int | None = None,
        kind: int = MessageKind.DEFAULT,
        reply_to: int | None = None,
        attachments: Iterable[tuple[str, str]] = (),
        embeds: Sequence[Mapping[str, Any]] = (),
        components: Sequence[Mapping[str, Any]] = (),
        at: datetime | None = None,
    ) -> int:
        """Post a message.

        Args:
            channel_id: A text channel or thread; an archived thread is unarchived first, as on Discord.
            content: Its text.
            author_id: A user or webhook (default: an ordinary member).
            kind: Discord's message type.
            reply_to: A message of the same channel; makes this a reply.
            attachments: (file name, content type) pairs.
            embeds: Embeds as Discord's JSON.
            components: Components as Discord's JSON.
            at: The moment its id is minted for (aware UTC); a moment in the past gives an id older than
                those already seen.

        Returns:
            The message id.
        """
        with self._state.lock:
            channel = self._state.channel(channel_id)
            self._wake_thread(channel)
            files = [self._attach(name, content_type) for name, content_type in attachments]
            message = Message(
                id=self._state.snowflakes.mint(at),
                channel_id=channel_id,
                author_id=author_id or self._state.member.id,
                content=content,
                kind=kind if reply_to is None else MessageKind.REPLY,
                embeds=[dict(embed) for embed in embeds],
                components=[dict(component) for component in components],
                attachments=files,
                reference=None if reply_to is None else (channel_id, reply_to),
            )
            return self.add(channel, message)

    def add(self, channel: Channel, message: Message) -> int:
        """Put a prepared message in its channel and announce it; return its id."""
        with self._state.lock:
            insort(channel.ids, message.id)
            channel.messages[message.id] = message
            channel.last_message_id = max(channel.last_message_id or 0, message.id)
            if channel.thread is not None:
                channel.thread.sent += 1
            body = payloads.gateway_message(self._state, message)
            self._announce("MESSAGE_CREATE", channel, body)
            return message.id

    def bulk_load(
        self,
        channel_id: int,
        contents: int | Iterable[str],
        *,
        ends: datetime | None = None,
        spacing: timedelta = timedelta(seconds=1),
        author_ids: Sequence[int] = (),
    ) -> list[int]:
        """Fill a channel with history, without gateway events: for the time before the bot came.

        Args:
            channel_id: A text channel or thread.
            contents: The texts, oldest first; a number makes that many numbered ones.
            ends: When the newest was posted, aware UTC (default: one ``spacing`` before the server's now).
            spacing: Time between neighbours.
            author_ids: Authors, taken in turn (default: an ordinary member).

        Returns:
            The message ids, ascending.
        """
        texts = [f"message {n}" for n in range(contents)] if isinstance(contents, int) else list(contents)
        with self._state.lock:
            channel = self._state.channel(channel_id)
            newest = ends or self._state.clock.now() - spacing
            authors = author_ids or (self._state.member.id,)
            ids: list[int] = []
            for index, text in enumerate(texts):
                snowflake = self._state.snowflakes.mint(newest - spacing * (len(texts) - 1 - index))
                author_id = authors[index % len(authors)]
                channel.messages[snowflake] = Message(snowflake, channel_id, author_id, text)
                ids.append(snowflake)
            channel.ids = sorted(channel.ids + ids)
            channel.last_message_id = channel.ids[-1] if channel.ids else None
            return ids

    def edit(self, channel_id: int, message_id: int, content: str) -> datetime:
        """Edit a message's text; return the edit time.

        Discord's rate limits keep two edits of one message well apart, so no two edits here share a
        millisecond either: an archive may order versions by time.
        """
        with self._state.lock:
            message = self._state.message(channel_id, message_id)
            earliest = (message.edited_at or created_at(message.id)) + _LEAST_BETWEEN_EDITS
            message.content = content
            message.edited_at = max(self._state.clock.now(), earliest)
            self._announce_update(message)
            return message.edited_at

    def show_link_preview(self, channel_id: int, message_id: int, *, title: str = "Preview") -> None:
        """Let Discord unfurl a link: an update with an embed and an unchanged ``edited_timestamp``."""
        with self._state.lock:
            message = self._state.message(channel_id, message_id)
            message.embeds.append({"type": "link", "title": title, "url": "https://example.com/"})
            self._announce_update(message)

    def suppress_embeds(self, channel_id: int, message_id: int) -> None:
        """Remove a message's embeds for good: flags change, ``edited_timestamp`` does not."""
        with self._state.lock:
            message = self._state.message(channel_id, message_id)
            message.embeds.clear()
            message.flags |= FLAG_SUPPRESS_EMBEDS
            self._announce_update(message)

    def delete(self, channel_id: int, message_id: int) -> None:
        """Delete one message."""
        with self._state.lock:
            self._state.message(channel_id, message_id)
            channel = self._remove(channel_id, [message_id])
            self._announce("MESSAGE_DELETE", channel, {"id": str(message_id)})

    def bulk_delete(self, channel_id: int, message_ids: Iterable[int]) -> None:
        """Delete many messages, one MESSAGE_DELETE_BULK per hundred."""
        doomed = list(message_ids)
        with self._state.lock:
            for message_id in doomed:
                self._state.message(channel_id, message_id)
            for start in range(0, len(doomed), _BULK_DELETE_LIMIT):
                portion = doomed[start : start + _BULK_DELETE_LIMIT]
                channel = self._remove(channel_id, portion)
                self._announce("MESSAGE_DELETE_BULK", channel, {"ids": [str(item) for item in portion]})

    def pin(self, channel_id: int, message_id: int, *, announce: bool = False) -> None:
        """Pin a message; ``announce`` also posts the system message Discord writes for it."""
        with self._state.lock:
            self._set_pin(channel_id, message_id, self._state.clock.now())
            if announce:
                notice = Message(
                    id=self._state.snowflakes.mint(),
                    channel_id=channel_id,
                    author_id=self._state.member.id,
                    content="",
                    kind=MessageKind.CHANNEL_PINNED_MESSAGE,
                    reference=(channel_id, message_id),
                )
                self.add(self._state.channel(channel_id), notice)

    def unpin(self, channel_id: int, message_id: int) -> None:
        """Unpin a message."""
        with self._state.lock:
            self._set_pin(channel_id, message_id, None)

    def react(self, channel_id: int, message_id: int, emoji: str, *, user_id: int | None = None) -> None:
        """Add a reaction; ``emoji`` is a character, or ``name:id`` for a custom one."""
        with self._state.lock:
            message = self._state.message(channel_id, message_id)
            reactor = user_id or self._state.member.id
            users = message.reactions.setdefault(emoji, [])
            if reactor not in users:
                users.append(reactor)
                self._announce_reaction("MESSAGE_REACTION_ADD", message, emoji, reactor)

    def unreact(self, channel_id: int, message_id: int, emoji: str, *, user_id: int | None = None) -> None:
        """Take a user's reaction back; does nothing where there is none."""
        with self._state.lock:
            message = self._state.message(channel_id, message_id)
            reactor = user_id or self._state.member.id
            users = message.reactions.get(emoji, [])
            if reactor in users:
                users.remove(reactor)
                if not users:
                    del message.reactions[emoji]
                self._announce_reaction("MESSAGE_REACTION_REMOVE", message, emoji, reactor)

    def clear_reactions(self, channel_id: int, message_id: int, emoji: str | None = None) -> None:
        """Remove every reaction, or every reaction of one emoji."""
        with self._state.lock:
            message = self._state.message(channel_id, message_id)
            channel = self._state.channel(channel_id)
            body: dict[str, Any] = {"message_id": str(message_id)}
            if emoji is None:
                message.reactions.clear()
                self._announce("MESSAGE_REACTION_REMOVE_ALL", channel, body)
            else:
                message.reactions.pop(emoji, None)
                body["emoji"] = payloads.emoji(emoji)
                self._announce("MESSAGE_REACTION_REMOVE_EMOJI", channel, body)

    def announce_update(self, channel_id: int, message_id: int) -> None:
        """Send MESSAGE_UPDATE for a message as it stands, as Discord does when its thread changes."""
        with self._state.lock:
            self._announce_update(self._state.message(channel_id, message_id))

    def _attach(self, name: str, content_type: str) -> Attachment:
        return Attachment(self._state.snowflakes.mint(), name, content_type=content_type)

    def _remove(self, channel_id: int, message_ids: list[int]) -> Channel:
        channel = self._state.channel(channel_id)
        for message_id in message_ids:
            del channel.messages[message_id]
            del channel.ids[bisect_left(channel.ids, message_id)]
            channel.deleted_ids.add(message_id)
        return channel

    def _set_pin(self, channel_id: int, message_id: int, moment: datetime | None) -> None:
        message = self._state.message(channel_id, message_id)
        channel = self._state.channel(channel_id)
        message.pinned_at = moment
        self._announce_update(message)
        pins = [item.pinned_at for item in channel.messages.values() if item.pinned_at]
        last = iso(max(pins)) if pins else None
        self._announce("CHANNEL_PINS_UPDATE", channel, {"last_pin_timestamp": last})

    def _wake_thread(self, channel: Channel) -> None:
        if channel.thread is not None and channel.thread.archived:
            channel.thread.archived = False
            channel.thread.archive_changed_at = self._state.clock.now()
            body = payloads.channel(self._state, channel.id)
            self._state.publish(Event("THREAD_UPDATE", body, channel.guild_id, channel.id))

    def _announce_reaction(self, name: str, message: Message, emoji: str, user_id: int) -> None:
        channel = self._state.channel(message.channel_id)
        guild = self._state.guild(channel.guild_id)
        body: dict[str, Any] = {
            "user_id": str(user_id),
            "message_id": str(message.id),
            "message_author_id": str(message.author_id),
            "emoji": payloads.emoji(emoji),
            "burst": False,
            "type": 0,
        }
        if name == "MESSAGE_REACTION_ADD" and user_id in guild.members:
            body["member"] = payloads.member(self._state, guild.members[user_id])
        self._announce(name, channel, body)

    def _announce_update(self, message: Message) -> None:
        channel = self._state.channel(message.channel_id)
        self._announce("MESSAGE_UPDATE", channel, payloads.gateway_message(self._state, message))

    def _announce(self, name: str, channel: Channel, body: dict[str, Any]) -> None:
        located = {"channel_id": str(channel.id), "guild_id": str(channel.guild_id), **body}
        self._state.publish(Event(name, located, channel.guild_id, channel.id))
