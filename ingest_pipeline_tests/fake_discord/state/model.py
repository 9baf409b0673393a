"""What the simulated Discord remembers: plain records, no behaviour.

Only ``guild_state.py`` and the ``*_actions.py`` modules change them, under the state's lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any


class ChannelKind(IntEnum):
    """Channel types (Discord API reference, "Channel Types")."""

    TEXT = 0
    VOICE = 2
    CATEGORY = 4
    NEWS = 5
    NEWS_THREAD = 10
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    STAGE = 13
    FORUM = 15
    MEDIA = 16


VOICE_KINDS = frozenset({ChannelKind.VOICE, ChannelKind.STAGE})
FORUM_KINDS = frozenset({ChannelKind.FORUM, ChannelKind.MEDIA})


class MessageKind(IntEnum):
    """The message types this server produces itself; any other integer may be posted too."""

    DEFAULT = 0
    CHANNEL_PINNED_MESSAGE = 6
    THREAD_CREATED = 18
    REPLY = 19
    THREAD_STARTER_MESSAGE = 21


FLAG_SUPPRESS_EMBEDS = 1 << 2
FLAG_HAS_THREAD = 1 << 5


@dataclass(slots=True)
class User:
    """A person, a bot, or the face a webhook shows."""

    id: int
    name: str
    global_name: str | None = None
    bot: bool = False
    webhook: bool = False


@dataclass(slots=True)
class Role:
    """A role and the permission bits it grants throughout its guild."""

    id: int
    name: str
    permissions: int
    position: int


@dataclass(slots=True)
class Overwrite:
    """What a channel allows and denies one role or one member."""

    target_id: int
    for_member: bool
    allow: int = 0
    deny: int = 0


@dataclass(slots=True)
class Member:
    """A user within one guild."""

    user_id: int
    joined_at: datetime
    nick: str | None = None
    role_ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Guild:
    """A guild; ``joined`` says whether the bot is in it, ``available`` whether Discord can serve it.

    ``scheduled_events`` are payloads, which only a test makes.
    """

    id: int
    name: str
    owner_id: int
    bot_role_id: int
    roles: dict[int, Role]
    members: dict[int, Member]
    joined: bool = True
    available: bool = True
    scheduled_events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Attachment:
    """A file on a message; its signed URL is rendered again at every read, as Discord does."""

    id: int
    filename: str
    size: int = 1024
    content_type: str = "application/octet-stream"


@dataclass(slots=True)
class Message:
    """A live message."""

    id: int
    channel_id: int
    author_id: int
    content: str
    kind: int = MessageKind.DEFAULT
    edited_at: datetime | None = None
    pinned_at: datetime | None = None
    flags: int = 0
    embeds: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    """With the signed addresses of their media as they are to be shown."""
    attachments: list[Attachment] = field(default_factory=list)
    reactions: dict[str, list[int]] = field(default_factory=dict)
    reference: tuple[int, int] | None = None
    """The (channel id, message id) this message answers or announces."""
    thread_id: int | None = None
    """The thread started from this message."""


@dataclass(slots=True)
class ThreadState:
    """What makes a channel a thread."""

    owner_id: int
    archive_changed_at: datetime
    archived: bool = False
    locked: bool = False
    member_ids: set[int] = field(default_factory=set)
    sent: int = 0


@dataclass(slots=True)
class Channel:
    """A channel, category, forum or thread with its messages.

    ``ids`` holds the live message ids in ascending order; ``deleted_ids`` every id that once lived here.
    """

    id: int
    guild_id: int
    kind: ChannelKind
    name: str
    position: int = 0
    parent_id: int | None = None
    topic: str | None = None
    nsfw: bool = False
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    last_message_id: int | None = None
    ids: list[int] = field(default_factory=list)
    messages: dict[int, Message] = field(default_factory=dict)
    deleted_ids: set[int] = field(default_factory=set)
    thread: ThreadState | None = None
    gone: bool = False
