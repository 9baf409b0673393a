"""Records rendered as Discord's JSON, for REST and for the gateway.

Ids are strings, times ISO 8601 in UTC. Keys that Discord omits rather than nulls are omitted here too:
discord.py 2.7 dies on ``"thread": null`` and its like.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from ingest_pipeline_tests.fake_discord.events import Payload
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.model import (
    Attachment,
    Guild,
    Member,
    Message,
    MessageKind,
    User,
)
from ingest_pipeline_tests.fake_discord.state.snowflakes import created_at, iso

_MENTION = re.compile(r"<@!?(\d+)>")
_ATTACHMENT_LIFE_SECONDS = 14 * 86_400
_signatures = count(1)


def user(person: User) -> Payload:
    """Render a user."""
    return {
        "id": str(person.id),
        "username": person.name,
        "global_name": None if person.webhook else person.global_name,
        "discriminator": "0000" if person.webhook else "0",
        "avatar": None,
        "bot": person.bot or person.webhook,
        "public_flags": 0,
    }


def member(state: GuildState, record: Member, *, with_user: bool = True) -> Payload:
    """Render a guild member; messages on the gateway carry it without ``user``."""
    body: Payload = {
        "nick": record.nick,
        "avatar": None,
        "roles": [str(role_id) for role_id in record.role_ids],
        "joined_at": iso(record.joined_at),
        "deaf": False,
        "mute": False,
        "flags": 0,
    }
    if with_user:
        body["user"] = user(state.users[record.user_id])
    return body


def roles(guild: Guild) -> list[Payload]:
    """Render a guild's roles, @everyone first."""
    return [
        {
            "id": str(role.id),
            "name": role.name,
            "permissions": str(role.permissions),
            "position": role.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": role.id == guild.bot_role_id,
            "mentionable": False,
            "flags": 0,
        }
        for role in sorted(guild.roles.values(), key=lambda role: role.position)
    ]


def _attachment(state: GuildState, channel_id: int, file: Attachment) -> Payload:
    issued = int(state.clock.now().timestamp())
    signature = f"ex={issued + _ATTACHMENT_LIFE_SECONDS:x}&is={issued:x}&hm={next(_signatures):064x}"
    path = f"attachments/{channel_id}/{file.id}/{file.filename}?{signature}&"
    return {
        "id": str(file.id),
        "filename": file.filename,
        "size": file.size,
        "content_type": file.content_type,
        "url": f"https://cdn.discordapp.com/{path}",
        "proxy_url": f"https://media.discordapp.net/{path}",
    }


def _reactions(state: GuildState, record: Message) -> list[Payload]:
    return [
        {
            "emoji": emoji(key),
            "count": len(user_ids),
            "count_details": {"burst": 0, "normal": len(user_ids)},
            "burst_colors": [],
            "me": state.bot.id in user_ids,
            "me_burst": False,
        }
        for key, user_ids in record.reactions.items()
    ]


def emoji(key: str) -> Payload:
    """Render an emoji from its REST key: the character itself, or ``name:id`` for a custom one."""
    name, _, emoji_id = key.partition(":")
    return {"id": emoji_id or None, "name": name, "animated": False}


def message(state: GuildState, record: Message, *, with_reference: bool = True) -> Payload:
    """Render a message as REST gives it."""
    author = state.users[record.author_id]
    known = (state.users.get(int(user_id)) for user_id in _MENTION.findall(record.content))
    body: Payload = {
        "id": str(record.id),
        "channel_id": str(record.channel_id),
        "type": int(record.kind),
        "content": record.content,
        "author": user(author),
        "timestamp": iso(created_at(record.id)),
        "edited_timestamp": iso(record.edited_at) if record.edited_at else None,
        "tts": False,
        "mention_everyone": "@everyone" in record.content,
        "mentions": [user(person) for person in known if person is not None],
        "mention_roles": [],
        "attachments": [_attachment(state, record.channel_id, file) for file in record.attachments],
        "embeds": list(record.embeds),
        "pinned": record.pinned_at is not None,
        "flags": record.flags,
        "components": list(record.components),
    }
    if author.webhook:
        body["webhook_id"] = str(author.id)
    if record.reactions:
        body["reactions"] = _reactions(state, record)
    if record.thread_id is not None and record.thread_id in state.channels:
        body["thread"] = channel(state, record.thread_id)
    if record.reference is not None:
        body |= _reference(state, record.reference, record.kind, whole=with_reference)
    return body


