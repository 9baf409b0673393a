"""The REST endpoints' answers: from the truth and the bot's permissions to JSON, no HTTP in between.

Error codes follow the Discord API docs, "JSON Error Codes". Two things are stricter than Discord on
purpose, so that a client's mistake cannot hide: more than one of ``before``, ``after`` and ``around`` is
refused, and so is a page size outside 1 to 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest_pipeline_tests.fake_discord.events import (
    GUILD_MEMBERS,
    GUILD_PRESENCES,
    MESSAGE_CONTENT,
    Payload,
    without_content,
)
from ingest_pipeline_tests.fake_discord.faults import Faults
from ingest_pipeline_tests.fake_discord.rest.history import page
from ingest_pipeline_tests.fake_discord.state import payloads, permissions
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.model import FORUM_KINDS, Channel, ChannelKind, Guild, Message
from ingest_pipeline_tests.fake_discord.state.snowflakes import iso

_APPLICATION_FLAGS = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}
"""Privileged intents as the application's ``*_LIMITED`` flags, which small bots carry."""

_WITHOUT_MESSAGES = FORUM_KINDS | {ChannelKind.CATEGORY}
_SESSION_STARTS_PER_DAY = 1000


class ApiError(Exception):
    """A refusal as Discord words it."""

    def __init__(self, status: int, code: int, message: str) -> None:
        """Refuse with an HTTP status and Discord's own error code."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Call:
    """One request's arguments: ids from its path, and its query."""

    ids: Mapping[str, int]
    query: Mapping[str, str]
    emoji: str = ""

    def number(self, name: str) -> int | None:
        """Return an integer of the query, None if absent.

        Raises:
            ApiError: It is no integer.
        """
        text = self.query.get(name)
        if text is None:
            return None
        if not text.isdecimal():
            raise ApiError(400, 50035, f"Invalid Form Body: {name} is {text!r}, not a snowflake or number")
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """Return the page size.

        Raises:
            ApiError: It lies outside 1 to ``most``.
        """
        limit = self.number("limit")
        if limit is None:
            return default
        if not 1 <= limit <= most:
            raise ApiError(400, 50035, f"Invalid Form Body: limit is {limit}, not 1 to {most}")
        return limit


