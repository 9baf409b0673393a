"""Access: hosts and origins, tokens of readers and writers, and what every route may depend on.

What needs no database is asynchronous, so that it never waits for one of the threads that do.

A server on this machine has no login, and yet the pages of any site can reach it through their visitor's
browser: by a name that leads here (DNS rebinding, so the `Host` header is looked at) or by sending a request
across sites (so `Sec-Fetch-Site` and `Origin` are; see https://www.w3.org/TR/fetch-metadata/ and
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html).
Programs that are no browser send neither and are let in.

The guard stands before the HTTP interface and before Dagster's web interface alike, websockets included.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_pipeline.api.problems import Refusal
from ingest_pipeline.api.reads import Lookups, SharedReads, TtlCache
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.status import Status, Totals
from ingest_pipeline.stack.deployment import is_loopback

LARGEST_BODY_BYTES = 64 * 1024
_LENGTH_DIGITS = 19
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_bearer = HTTPBearer(auto_error=False, description="`INGEST_API_TOKEN`, or `INGEST_API_READ_TOKEN` to read.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY_HOST = "*"
VERSION = "/v1"
# Orchestrators ask by an address that no setting names.
PROBES = frozenset({"/livez", "/readyz", "/health", "/server_info"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Dagster's GraphQL changes things with GET, too (dagster-webserver 1.13, graphql.py).
_CHANGING = ("/graphql",)
_OUR_OWN = frozenset({"same-origin", "none"})


async def services_of(request: Request) -> Services:
    """Return the working parts of the app that a request is for."""
    services: Services = request.app.state.services
    return services


def status_of(request: Request) -> Status:
    """Return the status of the app that a request is for, at most a second old."""
    status: TtlCache[Status] = request.app.state.status
    return status.get()


def totals_of(request: Request) -> Totals:
    """Return the totals of the app that a request is for, at most some seconds old."""
    totals: TtlCache[Totals] = request.app.state.totals
    return totals.get()


async def shared_of(request: Request) -> SharedReads:
    """Return the answers that the app a request is for shares."""
    shared: SharedReads = request.app.state.shared
    return shared


async def lookups_of(request: Request) -> Lookups:
    """Return the look-ups of the app that a request is for."""
    lookups: Lookups = request.app.state.lookups
    return lookups


async def now_of(request: Request) -> datetime:
    """Return the present, aware UTC, by the clock of the app that a request is for."""
    now: datetime = request.app.state.clock()
    return now


ServicesDep = Annotated[Services, Depends(services_of)]
HotStatus = Annotated[Status, Depends(status_of)]
HotTotals = Annotated[Totals, Depends(totals_of)]
Shared = Annotated[SharedReads, Depends(shared_of)]
BoundedLookups = Annotated[Lookups, Depends(lookups_of)]
Now = Annotated[datetime, Depends(now_of)]


async def require_reader(services: ServicesDep, credentials: Credentials) -> None:
    """Let those pass who may read; used only when a read token is set.

    Raises:
        Refusal: 401 without a token or with a wrong one.
    """
    settings = services.settings
    require_token(credentials, settings.api_read_token, settings.api_token)


class WritingRoute(APIRoute):
    """A route of those who may write: the token is looked at before anything of the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await require_writer(await services_of(request), await _bearer(request))
            if _stated_bytes(request) > LARGEST_BODY_BYTES:
                raise _too_large()
            return await answer(Request(request.scope, _bounded(request.receive)))

        return guarded


