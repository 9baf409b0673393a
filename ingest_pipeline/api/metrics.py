"""Prometheus metrics: gauges from the status, counters of the interface's own requests.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_pipeline.api.problems import documented
from ingest_pipeline.errors import TransientError
from ingest_pipeline.monitoring.bot_status import BotState
from ingest_pipeline.monitoring.status import ReadingState, Status, Totals

router = APIRouter(tags=["metrics"])
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_PLAIN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Metrics in the text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class StatusCollector:
    """Turns the status into metrics at every scrape.

    Args:
        status: Returns the status.
        totals: Returns the totals.
    """

    def __init__(self, status: Callable[[], Status], totals: Callable[[], Totals]) -> None:
        self._status = status
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; without a database only that it is down."""
        try:
            status, totals = self._status(), self._totals()
        except TransientError:
            yield GaugeMetricFamily("ingest_database_up", "Whether the database can be read", value=0)
            return
        yield GaugeMetricFamily("ingest_database_up", "Whether the database can be read", value=1)
        yield from _tables(totals)
        yield from _sessions(status)
        yield from _states(status)


def _tables(totals: Totals) -> Iterator[Metric]:
    ingested = CounterMetricFamily(
        "ingest_messages_ingested", "Messages ingested", labels=["source", "result"]
    )
    for source, result, total in totals.ingested:
        ingested.add_metric([source, result], total)
    yield ingested
    stored = GaugeMetricFamily("ingest_messages_stored", "Live messages in the table", labels=["source"])
    for source, count in totals.messages.items():
        stored.add_metric([source], count)
    yield stored


def _sessions(status: Status) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "ingest_lag_seconds",
        "How far a session's newest proof is behind",
        labels=["session_id"],
    )
    gap = GaugeMetricFamily(
        "ingest_channel_coverage_gap_seconds",
        "How much of a session so far is not proven in a channel",
        labels=["session_id", "channel_id"],
    )
    messages = GaugeMetricFamily(
        "ingest_session_messages", "Live messages of a session", labels=["session_id"]
    )
    for progress in (*status.live, *([status.latest] if status.latest else [])):
        session_id = progress.session.session_id
        lag.add_metric([session_id], progress.lag_seconds)
        messages.add_metric([session_id], progress.messages)
        for channel_id, seconds in progress.channel_gap_seconds.items():
            gap.add_metric([session_id, str(channel_id)], seconds)
    yield lag
    yield gap
    yield messages
    yield GaugeMetricFamily("ingest_live_sessions", "Sessions that are live", value=len(status.live))


def _states(status: Status) -> Iterator[Metric]:
    reading = GaugeMetricFamily("ingest_reading_state", "How reading goes", labels=["state"])
    for reading_state in ReadingState:
        reading.add_metric([reading_state.value], int(status.reading.state is reading_state))
    yield reading
    bot = GaugeMetricFamily("ingest_bot_state", "How the bot is", labels=["state"])
    for bot_state in BotState:
        bot.add_metric([bot_state.value], int(status.bot.state is bot_state))
    yield bot
    if status.bot.heartbeat_at:
        yield GaugeMetricFamily(
            "ingest_bot_heartbeat_timestamp_seconds",
            "When the bot was last alive",
            value=status.bot.heartbeat_at.timestamp(),
        )
    if status.reading.last_completed:
        yield GaugeMetricFamily(
            "ingest_last_batch_timestamp_seconds",
            "When a batch was last merged",
            value=status.reading.last_completed.created_at.timestamp(),
        )


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
def metrics(request: Request) -> Response:
    """Write all metrics in Prometheus' text format."""
    registry: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
