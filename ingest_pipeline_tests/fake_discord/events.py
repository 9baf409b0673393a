"""Gateway events as the state publishes them, and the intents that gate them.

Bits and gating follow the Discord gateway reference, "Gateway Intents".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Payload = dict[str, Any]

GUILDS = 1 << 0
GUILD_MEMBERS = 1 << 1
GUILD_PRESENCES = 1 << 8
GUILD_MESSAGES = 1 << 9
GUILD_MESSAGE_REACTIONS = 1 << 10
MESSAGE_CONTENT = 1 << 15
GUILD_SCHEDULED_EVENTS = 1 << 16

PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
KNOWN_INTENTS = (1 << 26) - 1

HANDSHAKE = frozenset({"READY", "RESUMED", "GUILD_CREATE"})
"""Events that also reach a client while the gateway is deaf."""

MESSAGE_EVENTS = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "MESSAGE_REACTION_REMOVE_ALL",
        "MESSAGE_REACTION_REMOVE_EMOJI",
    }
)
"""What a message can do: the events the delivery faults strike unless others are named."""


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatch before it is numbered.

    Attributes:
        name: The dispatch's name, such as ``MESSAGE_CREATE``.
        payload: Its ``d``, as it stood when the event happened; never changed afterwards.
        guild_id: The guild it belongs to.
        channel_id: The channel that must be visible to the bot; None where no channel gates it.
    """

    name: str
    payload: Mapping[str, Any]
    guild_id: int
    channel_id: int | None = None

    @property
    def intent(self) -> int:
        """The intent bit a session must have asked for."""
        if self.name.startswith("MESSAGE_REACTION"):
            return GUILD_MESSAGE_REACTIONS
        if self.name.startswith("MESSAGE_"):
            return GUILD_MESSAGES
        if self.name.startswith("GUILD_SCHEDULED_EVENT_"):
            return GUILD_SCHEDULED_EVENTS
        return GUILDS


def without_content(payload: Mapping[str, Any], bot_id: int) -> Payload:
    """Blank what the MESSAGE_CONTENT intent gates, on the gateway and over REST alike.

    The bot's own messages and those mentioning it keep their content.

    Args:
        payload: A message as rendered for the gateway or for REST.
        bot_id: The bot's user id.

    Returns:
        A copy of the payload with empty content, embeds, attachments and components.
    """
    author = payload.get("author", {}).get("id")
    mentioned = any(user["id"] == str(bot_id) for user in payload.get("mentions", ()))
    if author == str(bot_id) or mentioned or "content" not in payload:
        return dict(payload)
    return {**payload, "content": "", "embeds": [], "attachments": [], "components": []}
