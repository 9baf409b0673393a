"""Prometheus metrics: values looked up for each scrape, and counters of the interface's own requests.

A scrape is answered within two seconds, whatever the database does (see `lookups.py`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.reads.lookups import Lookups
from ingest_pipeline.api.status_metrics import Observed
from ingest_pipeline.errors import IngestError

router = APIRouter(tags=["metrics"])
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
STATUS_HELD_SECONDS = 60.0
FIGURES_HELD_SECONDS = 300.0
"""Counting a large table may take longer than a scrape waits: while the database answers, the last count
is repeated meanwhile."""

_PLAIN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Metrics in the text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class RequestMetrics:
    """Counts and times the requests of an app by route.

    Args:
        app: What answers them.
        registry: Where the metrics are kept.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._count = Counter(
            "ingest_api_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "ingest_api_request_seconds", "Time to answer", ["method", "route"], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "500"

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, noting)
        finally:
            # The router has set it by now; what matches no route shares one label.
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._count.labels(method, route, status).inc()
            self._seconds.labels(method, route).observe(time.perf_counter() - began)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={**documented(), **_PLAIN},
)
async def metrics(request: Request) -> Response:
    """Write all metrics in Prometheus' text format, within two seconds."""
    registry: CollectorRegistry = request.app.state.registry
    observed = await _observe(request.app.state.lookups)
    text = generate_latest(observed) + generate_latest(registry)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _observe(lookups: Lookups) -> Observed:
    """Find out everything at once; without a database nothing that was known before is repeated."""
    answer, status, figures = await asyncio.gather(
        lookups.answer.get(),
        lookups.status.get(held_seconds=STATUS_HELD_SECONDS),
        lookups.figures.get(held_seconds=FIGURES_HELD_SECONDS),
        return_exceptions=True,
    )
    for found in (answer, status, figures):
        if isinstance(found, BaseException) and not isinstance(found, IngestError):
            raise found
    if isinstance(answer, BaseException):
        return Observed(lookups.engine, is_database_up=False)
    return Observed(
        lookups.engine,
        is_database_up=True,
        status=None if isinstance(status, BaseException) else status,
        figures=None if isinstance(figures, BaseException) else figures,
    )