class Answers:
    """One method per endpoint; each is called under the state's lock and returns JSON values."""

    def __init__(self, state: GuildState, faults: Faults) -> None:
        """Answer from ``state``."""
        self.gateway_url = ""
        self._state = state
        self._faults = faults

    def current_user(self, _call: Call) -> Payload:
        """Answer ``GET /users/@me``."""
        return payloads.user(self._state.bot)

    def application(self, _call: Call) -> Payload:
        """Answer ``GET /oauth2/applications/@me`` and ``GET /applications/@me``."""
        granted = self._faults.granted_intents
        return {
            "id": str(self._state.bot.id),
            "name": self._state.bot.name,
            "icon": None,
            "description": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": payloads.user(self._state.member),
            "verify_key": "0" * 64,
            "flags": sum(flag for intent, flag in _APPLICATION_FLAGS.items() if granted & intent),
        }

    def gateway_bot(self, _call: Call) -> Payload:
        """Answer ``GET /gateway/bot``."""
        starts = {
            "total": _SESSION_STARTS_PER_DAY,
            "remaining": _SESSION_STARTS_PER_DAY,
            "reset_after": 86_400_000,
            "max_concurrency": 1,
        }
        return {"url": self.gateway_url, "shards": 1, "session_start_limit": starts}

    def user(self, call: Call) -> Payload:
        """Answer ``GET /users/{user_id}``."""
        person = self._state.users.get(call.ids["user_id"])
        if person is None:
            raise ApiError(404, 10013, "Unknown User")
        return payloads.user(person)

    def my_guilds(self, call: Call) -> list[Payload]:
        """Answer ``GET /users/@me/guilds``: partial guilds by ascending id."""
        before, after = call.number("before"), call.number("after")
        limit = call.limit(200, 200)
        fitting = [
            guild
            for guild in self._state.joined_guilds()
            if (before is None or guild.id < before) and (after is None or guild.id > after)
        ]
        chosen = fitting[-limit:] if before is not None else fitting[:limit]
        return [
            {
                "id": str(guild.id),
                "name": guild.name,
                "icon": None,
                "owner": False,
                "permissions": str(guild.roles[guild.bot_role_id].permissions),
                "features": [],
            }
            for guild in chosen
        ]

    def guild(self, call: Call) -> Payload:
        """Answer ``GET /guilds/{guild_id}``."""
        return payloads.guild(self._guild(call))

    def guild_channels(self, call: Call) -> list[Payload]:
        """Answer ``GET /guilds/{guild_id}/channels``: hidden ones too, threads never."""
        guild = self._guild(call)
        return [payloads.channel(self._state, item.id) for item in self._state.channels_of(guild.id)]

    def scheduled_events(self, call: Call) -> list[Payload]:
        """Answer ``GET /guilds/{guild_id}/scheduled-events``: those that are neither over nor cancelled."""
        return self._guild(call).scheduled_events

    def guild_roles(self, call: Call) -> list[Payload]:
        """Answer ``GET /guilds/{guild_id}/roles``."""
        return payloads.roles(self._guild(call))

    def guild_member(self, call: Call) -> Payload:
        """Answer ``GET /guilds/{guild_id}/members/{user_id}``."""
        member = self._guild(call).members.get(call.ids["user_id"])
        if member is None:
            raise ApiError(404, 10007, "Unknown Member")
        return payloads.member(self._state, member)

    def active_threads(self, call: Call) -> Payload:
        """Answer ``GET /guilds/{guild_id}/threads/active``."""
        guild = self._guild(call)
        threads = [
            item
            for item in self._state.threads_of(guild.id)
            if item.thread is not None and not item.thread.archived
        ]
        return self._thread_list(threads)

    def channel(self, call: Call) -> Payload:
        """Answer ``GET /channels/{channel_id}``."""
        return payloads.channel(self._state, self._channel(call).id)

    def history(self, call: Call) -> list[Payload]:
        """Answer ``GET /channels/{channel_id}/messages``.

        Without READ_MESSAGE_HISTORY it is an empty list, not an error, as on Discord.
        """
        channel = self._channel(call)
        if channel.kind in _WITHOUT_MESSAGES:
            raise ApiError(400, 50024, "Cannot execute action on this channel type")
        limit = call.limit(50, 100)
        bounds = {name: call.number(name) for name in ("before", "after", "around") if name in call.query}
        if len(bounds) > 1:
            raise ApiError(400, 50035, f"Invalid Form Body: {sorted(bounds)} exclude each other")
        if not self._state.can_read_history(channel):
            return []
        ids = page(channel.ids, min(limit, self._faults.max_page or limit), **bounds)
        return [self._message(channel.messages[message_id]) for message_id in ids]

    def message(self, call: Call) -> Payload:
        """Answer ``GET /channels/{channel_id}/messages/{message_id}``."""
        return self._message(self._find_message(call))

    def pins(self, call: Call) -> Payload:
        """Answer ``GET /channels/{channel_id}/messages/pins``, last pinned first."""
        channel = self._channel(call)
        if not self._state.can_read_history(channel):
            return {"items": [], "has_more": False}
        limit, before = call.limit(50, 50), _moment(call.query.get("before"))
        pins = sorted(
            (item.pinned_at, item.id)
            for item in channel.messages.values()
            if item.pinned_at is not None and (before is None or item.pinned_at < before)
        )
        chosen = pins[::-1][:limit]
        items = [
            {"pinned_at": iso(pinned_at), "message": self._message(channel.messages[message_id])}
            for pinned_at, message_id in chosen
        ]
        return {"items": items, "has_more": len(pins) > limit}

    def reaction_users(self, call: Call) -> list[Payload]:
        """Answer ``GET …/messages/{message_id}/reactions/{emoji}``, by ascending user id."""
        message = self._find_message(call)
        limit, after = call.limit(25, 100), call.number("after") or 0
        users = sorted(user_id for user_id in message.reactions.get(call.emoji, ()) if user_id > after)
        return [payloads.user(self._state.users[user_id]) for user_id in users[:limit]]

    def archived_public_threads(self, call: Call) -> Payload:
        """Answer ``GET /channels/{channel_id}/threads/archived/public``, last archived first."""
        return self._archived(call, private=False, needed=permissions.READ_MESSAGE_HISTORY)

    def archived_private_threads(self, call: Call) -> Payload:
        """Answer ``GET /channels/{channel_id}/threads/archived/private``; needs MANAGE_THREADS."""
        needed = permissions.READ_MESSAGE_HISTORY | permissions.MANAGE_THREADS
        return self._archived(call, private=True, needed=needed)

    def joined_private_threads(self, call: Call) -> Payload:
        """Answer ``GET /channels/{channel_id}/users/@me/threads/archived/private``, highest id first."""
        channel = self._permitted(call, permissions.READ_MESSAGE_HISTORY)
        before = call.number("before")
        threads = [
            item
            for item in self._archived_of(channel, private=True)
            if item.thread is not None
            and self._state.bot.id in item.thread.member_ids
            and (before is None or item.id < before)
        ]
        limit = call.limit(50, 100)
        return self._thread_list(threads[:limit], has_more=len(threads) > limit)

    def thread_members(self, call: Call) -> list[Payload]:
        """Answer ``GET /channels/{channel_id}/thread-members``."""
        channel = self._channel(call)
        members = sorted(channel.thread.member_ids) if channel.thread is not None else []
        return [payloads.thread_member(channel.id, user_id) for user_id in members]

    def _guild(self, call: Call) -> Guild:
        guild = self._state.guilds.get(call.ids["guild_id"])
        if guild is None:
            raise ApiError(404, 10004, "Unknown Guild")
        if not guild.joined:
            raise ApiError(403, 50001, "Missing Access")
        return guild

    def _channel(self, call: Call) -> Channel:
        channel = self._state.channels.get(call.ids["channel_id"])
        if channel is None or channel.gone:
            raise ApiError(404, 10003, "Unknown Channel")
        if not self._state.can_view(channel):
            raise ApiError(403, 50001, "Missing Access")
        return channel

    def _permitted(self, call: Call, needed: int) -> Channel:
        channel = self._channel(call)
        if self._state.permissions_in(channel) & needed != needed:
            raise ApiError(403, 50013, "Missing Permissions")
        return channel

    def _find_message(self, call: Call) -> Message:
        channel = self._channel(call)
        if not self._state.can_read_history(channel):
            raise ApiError(403, 50001, "Missing Access")
        message = channel.messages.get(call.ids["message_id"])
        if message is None:
            raise ApiError(404, 10008, "Unknown Message")
        return message

    def _message(self, message: Message) -> Payload:
        body = payloads.message(self._state, message)
        if self._faults.granted_intents & MESSAGE_CONTENT:
            return body
        return without_content(body, self._state.bot.id)

    def _archived(self, call: Call, *, private: bool, needed: int) -> Payload:
        channel = self._permitted(call, needed)
        limit, before = call.limit(50, 100), _moment(call.query.get("before"))
        dated = sorted(
            (
                (item.thread.archive_changed_at, item.id, item)
                for item in self._archived_of(channel, private=private)
                if item.thread is not None
            ),
            reverse=True,
        )
        threads = [item for moment, _, item in dated if before is None or moment < before]
        return self._thread_list(threads[:limit], has_more=len(threads) > limit)

    def _archived_of(self, channel: Channel, *, private: bool) -> list[Channel]:
        return [
            item
            for item in self._state.threads_of(channel.guild_id, parent_id=channel.id)
            if item.thread is not None
            and item.thread.archived
            and (item.kind is ChannelKind.PRIVATE_THREAD) == private
        ]

    def _thread_list(self, threads: list[Channel], *, has_more: bool | None = None) -> Payload:
        mine = [item.id for item in threads if item.thread and self._state.bot.id in item.thread.member_ids]
        body: dict[str, Any] = {
            "threads": [payloads.channel(self._state, item.id) for item in threads],
            "members": [payloads.thread_member(thread_id, self._state.bot.id) for thread_id in mine],
        }
        if has_more is not None:
            body["has_more"] = has_more
        return body


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, 50035, f"Invalid Form Body: before is {text!r}, not ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
