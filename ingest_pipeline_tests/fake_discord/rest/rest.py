"""REST over HTTP: routing, authorisation, faults, rate limits and headers around ``answers.py``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from ingest_pipeline_tests.fake_discord.faults import Faults, RequestFault, RequestFaultKind, wait_out
from ingest_pipeline_tests.fake_discord.journal import Journal, RequestRecord
from ingest_pipeline_tests.fake_discord.rest.answers import Answers, ApiError, Call
from ingest_pipeline_tests.fake_discord.rest.rate_limits import RateLimits, refusal_headers
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.transport import reset_connection

PREFIX = "/api/v10"

ROUTES: dict[str, tuple[str, ...]] = {
    "current_user": ("/users/@me",),
    "application": ("/oauth2/applications/@me", "/applications/@me"),
    "gateway_bot": ("/gateway/bot",),
    "my_guilds": ("/users/@me/guilds",),
    "user": ("/users/{user_id}",),
    "guild": ("/guilds/{guild_id}",),
    "guild_channels": ("/guilds/{guild_id}/channels",),
    "scheduled_events": ("/guilds/{guild_id}/scheduled-events",),
    "guild_roles": ("/guilds/{guild_id}/roles",),
    "guild_member": ("/guilds/{guild_id}/members/{user_id}",),
    "active_threads": ("/guilds/{guild_id}/threads/active",),
    "channel": ("/channels/{channel_id}",),
    "history": ("/channels/{channel_id}/messages",),
    "pins": ("/channels/{channel_id}/messages/pins",),
    "message": ("/channels/{channel_id}/messages/{message_id}",),
    "reaction_users": ("/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",),
    "archived_public_threads": ("/channels/{channel_id}/threads/archived/public",),
    "archived_private_threads": ("/channels/{channel_id}/threads/archived/private",),
    "joined_private_threads": ("/channels/{channel_id}/users/@me/threads/archived/private",),
    "thread_members": ("/channels/{channel_id}/thread-members",),
}
"""Short names, as ``Requests.route`` and ``Journal.select`` know them, and the paths they stand for."""

_CUT = -1
_VIA = {"Via": "1.1 google"}
_HTML = "<html><head><title>{status}</title></head><body>cloudflare</body></html>"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest:
    """The HTTP side of the server."""

    def __init__(
        self,
        state: GuildState,
        faults: Faults,
        journal: Journal,
        limits: RateLimits,
        answers: Answers,
        token: str,
    ) -> None:
        """Answer clients that know ``token``."""
        self._state = state
        self._faults = faults
        self._journal = journal
        self._limits = limits
        self._answers = answers
        self._token = token

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put every endpoint below ``/api/v10``; whatever else is asked for is answered 404."""
        for name, paths in ROUTES.items():
            for path in paths:
                pattern = path.replace("_id}", r"_id:\d+}")
                router.add_get(PREFIX + pattern, self._handler(name), allow_head=False)
        router.add_route("*", PREFIX + "/{path:.*}", self._handler(""))

    def _handler(self, route: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            record = _record(route, request)
            with self._journal.change():
                self._journal.requests.append(record)
            response = await self._respond(request, record)
            with self._journal.change():
                record.status = record.status or response.status
            return response

        return handle

    async def _respond(self, request: web.Request, record: RequestRecord) -> web.StreamResponse:
        truncated = False
        for fault in self._faults.striking(record):
            if fault.kind is RequestFaultKind.RESET:
                record.status = _CUT
                reset_connection(request.transport)
                return web.Response(status=503)
            truncated = fault.kind is RequestFaultKind.TRUNCATED
            response = await self._strike(fault, record)
            if response is not None:
                return response
        if record.route == "history":
            await wait_out(lambda: self._faults.page_delay_seconds)
        response = self._answer(request, record)
        return await _send_half(request, record, response) if truncated else response

    async def _strike(self, fault: RequestFault, record: RequestRecord) -> web.Response | None:
        if fault.action is not None:
            fault.action(record)
        elif fault.kind is RequestFaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        elif fault.kind is RequestFaultKind.STATUS:
            return self._json({"message": f"{fault.status}: injected", "code": 0}, fault.status, _VIA)
        elif fault.kind is RequestFaultKind.HTML:
            page = _HTML.format(status=fault.status)
            return web.Response(text=page, status=fault.status, content_type="text/html", headers=_VIA)
        elif fault.kind is RequestFaultKind.RATE_LIMITED:
            headers = refusal_headers(fault.seconds, fault.scope) | (_VIA if fault.via else {})
            return self._too_many(fault.seconds, headers, is_global=fault.scope == "global")
        return None

    def _answer(self, request: web.Request, record: RequestRecord) -> web.Response:
        if self._faults.reject_token or request.headers.get("Authorization") != f"Bot {self._token}":
            return self._json({"message": "401: Unauthorized", "code": 0}, 401, _VIA)
        verdict = self._limits.take(record.route, record.channel_id or record.guild_id)
        headers = _VIA | verdict.headers
        if verdict.retry_after_seconds is not None:
            return self._too_many(verdict.retry_after_seconds, headers, is_global=verdict.is_global)
        try:
            body = self._look_up(request, record)
        except ApiError as error:
            return self._json({"message": error.message, "code": error.code}, error.status, headers)
        if record.route == "history":
            record.messages = len(body)
        return self._json(body, 200, headers)

    def _look_up(self, request: web.Request, record: RequestRecord) -> Any:
        if not record.route:
            raise ApiError(404, 0, "404: Not Found")
        ids = {key: int(value) for key, value in request.match_info.items() if key.endswith("_id")}
        call = Call(ids, record.query, request.match_info.get("emoji", ""))
        with self._state.lock:
            return getattr(self._answers, record.route)(call)

    def _too_many(self, seconds: float, headers: Mapping[str, str], *, is_global: bool) -> web.Response:
        body = {
            "message": "You are being rate limited.",
            "retry_after": round(seconds, 3),
            "global": is_global,
        }
        return self._json(body, 429, headers)

    def _json(self, body: Any, status: int, headers: Mapping[str, str]) -> web.Response:
        # discord.py parses a body only if its type is exactly this, without a charset.
        exact = {"Content-Type": "application/json", "Date": self._date()}
        return web.Response(body=json.dumps(body).encode(), status=status, headers={**headers, **exact})

    def _date(self) -> str:
        return format_datetime(self._state.clock.now(), usegmt=True)


def _record(route: str, request: web.Request) -> RequestRecord:
    ids = request.match_info
    return RequestRecord(
        route=route,
        method=request.method,
        path=request.path.removeprefix(PREFIX),
        query=dict(request.query),
        at_seconds=time.monotonic(),
        channel_id=int(ids["channel_id"]) if "channel_id" in ids else None,
        guild_id=int(ids["guild_id"]) if "guild_id" in ids else None,
    )


async def _send_half(request: web.Request, record: RequestRecord, whole: web.Response) -> web.StreamResponse:
    record.status = _CUT
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
