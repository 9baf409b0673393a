"""Message types: one name for each, from every source.

Discord sends a number, DiscordChatExporter writes a name for some types and the number, as text, for the
others; which ones changes with its versions (2.48 writes `PollResult` where 2.47 writes `46`). Names are
the exporter's where it has one (MessageKind.cs, 2.48), else Discord's own in the same spelling
(https://docs.discord.com/developers/resources/message#message-object-message-types, August 2026; those that
Discord does not document as discord.py 2.7 has them). A type without a name here keeps its number.
"""

from __future__ import annotations

from collections.abc import Mapping

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
