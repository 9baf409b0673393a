"""Discord's REST API for a bot, read only, through discord.py's own HTTP client.

discord.py keeps the rate limits and authenticates; payloads are passed on as Discord sends them, and
every failure becomes one of our errors. What needs no connection to the gateway needs none here:
a login is two requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.errors import (
    AddressBlocked,
    ConfigurationError,
    DiscordUnavailable,
    IntentMissing,
    RateLimited,
)
from ingest_pipeline.sources.discord.errors import MessageGone, translated
from ingest_pipeline.sources.http import proxy_for

if TYPE_CHECKING:
    from discord.http import HTTPClient

Payload = dict[str, Any]
Query = Mapping[str, object]

PAGE_LIMIT = 100
# GATEWAY_MESSAGE_CONTENT and its _LIMITED form, which small bots carry
# (https://docs.discord.com/developers/resources/application, "Application Flags").
_MESSAGE_CONTENT_FLAGS = 1 << 18 | 1 << 19
_ARCHIVES = {
    "public": "/channels/{channel_id}/threads/archived/public",
    "private": "/channels/{channel_id}/threads/archived/private",
    "joined": "/channels/{channel_id}/users/@me/threads/archived/private",
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One answer to a request for messages.

    Attributes:
        messages: Message objects by ascending id.
        requested_at: When the request was sent, aware UTC: a message that is not in the answer was not
            there at some moment after it.
    """

    messages: list[Payload]
    requested_at: datetime


class DiscordRest:
    """The requests this project makes.

    Args:
        http: A client that is logged in, such as a bot's `client.http`, whose rate limits it shares.
        user_id: The bot's user id.
        attempts: How often a request is sent before a transient failure is passed on. discord.py itself
            repeats some (500, 502, 504, 524, 429), but neither a 503 nor a broken connection.
        pause_seconds: Pause after the first failure, doubled after each further one.
    """

    def __init__(
        self, http: HTTPClient, user_id: int, *, attempts: int = 5, pause_seconds: float = 1.0
    ) -> None:
        """Send nothing yet."""
        self._http = http
        self.attempts = attempts
        self.pause_seconds = pause_seconds
        self.user_id = user_id

    async def history(
        self, channel_id: int, *, after: int | None = None, limit: int = PAGE_LIMIT
    ) -> HistoryPage:
        """Read one page of a channel: the oldest messages after an id, or without one the newest.

        An empty page alone proves nothing: Discord answers so, too, when the bot lacks Read
        Message History (https://docs.discord.com/developers/resources/message, "Get Channel Messages").

        Raises:
            ChannelForbidden: The bot does not see the channel.
            ChannelNotFound: The channel is gone.
            DiscordUnavailable: Discord did not answer.
        """
        query = {"limit": limit} if after is None else {"limit": limit, "after": after}
        requested_at = datetime.now(UTC)
        found = await self._list("/channels/{channel_id}/messages", query, channel_id=channel_id)
        return HistoryPage(sorted(found, key=lambda message: int(message["id"])), requested_at)

    async def message(self, channel_id: int, message_id: int) -> tuple[Payload | None, datetime]:
        """Read one message, with the time the request was sent; None when it is deleted.

        Raises:
            ChannelForbidden: The bot does not see the channel or may not read its history.
            ChannelNotFound: The channel is gone.
            DiscordUnavailable: Discord did not answer.
        """
        requested_at = datetime.now(UTC)
        path = "/channels/{channel_id}/messages/{message_id}"
        try:
            return await self._object(path, channel_id=channel_id, message_id=message_id), requested_at
        except MessageGone:
            return None, requested_at

    async def application(self) -> Payload:
        """Return the application the bot belongs to, with `id` and `name`."""
        return await self._object("/oauth2/applications/@me")

    async def guilds(self) -> list[Payload]:
        """Return the guilds the bot is in, as partial guild objects by ascending id."""
        found: list[Payload] = []
        while True:
            after = found[-1]["id"] if found else 0
            page = await self._list("/users/@me/guilds", {"limit": 200, "after": after})
            if not page:
                return found
            found += sorted(page, key=lambda guild: int(guild["id"]))

    async def guild(self, guild_id: int) -> Payload:
        """Return a guild with its roles.

        Raises:
            ChannelForbidden: The bot is not in the guild.
            ChannelNotFound: There is no such guild.
        """
        return await self._object("/guilds/{guild_id}", guild_id=guild_id)

    async def membership(self, guild_id: int) -> Payload:
        """Return the bot's own member object in a guild."""
        path = "/guilds/{guild_id}/members/{user_id}"
        return await self._object(path, guild_id=guild_id, user_id=self.user_id)

    async def channel(self, channel_id: int) -> Payload:
        """Return a channel or thread.

        Raises:
            ChannelForbidden: The bot does not see it.
            ChannelNotFound: It is gone.
        """
        return await self._object("/channels/{channel_id}", channel_id=channel_id)

    async def channels(self, guild_id: int) -> list[Payload]:
        """Return a guild's channels and categories, hidden ones too, threads left out."""
        return await self._list("/guilds/{guild_id}/channels", guild_id=guild_id)

    async def scheduled_events(self, guild_id: int) -> list[Payload]:
        """Return a guild's scheduled events that are not over, those of channels that the bot sees."""
        return await self._list("/guilds/{guild_id}/scheduled-events", guild_id=guild_id)

    async def active_threads(self, guild_id: int) -> list[Payload]:
        """Return the threads of a guild that are not archived and that the bot sees."""
        return _threads(await self._object("/guilds/{guild_id}/threads/active", guild_id=guild_id))

    async def archived_threads(self, channel_id: int, kind: str) -> list[Payload]:
        """Return a channel's archived threads of one kind, all of them.

        Args:
            channel_id: A text, news or forum channel.
            kind: `public`, `private` (which takes Manage Threads) or `joined` (the private ones that
                the bot is a member of).

        Raises:
            ChannelForbidden: The bot lacks a permission that the kind takes.
        """
        found: dict[str, Payload] = {}
        query: dict[str, object] = {"limit": PAGE_LIMIT}
        while True:
            answer = await self._object(_ARCHIVES[kind], query, channel_id=channel_id)
            threads = _threads(answer)
            unseen = [thread for thread in threads if thread["id"] not in found]
            found.update((thread["id"], thread) for thread in unseen)
            if not threads or not answer.get("has_more"):
                return list(found.values())
            query["before"] = _bound(threads, by_id=kind == "joined", strict=not unseen)

    async def _object(self, path: str, query: Query | None = None, **ids: int) -> Payload:
        return await self._get(path, dict, query, ids)  # type: ignore[no-any-return]

    async def _list(self, path: str, query: Query | None = None, **ids: int) -> list[Payload]:
        return await self._get(path, list, query, ids)  # type: ignore[no-any-return]

    async def _get(self, path: str, kind: type, query: Query | None, ids: dict[str, int]) -> Any:
        backoff = Backoff(self.pause_seconds)
        for attempt in range(1, self.attempts):
            try:
                return await self._get_once(path, kind, query, ids)
            except (RateLimited, AddressBlocked):
                raise
            except DiscordUnavailable as error:
                pause = backoff.delay(attempt)
                _logger.info("%s; trying again in %.1f s", error, pause)
                await asyncio.sleep(pause)
        return await self._get_once(path, kind, query, ids)

    async def _get_once(self, path: str, kind: type, query: Query | None, ids: dict[str, int]) -> Any:
        from discord.http import Route

        where = path.format(**ids)
        try:
            answer = await self._http.request(Route("GET", path, metadata=None, **ids), params=query)
        except Exception as error:
            raise translated(error, where) from error
        if not isinstance(answer, kind):
            raise DiscordUnavailable(
                f"Discord answered GET {where} with something other than JSON: try again later"
            )
        return answer


