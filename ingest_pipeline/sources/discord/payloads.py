"""Discord's message objects, from the gateway and from REST, in the shape that all sources share.

A message seen live, read from history or exported by DiscordChatExporter becomes the same row. What
that takes is here: the English texts that the exporter writes for system messages, and its choice of
nickname (DiscordChatExporter 2.47 source, Message.cs, JsonMessageWriter.cs; Discord's fields:
https://docs.discord.com/developers/resources/message). Types are named in `domain/messages/message.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest_pipeline.domain.messages.details import Payload, details_of
from ingest_pipeline.domain.messages.message import (
    Attachment,
    Author,
    DetailedMessage,
    Embed,
    EmbedField,
    EmbedPart,
    Emoji,
    Forwarded,
    Picture,
    Reaction,
    Reference,
    Sticker,
)

_SYSTEM_TEXTS = {
    5: "Changed the channel icon.",
    6: "Pinned a message.",
    7: "Joined the server.",
    18: "Started a thread.",
}
_REPLY, _FORWARD = "Default", "Forward"
_REQUIRED = ("id", "channel_id", "timestamp", "author", "content", "type")


def is_whole(payload: Payload) -> bool:
    """Return whether an event carries a whole message; an update may carry only what changed."""
    return all(key in payload for key in _REQUIRED)


def raw_message(payload: Payload) -> DetailedMessage:
    """Return a message object as the raw message that the normalizer takes.

    Args:
        payload: A message object of the gateway or of REST; absent keys stay absent.

    Raises:
        msgspec.ValidationError: Never: values of unexpected types are left for the normalizer to count.
    """
    kind = payload.get("type")
    snapshots = _list(payload.get("message_snapshots"))
    return DetailedMessage(
        id=payload.get("id"),
        type=kind if isinstance(kind, str | int | None) else str(kind),
        timestamp=payload.get("timestamp"),
        timestamp_edited=payload.get("edited_timestamp"),
        is_pinned=bool(payload.get("pinned")),
        content=_content(kind, payload),
        author=_author(payload),
        attachments=tuple(_attachment(item) for item in _list(payload.get("attachments"))),
        embeds=tuple(_embed(item) for item in _list(payload.get("embeds"))),
        stickers=tuple(_sticker(item) for item in _list(payload.get("sticker_items"))),
        reactions=tuple(_reaction(item) for item in _list(payload.get("reactions"))),
        reference=_reference(payload.get("message_reference")),
        forwarded_message=_forwarded(snapshots[0]) if snapshots else None,
        details=details_of(payload),
    )


def _list(value: object) -> Sequence[Payload]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _content(kind: object, payload: Payload) -> str | None:
    content = _text(payload.get("content"))
    if kind == 4:
        return f"Changed the channel name: {content}" if content else "Changed the channel name."
    return _SYSTEM_TEXTS.get(kind, content) if isinstance(kind, int) else content


def _author(payload: Payload) -> Author | None:
    author = payload.get("author")
    if not isinstance(author, Mapping):
        return None
    member = payload.get("member")
    nick = member.get("nick") if isinstance(member, Mapping) else None
    name = _text(author.get("username"))
    return Author(
        id=author.get("id"),
        name=name,
        nickname=_text(nick) or _text(author.get("global_name")) or name,
        is_bot=bool(author.get("bot")),
    )


def _attachment(item: Payload) -> Attachment:
    return Attachment(
        id=item.get("id"),
        url=_text(item.get("url")),
        file_name=_text(item.get("filename")),
        file_size_bytes=item.get("size"),
    )


def _embed(item: Payload) -> Embed:
    author, footer = item.get("author"), item.get("footer")
    return Embed(
        title=_text(item.get("title")),
        url=_text(item.get("url")),
        description=_text(item.get("description")),
        author=EmbedPart(name=_text(author.get("name"))) if isinstance(author, Mapping) else None,
        footer=EmbedPart(text=_text(footer.get("text"))) if isinstance(footer, Mapping) else None,
        thumbnail=_picture(item.get("thumbnail")),
        image=_picture(item.get("image")),
        video=_picture(item.get("video")),
        fields=tuple(
            EmbedField(name=_text(field.get("name")), value=_text(field.get("value")))
            for field in _list(item.get("fields"))
        ),
    )


def _picture(value: object) -> Picture | None:
    return Picture(url=_text(value.get("url"))) if isinstance(value, Mapping) else None


def _sticker(item: Payload) -> Sticker:
    return Sticker(id=item.get("id"), name=item.get("name"))


def _reaction(item: Payload) -> Reaction:
    emoji = item.get("emoji")
    known = Emoji(id=emoji.get("id"), name=_text(emoji.get("name"))) if isinstance(emoji, Mapping) else None
    return Reaction(emoji=known, count=item.get("count"))


def _reference(value: object) -> Reference | None:
    if not isinstance(value, Mapping):
        return None
    return Reference(
        type=_FORWARD if value.get("type") == 1 else _REPLY,
        message_id=value.get("message_id"),
        channel_id=value.get("channel_id"),
        guild_id=value.get("guild_id"),
    )


def _forwarded(snapshot: Payload) -> Forwarded:
    message = snapshot.get("message")
    if not isinstance(message, Mapping):
        return Forwarded()
    return Forwarded(
        timestamp=message.get("timestamp"),
        timestamp_edited=message.get("edited_timestamp"),
        content=_text(message.get("content")),
        attachments=tuple(_attachment(item) for item in _list(message.get("attachments"))),
        embeds=tuple(_embed(item) for item in _list(message.get("embeds"))),
        stickers=tuple(_sticker(item) for item in _list(message.get("sticker_items"))),
    )
