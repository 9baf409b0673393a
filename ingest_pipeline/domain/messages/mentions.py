"""Mentions, custom emojis and times in a message's text, as Discord's own clients show them.

Discord writes them as ids (https://docs.discord.com/developers/reference#message-formatting).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

_MARKUP = re.compile(
    r"<(?:(@[!&]?|#)([0-9]{1,19})|a?(:\w{1,64}:)[0-9]{1,19}|t:(-?[0-9]{1,13})(?::[a-zA-Z])?)>"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What is known by id.

    Attributes:
        users: How users are called.
        channels: How channels and threads are called.
        roles: How roles are called.
    """

    users: Mapping[int, str] = field(default_factory=dict)
    channels: Mapping[int, str] = field(default_factory=dict)
    roles: Mapping[int, str] = field(default_factory=dict)


def mentioned_ids(texts: Iterable[str]) -> tuple[set[int], set[int], set[int]]:
    """Return the ids of the users, of the channels and of the roles that texts mention."""
    users: set[int] = set()
    channels: set[int] = set()
    roles: set[int] = set()
    for text in texts:
        if "<" in text:
            for kind, number, _, _ in _MARKUP.findall(text):
                if kind:
                    {"#": channels, "@&": roles}.get(kind, users).add(int(number))
    return users, channels, roles


def readable(text: str, names: Names) -> str:
    """Return a text with names for ids: `@Leclerc`, `#team-radio`, `:pog:`, `2026-09-06 13:00 UTC`.

    Users, channels and roles without a known name and whatever else stays as it is.
    """
    return _MARKUP.sub(lambda match: _shown(match, names), text) if "<" in text else text


def _shown(match: re.Match[str], names: Names) -> str:
    kind, number, emoji, seconds = match.groups()
    if emoji:
        return str(emoji)
    if seconds:
        try:
            return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M} UTC"
        except (ValueError, OverflowError, OSError):
            return match[0]
    known = {"#": names.channels, "@&": names.roles}.get(kind, names.users).get(int(number))
    return match[0] if known is None else f"{kind[0]}{known}"
