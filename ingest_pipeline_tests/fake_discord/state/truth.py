"""What a perfect archive of a channel would hold: the yardstick of every exactness test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState, UnknownEntityError
from ingest_pipeline_tests.fake_discord.state.model import Channel, Message
from ingest_pipeline_tests.fake_discord.state.snowflakes import created_at


@dataclass(frozen=True, slots=True)
class MessageTruth:
    """The final state of one live message.

    Attributes:
        id: The message id.
        channel_id: The channel or thread it lives in.
        guild_id: The guild.
        author_id: Its author; for a webhook the webhook's id.
        author_name: The author's name.
        by_bot: Whether the author is a bot or a webhook.
        content: Its text now.
        posted_at: Aware UTC, from the id, to the millisecond.
        edited_timestamp: The last edit by its author, aware UTC, or None. Link previews, pins and
            suppressed embeds leave it alone.
        reactions: Emoji key to number of users, zero never listed.
        pinned: Whether it is pinned now.
        embeds: How many embeds it shows now.
        embed_titles: Their titles.
        attachment_ids: Its files.
        attachment_names: Their names.
        refers_to: The message it answers or announces, or None.
        kind: Discord's message type.
    """

    id: int
    channel_id: int
    guild_id: int
    author_id: int
    author_name: str
    by_bot: bool
    content: str
    posted_at: datetime
    edited_timestamp: datetime | None
    reactions: dict[str, int]
    pinned: bool
    embeds: int
    embed_titles: tuple[str, ...]
    attachment_ids: tuple[int, ...]
    attachment_names: tuple[str, ...]
    refers_to: int | None
    kind: int


@dataclass(frozen=True, slots=True)
class ChannelTruth:
    """The final state of one channel or thread.

    Attributes:
        channel_id: The channel.
        live: Message id to its final state, ascending by id.
        deleted_ids: Ids that once lived here and no longer do.
        gone: The channel itself was deleted; ``live`` is what it held at that moment.
    """

    channel_id: int
    live: dict[int, MessageTruth]
    deleted_ids: frozenset[int]
    gone: bool


def truth(state: GuildState, channel_id: int) -> ChannelTruth:
    """Return the final state of a channel, a deleted one included.

    Raises:
        UnknownEntityError: No such channel ever existed.
    """
    with state.lock:
        channel = state.channels.get(channel_id)
        if channel is None:
            raise UnknownEntityError(f"channel {channel_id} was never created")
        return _of_channel(state, channel)


def whole_truth(state: GuildState, guild_id: int) -> dict[int, ChannelTruth]:
    """Return the truth of every channel and thread a guild ever had, from one moment."""
    with state.lock:
        return {
            channel.id: _of_channel(state, channel)
            for channel in state.channels.values()
            if channel.guild_id == guild_id
        }


def _of_channel(state: GuildState, channel: Channel) -> ChannelTruth:
    return ChannelTruth(
        channel_id=channel.id,
        live={
            message_id: _of_message(state, channel, channel.messages[message_id])
            for message_id in channel.ids
        },
        deleted_ids=frozenset(channel.deleted_ids),
        gone=channel.gone,
    )


def _of_message(state: GuildState, channel: Channel, message: Message) -> MessageTruth:
    author = state.users[message.author_id]
    return MessageTruth(
        id=message.id,
        channel_id=message.channel_id,
        guild_id=channel.guild_id,
        author_id=author.id,
        author_name=author.name,
        by_bot=author.bot or author.webhook,
        content=message.content,
        posted_at=created_at(message.id),
        edited_timestamp=message.edited_at,
        reactions={emoji: len(user_ids) for emoji, user_ids in message.reactions.items()},
        pinned=message.pinned_at is not None,
        embeds=len(message.embeds),
        embed_titles=tuple(embed.get("title", "") for embed in message.embeds),
        attachment_ids=tuple(file.id for file in message.attachments),
        attachment_names=tuple(file.filename for file in message.attachments),
        refers_to=message.reference[1] if message.reference else None,
        kind=int(message.kind),
    )
