"""The browser guard: requests only under our own host names, changes only from our own pages.

A server on this machine has no login, and yet the pages of any site can reach it through their visitor's
browser: by a name that leads here (DNS rebinding, so the `Host` header is looked at) or by sending a request
across sites (so `Sec-Fetch-Site` and `Origin` are; see https://www.w3.org/TR/fetch-metadata/ and
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html).
Programs that are no browser send neither and are let in.

It stands before the HTTP interface and before Dagster's web interface alike, websockets included.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_pipeline.stack.addresses import is_loopback

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY_HOST = "*"
# Orchestrators ask by an address that nobody told us.
PROBES = frozenset({"/livez", "/readyz", "/health", "/server_info"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Dagster's GraphQL changes things with GET, too (dagster-webserver 1.13, graphql.py).
_CHANGING = ("/graphql",)
_OUR_OWN = frozenset({"same-origin", "none"})


def allowed_hosts(host: str, ours: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names that a server answers to, as browsers write them in the `Host` header.

    Args:
        host: The address it listens on.
        ours: Names under which a proxy makes it known.

    Returns:
        On loopback, or with names of ours, nothing but these; elsewhere any.
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
            detail = f"{host!r} is no name of this server: set INGEST_WEB_HOSTS to those that it is known by"
            return _problem(400, "foreign-host", "Bad Request", detail, scope["path"])
        if (is_reading and not path.startswith(_CHANGING)) or self._is_ours(headers, host):
            return None
        detail = "this was asked for by a page of another site"
        return _problem(403, "other-site", "Forbidden", detail, scope["path"])

    def _is_ours(self, headers: Headers, host: str) -> bool:
        """Tell whether a request is one of our own pages' or of a program that is no browser."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site in _OUR_OWN
        if origin is None:
            return True
        came_from = urlsplit(origin)
        # A proxy may listen on another port than it tells of; on this machine each port is another site.
        is_known = _name(came_from.netloc) in self._hosts.difference(LOOPBACK_NAMES)
        return came_from.netloc.lower() == host.lower() or is_known


class Prefixed:
    """Has an application found under a prefix, whether a proxy leaves it in the path or takes it away.

    Args:
        app: The application.
        prefix: The path that it is known under, without a slash at its end.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Stand before an application."""
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        await self._app({**scope, "root_path": self._prefix}, receive, send)


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