@asynccontextmanager
async def open_rest(token: SecretStr | None) -> AsyncIterator[DiscordRest]:
    """Log a bot in, without a connection to the gateway, and log it out afterwards.

    Raises:
        ConfigurationError: There is no token, or the environment names a proxy that cannot be used.
        TokenRejected: Discord does not accept it.
        IntentMissing: The bot lacks the message content intent: Discord would answer with messages
            without their content.
        DiscordUnavailable: Discord did not answer.
    """
    from discord.http import HTTPClient, Route

    if token is None:
        raise ConfigurationError(
            "DISCORD_BOT_TOKEN is not set: put the bot's token into .env "
            "(https://discord.com/developers/applications, Bot, Reset Token)"
        )
    http = HTTPClient(asyncio.get_running_loop(), proxy=proxy_for(Route.BASE))
    try:
        try:
            user = await http.static_login(token.get_secret_value().strip())
            application = await http.request(Route("GET", "/oauth2/applications/@me"))
        except Exception as error:
            raise translated(error, "/users/@me") from error
        require_message_content(application)
        yield DiscordRest(http, int(user["id"]))
    finally:
        await http.close()


def require_message_content(application: Mapping[str, Any]) -> None:
    """Check that Discord sends a bot the content of messages.

    Args:
        application: The bot's application object.

    Raises:
        IntentMissing: It does not.
    """
    if not int(application.get("flags") or 0) & _MESSAGE_CONTENT_FLAGS:
        raise IntentMissing(
            f"application {application.get('id')} lacks the message content intent, without which Discord "
            "sends messages without their content: switch it on at "
            "https://discord.com/developers/applications under Bot, Privileged Gateway Intents"
        )


def _threads(answer: Payload) -> list[Payload]:
    """Return the threads of an answer, each with the bot's membership if it has one."""
    members = {member["id"]: member for member in answer.get("members", ()) if "id" in member}
    return [
        {**thread, "member": members[thread["id"]]} if thread["id"] in members else thread
        for thread in answer["threads"]
    ]


def _bound(threads: list[Payload], *, by_id: bool, strict: bool) -> str:
    """Return the `before` of the next page; `strict` if all of the last page was known already."""
    if by_id:
        return str(min(int(thread["id"]) for thread in threads))
    last = min(datetime.fromisoformat(thread["thread_metadata"]["archive_timestamp"]) for thread in threads)
    # Threads can share an archive time and the bound is exclusive: begin just above the last time seen.
    return (last if strict else last + datetime.resolution).isoformat()
