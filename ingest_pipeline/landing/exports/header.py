"""The header of an export: everything before its messages.

The shape is DiscordChatExporter's (Core/Exporting/JsonMessageWriter.cs, versions 2.18 to 2.48).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from ingest_pipeline.domain.messages.message import Id
from ingest_pipeline.domain.messages.normalize import parse_timestamp
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import ExportMalformed

# By name since the exporter has names for them (ChannelKind.cs), by number before.
_THREAD_TYPES = frozenset({"GuildNewsThread", "GuildPublicThread", "GuildPrivateThread", "10", "11", "12"})


class _Place(msgspec.Struct, rename="camel"):
    id: Id = None
    name: str | None = None
    type: str | int | None = None
    category_id: Id = None
    category: str | None = None
    icon_url: str | None = None


class _DateRange(msgspec.Struct, rename="camel"):
    after: str | None = None
    before: str | None = None


class Envelope(msgspec.Struct, rename="camel"):
    """The members of a document that are not its messages."""

    guild: _Place | None = None
    channel: _Place | None = None
    date_range: _DateRange | None = None
    exported_at: str | None = None
    read_at: str | None = None
    message_count: int | None = None


@dataclass(frozen=True, slots=True)
class ExportHeader:
    """The header of an export.

    Attributes:
        channel_id: The channel the messages are in.
        channel_name: Its name at the time of reading.
        channel_type: The exporter's name for its type, such as `GuildTextChat`.
        parent_id: The channel or forum of a thread; None for everything else, whose category it is not.
        guild_id: The guild; None for direct messages (the exporter writes 0) and when absent.
        guild_name: Its name.
        after: Lower bound asked for, aware UTC, or None.
        before: Upper bound asked for, aware UTC, or None.
        exported_at: When the exporter began to write, aware UTC; None before exporter 2.40.1.
        read_at: A time at which nothing in the document had been read yet, aware UTC: written by the
            landing store, since the exporter stamps a document after its first page; else `exported_at`.
        parent_name: The name of a thread's channel or forum.
        guild_icon_url: The address of the guild's icon.
    """

    channel_id: int
    channel_name: str
    channel_type: str
    parent_id: int | None
    guild_id: int | None
    guild_name: str | None
    after: datetime | None
    before: datetime | None
    exported_at: datetime | None
    read_at: datetime | None
    parent_name: str | None = None
    guild_icon_url: str | None = None


def header_of(envelope: Envelope, name: str) -> ExportHeader:
    """Return a document's header.

    Raises:
        ExportMalformed: It names no channel.
    """
    channel = envelope.channel or _Place()
    channel_id = parse_snowflake(channel.id)
    if channel_id is None:
        raise ExportMalformed(
            f"{name} names no channel before its messages (channel.id is {channel.id!r}): "
            "give a file as the exporter wrote it"
        )
    guild = envelope.guild or _Place()
    exported_at = parse_timestamp(envelope.exported_at)
    date_range = envelope.date_range or _DateRange()
    is_thread = str(channel.type) in _THREAD_TYPES
    return ExportHeader(
        channel_id=channel_id,
        channel_name=channel.name or "",
        channel_type=str(channel.type or ""),
        # The exporter calls a thread's channel its category (JsonMessageWriter.cs, Channel.cs).
        parent_id=parse_snowflake(channel.category_id) if is_thread else None,
        guild_id=parse_snowflake(guild.id),
        guild_name=guild.name,
        after=parse_timestamp(date_range.after),
        before=parse_timestamp(date_range.before),
        exported_at=exported_at,
        read_at=parse_timestamp(envelope.read_at) or exported_at,
        parent_name=channel.category if is_thread else None,
        guild_icon_url=guild.icon_url,
    )
