"""Authorization: a token to write, an optional token to read, and the dependencies of each route.

What needs no database is asynchronous, so that it never waits for one of the threads that do.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.responses import Response
from starlette.types import Message, Receive

from ingest_pipeline.api.problems import Refusal
from ingest_pipeline.api.reads.lookups import Lookups
from ingest_pipeline.api.reads.shared_reads import SharedReads
from ingest_pipeline.api.reads.ttl_cache import HotValue
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.status import Status, Totals

LARGEST_BODY_BYTES = 64 * 1024
_LENGTH_DIGITS = 19
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_bearer = HTTPBearer(auto_error=False, description="`INGEST_API_TOKEN`, or `INGEST_API_READ_TOKEN` to read.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def services_of(request: Request) -> Services:
    """Return the working parts of the app that a request is for."""
    services: Services = request.app.state.services
    return services


def status_of(request: Request) -> Status:
    """Return the status of the app that a request is for, at most a second old."""
    status: HotValue[Status] = request.app.state.status
    return status.get()


def totals_of(request: Request) -> Totals:
    """Return the totals of the app that a request is for, at most some seconds old."""
    totals: HotValue[Totals] = request.app.state.totals
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


Parts = Annotated[Services, Depends(services_of)]
HotStatus = Annotated[Status, Depends(status_of)]
HotTotals = Annotated[Totals, Depends(totals_of)]
Shared = Annotated[SharedReads, Depends(shared_of)]
BoundedLookups = Annotated[Lookups, Depends(lookups_of)]
Now = Annotated[datetime, Depends(now_of)]


async def require_reader(services: Parts, credentials: Credentials) -> None:
    """Let those pass who may read; used only when a read token is set.

    Raises:
        Refusal: 401 without a token or with a wrong one.
    """
    settings = services.settings
    _require(credentials, settings.api_read_token, settings.api_token)


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
    detail = f"the body is larger than {LARGEST_BODY_BYTES:,} bytes, and nothing here needs as many"
    return Refusal(413, "body-too-large", detail, {"Connection": "close"})


async def require_writer(services: Parts, credentials: Credentials) -> None:
    """Let those pass who may write.

    Raises:
        Refusal: 403 when nobody may, 401 without a token or with a wrong one.
    """
    token = services.settings.api_token
    if token is None:
        raise Refusal(403, "writing-is-off", "writing is turned off: set INGEST_API_TOKEN and start again")
    _require(credentials, token)


def _require(credentials: HTTPAuthorizationCredentials | None, *allowed: SecretStr | None) -> None:
    if credentials is None:
        detail = "send the token in the header Authorization: Bearer …"
        raise Refusal(401, "token-missing", detail, _CHALLENGE)
    given = credentials.credentials.encode()
    # Every token is compared, in constant time each: how long it takes tells nothing.
    fits = [hmac.compare_digest(given, token.get_secret_value().encode()) for token in allowed if token]
    if not any(fits):
        raise Refusal(401, "token-wrong", "this token is not accepted", _CHALLENGE)
