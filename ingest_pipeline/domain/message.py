"""A message as any source delivers it, before anything is decided about it.

The shape is the exporter's JSON message (DiscordChatExporter 2.18 to 2.48, JsonMessageWriter.cs);
gateway events and REST history are mapped onto it in `landing/export_reader.py`, so that one normalizer
serves all. Every key may be absent and ids may be strings or numbers: what is unusable is for the
normalizer to count, not for the reader to fail on.

The collector of reference cycles leaves these objects alone: they are made by the million and hold none.
"""

from __future__ import annotations

import msgspec

from ingest_pipeline.domain.snowflake import DISCORD_EPOCH

# When a message was read, where nothing says so: earlier than any time at which one can have been. So such a
# version never wins over one whose time is known, and is never taken for the first to have been read.
OBSERVED_AT_UNKNOWN = DISCORD_EPOCH

Text = str | None
Id = str | int | None


class Emoji(msgspec.Struct, rename="camel", gc=False):
    """An emoji: `id` is empty or null for Unicode ones."""

    id: Id = None
    name: Text = None
    code: Text = None


class Author(msgspec.Struct, rename="camel", gc=False):
    """The author as of the time of reading, not of posting."""

    id: Id = None
    name: Text = None
    nickname: Text = None
    is_bot: bool | None = None


class Attachment(msgspec.Struct, rename="camel", gc=False):
    """An uploaded file; `url` is signed and expires."""

    id: Id = None
    url: Text = None
    file_name: Text = None
    file_size_bytes: int | float | str | None = None


class Picture(msgspec.Struct, rename="camel", gc=False):
    """An embed's image, thumbnail or video; `canonical_url` (2.46.1 on) is the unproxied one."""

    url: Text = None
    canonical_url: Text = None


class EmbedField(msgspec.Struct, rename="camel", gc=False):
    """A name and value inside an embed."""

    name: Text = None
    value: Text = None


class EmbedPart(msgspec.Struct, rename="camel", gc=False):
    """An embed's author (`name`) or footer (`text`)."""

    name: Text = None
    text: Text = None


class Embed(msgspec.Struct, rename="camel", gc=False):
    """A rich embed or link preview."""

    title: Text = None
    url: Text = None
    description: Text = None
    timestamp: str | int | float | None = None
    author: EmbedPart | None = None
    footer: EmbedPart | None = None
    thumbnail: Picture | None = None
    image: Picture | None = None
    video: Picture | None = None
    fields: tuple[EmbedField, ...] | None = None


class Sticker(msgspec.Struct, rename="camel", gc=False):
    """A sticker."""

    id: Id = None
    name: Text = None


class Reaction(msgspec.Struct, rename="camel", gc=False):
    """An emoji and how many reacted with it; who did is not kept (the exporter's list flaps)."""

    emoji: Emoji | None = None
    count: int | float | str | None = None


class Reference(msgspec.Struct, rename="camel", gc=False):
    """The message replied to or forwarded."""

    message_id: Id = None


class Forwarded(msgspec.Struct, rename="camel", gc=False):
    """The snapshot inside a forwarded message (2.47 on)."""

    content: Text = None


class RawMessage(msgspec.Struct, rename="camel", gc=False):
    """One message, undecided."""

    id: Id = None
    type: str | int | None = None
    timestamp: str | int | float | None = None
    timestamp_edited: str | int | float | None = None
    is_pinned: bool | None = None
    content: Text = None
    author: Author | None = None
    attachments: tuple[Attachment, ...] | None = None
    embeds: tuple[Embed, ...] | None = None
    stickers: tuple[Sticker, ...] | None = None
    reactions: tuple[Reaction, ...] | None = None
    reference: Reference | None = None
    forwarded_message: Forwarded | None = None