def _bounded(receive: Receive) -> Receive:
    """Return what receives a body, up to a size: not everybody states it, or the truth."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY_BYTES:
            raise _too_large()
        return message

    return bounded


def _stated_bytes(request: Request) -> int:
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isdecimal() and len(stated) < _LENGTH_DIGITS else 0


def _too_large() -> Refusal:
    # What is still to come of the body is not waited for.
    detail = f"the body is larger than {LARGEST_BODY_BYTES:,} bytes, the limit"
    return Refusal(413, "body-too-large", detail, {"Connection": "close"})


async def require_writer(services: ServicesDep, credentials: Credentials) -> None:
    """Let those pass who may write.

    Raises:
        Refusal: 403 when nobody may, 401 without a token or with a wrong one.
    """
    token = services.settings.api_token
    if token is None:
        raise Refusal(403, "writing-is-off", "writing is turned off: set INGEST_API_TOKEN and start again")
    require_token(credentials, token)


def require_token(credentials: HTTPAuthorizationCredentials | None, *allowed: SecretStr | None) -> None:
    """Let those pass who send one of some tokens.

    Raises:
        Refusal: 401 without a token or with a wrong one.
    """
    if credentials is None:
        detail = "send the token in the header Authorization: Bearer …"
        raise Refusal(401, "token-missing", detail, _CHALLENGE)
    given = credentials.credentials.encode()
    # Every token is compared, in constant time each: the time it takes discloses nothing.
    fits = [hmac.compare_digest(given, token.get_secret_value().encode()) for token in allowed if token]
    if not any(fits):
        raise Refusal(401, "token-wrong", "this token is not accepted", _CHALLENGE)


def allowed_hosts(host: str, ours: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names that a server answers to, as browsers write them in the `Host` header.

    Args:
        host: The address it listens on.
        ours: Names under which a proxy makes it known.

    Returns:
        On loopback, or with names of this project, nothing but these; elsewhere any.
    """
    if not ours and not is_loopback(host):
        return (ANY_HOST,)
    own = f"[{host}]" if ":" in host else host
    return tuple(dict.fromkeys((*LOOPBACK_NAMES, own, *(name.lower() for name in ours))))


class Guard:
    """Refuses requests under foreign names (400) and changes that another site's page asks for (403).

    Args:
        app: What is behind it.
        hosts: The names that are answered, as `allowed_hosts` returns them.
        prefix: The path under which a proxy makes it known, without a slash at its end.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], prefix: str = "") -> None:
        """Stand before an application."""
        self._app, self._hosts, self._prefix = app, frozenset(hosts), prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or hand it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": "not from here"})

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers, path = Headers(scope=scope), scope["path"].removeprefix(self._prefix)
        host = headers.get("host", "")
        is_reading = scope["type"] == "http" and scope["method"] in _READING
        if path in PROBES and is_reading:
            return None
        if ANY_HOST not in self._hosts and _name(host) not in self._hosts:
            detail = f"{host!r} is not a name of this server: add it to INGEST_WEB_HOSTS if a proxy uses it"
            return _problem(400, "foreign-host", "Bad Request", detail, scope["path"])
        if (is_reading and not path.startswith(_CHANGING)) or self._is_ours(headers, host):
            return None
        detail = "this was asked for by a page of another site"
        return _problem(403, "other-site", "Forbidden", detail, scope["path"])

    def _is_ours(self, headers: Headers, host: str) -> bool:
        """Return whether a request is one of our own pages' or of a program that is no browser."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site in _OUR_OWN
        if origin is None:
            return True
        came_from = urlsplit(origin)
        # A proxy may listen on another port than it forwards; on this machine each port is another site.
        is_known = _name(came_from.netloc) in self._hosts.difference(LOOPBACK_NAMES)
        return came_from.netloc.lower() == host.lower() or is_known


class Prefixed:
    """Has an application found under a prefix, whether a proxy leaves it in the path or takes it away.

    Paths begin with the interface's version (`/v1/messages`) or, as before it had one, do not (`/messages`).

    Args:
        app: The application.
        prefix: The path that it is known under, without a slash at its end.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Stand before an application."""
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        path: str = scope.get("path", "")
        before, versioned, rest = path.partition(f"{VERSION}/")
        if versioned and before in {"", self._prefix}:
            path = f"{before}/{rest}"
        await self._app({**scope, "root_path": self._prefix, "path": path}, receive, send)


def _name(host: str) -> str:
    """Return a `Host` header without its port, in small letters."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _problem(status: int, kind: str, title: str, detail: str, path: str) -> JSONResponse:
    """Return a problem as `problems.py` describes it; the guard stands before what that needs."""
    body = {
        "type": f"urn:ingest:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": path,
    }
    return JSONResponse(body, status, media_type="application/problem+json")