def _reference(state: GuildState, reference: tuple[int, int], kind: int, *, whole: bool) -> Payload:
    channel_id, message_id = reference
    origin = state.channels[channel_id]
    body: Payload = {
        "message_reference": {
            "type": 0,
            "channel_id": str(channel_id),
            "message_id": str(message_id),
            "guild_id": str(origin.guild_id),
        }
    }
    if whole and kind in {MessageKind.REPLY, MessageKind.THREAD_STARTER_MESSAGE}:
        referenced = origin.messages.get(message_id)
        body["referenced_message"] = (
            None if referenced is None else message(state, referenced, with_reference=False)
        )
    return body


def gateway_message(state: GuildState, record: Message) -> Payload:
    """Render a message as MESSAGE_CREATE and MESSAGE_UPDATE carry it: with guild and author's member."""
    guild = state.guild(state.channels[record.channel_id].guild_id)
    body = message(state, record)
    body["guild_id"] = str(guild.id)
    if record.author_id in guild.members:
        body["member"] = member(state, guild.members[record.author_id], with_user=False)
    return body


def channel(state: GuildState, channel_id: int) -> Payload:
    """Render a channel, category, forum or thread."""
    record = state.channels[channel_id]
    last = record.last_message_id
    body: Payload = {
        "id": str(record.id),
        "guild_id": str(record.guild_id),
        "type": int(record.kind),
        "name": record.name,
        "parent_id": str(record.parent_id) if record.parent_id else None,
        "last_message_id": str(last) if last else None,
        "rate_limit_per_user": 0,
        "flags": 0,
    }
    if record.thread is not None:
        return body | _thread(state, channel_id)
    return body | {
        "position": record.position,
        "topic": record.topic,
        "nsfw": record.nsfw,
        "bitrate": 64_000,
        "user_limit": 0,
        "available_tags": [],
        "permission_overwrites": [
            {
                "id": str(overwrite.target_id),
                "type": int(overwrite.for_member),
                "allow": str(overwrite.allow),
                "deny": str(overwrite.deny),
            }
            for overwrite in record.overwrites.values()
        ],
    }


def _thread(state: GuildState, channel_id: int) -> Payload:
    record = state.channels[channel_id]
    thread = record.thread
    if thread is None:
        return {}
    body: Payload = {
        "owner_id": str(thread.owner_id),
        "message_count": len(record.ids),
        "total_message_sent": thread.sent,
        "member_count": len(thread.member_ids),
        "applied_tags": [],
        "thread_metadata": {
            "archived": thread.archived,
            "archive_timestamp": iso(thread.archive_changed_at),
            "auto_archive_duration": 1440,
            "locked": thread.locked,
            "invitable": True,
            "create_timestamp": iso(created_at(record.id)),
        },
    }
    if state.bot.id in thread.member_ids:
        body["member"] = thread_member(record.id, state.bot.id)
    return body


def thread_member(thread_id: int, user_id: int) -> Payload:
    """Render a user's membership of a thread."""
    return {
        "id": str(thread_id),
        "user_id": str(user_id),
        "join_timestamp": iso(created_at(thread_id)),
        "flags": 0,
    }


def guild(record: Guild) -> Payload:
    """Render a guild as ``GET /guilds/{id}`` does."""
    return {
        "id": str(record.id),
        "name": record.name,
        "icon": None,
        "owner_id": str(record.owner_id),
        "roles": roles(record),
        "emojis": [],
        "stickers": [],
        "features": [],
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "afk_timeout": 300,
        "system_channel_id": None,
        "preferred_locale": "en-US",
        "approximate_member_count": len(record.members),
        "approximate_presence_count": 1,
    }


def guild_create(state: GuildState, record: Guild) -> Payload:
    """Render GUILD_CREATE, without ``unavailable``: present it is "available again", absent it is "joined".

    Bots get events of every channel, hidden ones included, but only of active threads they can see.
    """
    active = [
        thread.id for thread in state.threads_of(record.id) if thread.thread and not thread.thread.archived
    ]
    whole: dict[str, Any] = {
        "joined_at": iso(record.members[state.bot.id].joined_at),
        "large": False,
        "member_count": len(record.members),
        "members": [member(state, record.members[state.bot.id])],
        "channels": [channel(state, item.id) for item in state.channels_of(record.id)],
        "threads": [channel(state, thread_id) for thread_id in active],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
    }
    return guild(record) | whole
