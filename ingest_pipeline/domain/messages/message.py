"""Messages as exports and Discord give them: fields and names of types.

The shape is the exporter's JSON message (DiscordChatExporter 2.18 to 2.48, JsonMessageWriter.cs);
gateway events and REST history are mapped onto it in `landing/exports/reader.py`, so that one normalizer
serves all. Every key may be absent and ids may be strings or numbers: what is unusable is for the
normalizer to count, not for the reader to fail on.

The collector of reference cycles leaves these objects alone: they are made by the million and hold none.

Discord sends a number, DiscordChatExporter writes a name for some types and the number, as text, for the
others; which ones changes with its versions (2.48 writes `PollResult` where 2.47 writes `46`). Names are
the exporter's where it has one (MessageKind.cs, 2.48), else Discord's own in the same spelling
(https://docs.discord.com/developers/resources/message#message-object-message-types, August 2026; those that
Discord does not document as discord.py 2.7 has them). A type without a name here keeps its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ingest_pipeline.domain.snowflake import DISCORD_EPOCH

# When a message was read, where no source has it: earlier than any time at which one can have been. So such a
# version never wins over one whose time is known, and is never taken for the first to have been read.
OBSERVED_AT_UNKNOWN = DISCORD_EPOCH

Text = str | None
Id = str | int | None
MESSAGE_TYPES: Mapping[int, str] = {
    0: "Default",
    1: "RecipientAdd",
    2: "RecipientRemove",
    3: "Call",
    4: "ChannelNameChange",
    5: "ChannelIconChange",
    6: "ChannelPinnedMessage",
    7: "GuildMemberJoin",
    8: "GuildBoost",
    9: "GuildBoostTier1",
    10: "GuildBoostTier2",
    11: "GuildBoostTier3",
    12: "ChannelFollowAdd",
    13: "GuildStream",
    14: "GuildDiscoveryDisqualified",
    15: "GuildDiscoveryRequalified",
    16: "GuildDiscoveryGracePeriodInitialWarning",
    17: "GuildDiscoveryGracePeriodFinalWarning",
    18: "ThreadCreated",
    19: "Reply",
    20: "ChatInputCommand",
    21: "ThreadStarterMessage",
    22: "GuildInviteReminder",
    23: "ContextMenuCommand",
    24: "AutoModerationAction",
    25: "RoleSubscriptionPurchase",
    26: "InteractionPremiumUpsell",
    27: "StageStart",
    28: "StageEnd",
    29: "StageSpeaker",
    30: "StageRaiseHand",
    31: "StageTopic",
    32: "GuildApplicationPremiumSubscription",
    36: "GuildIncidentAlertModeEnabled",
    37: "GuildIncidentAlertModeDisabled",
    38: "GuildIncidentReportRaid",
    39: "GuildIncidentReportFalseAlarm",
    44: "PurchaseNotification",
    46: "PollResult",
    63: "EmojiAdded",
}
"""Name by Discord's number."""

# Databases hold digests in which only these types had their names; the others keep their numbers there, so
# that a message read again has the digest that it had before its type got a name.
_NAMED_IN_DIGESTS = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 18, 19})
_KNOWN: dict[str | int | None, str] = {None: MESSAGE_TYPES[0]}
_KNOWN.update((number, name) for number, name in MESSAGE_TYPES.items())
_KNOWN.update((str(number), name) for number, name in MESSAGE_TYPES.items())
_NUMBERS_IN_DIGESTS = {
    name: str(number) for number, name in MESSAGE_TYPES.items() if number not in _NAMED_IN_DIGESTS
}


class Emoji(msgspec.Struct, rename="camel", gc=False):
    """An emoji: `id` is empty or null for Unicode ones."""

    id: Id = None
    name: Text = None
    code: Text = None


class Role(msgspec.Struct, frozen=True, gc=False):
    """A role of an author."""

    id: Id = None
    name: Text = None


class Author(msgspec.Struct, rename="camel", gc=False):
    """The author as of the time of reading, not of posting; exports from 2.40.1 on have `roles`."""

    id: Id = None
    name: Text = None
    nickname: Text = None
    is_bot: bool | None = None
    avatar_url: Text = None
    roles: tuple[Role, ...] | None = None


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
    """The message replied to or forwarded; `type` says which (2.47 on)."""

    type: Text = None
    message_id: Id = None
    channel_id: Id = None
    guild_id: Id = None


class Forwarded(msgspec.Struct, rename="camel", gc=False):
    """The snapshot inside a forwarded message (2.47 on)."""

    timestamp: str | int | float | None = None
    timestamp_edited: str | int | float | None = None
    content: Text = None
    attachments: tuple[Attachment, ...] | None = None
    embeds: tuple[Embed, ...] | None = None
    stickers: tuple[Sticker, ...] | None = None


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
    inline_emojis: tuple[Emoji, ...] | None = None
    mentions: tuple[Author, ...] | None = None


class Details(msgspec.Struct, gc=False):
    """What Discord's own message objects carry and exports do not; see `domain/messages/details.py`.

    Attributes:
        values: What is stored, JSON-compatible; empty for a message that has nothing of the kind.
        parts: Its words, as `domain/messages/parts.py` describes them.
    """

    values: dict[str, Any]
    parts: list[dict[str, str]]


class DetailedMessage(RawMessage, gc=False):
    """A message of the gateway or of REST, which carries its details; never read from an export."""

    details: Details | None = None


def type_name(kind: str | int | None) -> str:
    """Return the one name of a message type.

    Args:
        kind: Discord's number, the same as text, or a name; None is an ordinary message.

    Returns:
        Its name; text or number as it is where no name is known.
    """
    return _KNOWN.get(kind) or str(kind)


def type_in_digest(name: str) -> str:
    """Return what stands for a type, given by its name, in the digest of a message."""
    return _NUMBERS_IN_DIGESTS.get(name, name)
