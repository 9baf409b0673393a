"""Metrics for Prometheus: requests, and the state of the bot, the sessions and the database.

A scrape is answered within two seconds, whatever the database does.

Names and units follow https://prometheus.io/docs/practices/naming/. Labels are bounded: live sessions and
`MOST_INCOMPLETE` of those that ended, `MOST_CHANNELS` channels, and words of our own. What is not known is
not a number (NaN), as in a summary without observations: it compares with nothing, so no alert is about it.
"""

from __future__ import annotations

import asyncio
import collections
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.reads import Lookups
from ingest_pipeline.bot.heartbeat import OPERATIONS
from ingest_pipeline.errors import IngestError
from ingest_pipeline.monitoring.figures import MOST_CHANNELS, Figures
from ingest_pipeline.monitoring.session_progress import SessionProgress
from ingest_pipeline.monitoring.status import BotState, BotStatus, IngestHealth, IngestState, Status
from ingest_pipeline.storage.messages.coverage import LastVerification
from ingest_pipeline.storage.runs.events import QUANTILES

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


@dataclass(frozen=True, slots=True)
class Observed(Collector):
    """The values of one scrape; None for values that were not available in time.

    Attributes:
        engine: `duckdb` or `postgres`.
        is_database_up: Whether the database answers.
        status: How everything is.
        figures: What is counted.
    """

    engine: str
    is_database_up: bool
    status: Status | None = None
    figures: Figures | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; without a database only that it is down."""
        build = {"version": project_version(), "python": platform.python_version(), "engine": self.engine}
        yield InfoMetricFamily("ingest_build", "What is running", value=build)
        yield _gauge("ingest_database_up", "Whether the database answers", self.is_database_up)
        if self.status:
            yield from _sessions(self.status, self.figures)
            yield from _reading(self.status.reading)
            yield from _bot(self.status.bot)
        if self.figures:
            yield from _counts(self.figures)
            yield from _verification(self.figures.verification)


@cache
def project_version() -> str:
    """Return the version that is installed, or `unknown` when the project runs from its folder alone."""
    try:
        return version("ingest_pipeline")
    except PackageNotFoundError:
        return "unknown"


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)


def _sessions(status: Status, figures: Figures | None) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "ingest_lag_seconds",
        "How far a session's newest proof is behind now, or behind its end",
        labels=["session_id", "state"],
    )
    gap = GaugeMetricFamily(
        "ingest_channel_coverage_gap_seconds",
        "How much of a session so far is not proven in a channel",
        labels=["session_id", "channel_id", "state"],
    )
    messages = GaugeMetricFamily(
        "ingest_session_messages", "Live messages of a session", labels=["session_id", "state"]
    )
    for state, progress in _observed_sessions(status, figures):
        session_id = progress.session.session_id
        lag.add_metric([session_id, state], progress.lag_seconds)
        messages.add_metric([session_id, state], progress.messages)
        gaps = sorted(progress.channel_gap_seconds.items(), key=lambda each: (-each[1], each[0]))
        for channel_id, seconds in gaps[:MOST_CHANNELS]:
            gap.add_metric([session_id, str(channel_id), state], seconds)
    yield lag
    yield gap
    yield messages
    yield _gauge("ingest_live_sessions", "Sessions that are live", len(status.live))
    if figures:
        yield _gauge(
            "ingest_incomplete_sessions",
            "Sessions that ended in the last 30 days and are not proven complete",
            len(figures.incomplete),
        )


def _observed_sessions(status: Status, figures: Figures | None) -> Iterator[tuple[str, SessionProgress]]:
    """Yield the live sessions, the last that ended, and those before it that are incomplete; each once."""
    seen = set()
    ended = [*([status.latest] if status.latest else []), *(figures.incomplete if figures else [])]
    for state, sessions in (("live", status.live), ("ended", ended)):
        for progress in sessions:
            if progress.session.session_id not in seen:
                seen.add(progress.session.session_id)
                yield state, progress


def _reading(reading: IngestHealth) -> Iterator[Metric]:
    states = GaugeMetricFamily("ingest_reading_state", "How reading goes", labels=["state"])
    for state in IngestState:
        states.add_metric([state.value], int(reading.state is state))
    yield states
    if reading.last_completed:
        yield _gauge(
            "ingest_last_batch_timestamp_seconds",
            "Time of the last merge",
            reading.last_completed.created_at.timestamp(),
        )


def _bot(bot: BotStatus) -> Iterator[Metric]:
    states = GaugeMetricFamily("ingest_bot_state", "How the bot is", labels=["state"])
    for state in BotState:
        states.add_metric([state.value], int(bot.state is state))
    yield states
    running = GaugeMetricFamily("ingest_bot_operations", "What the bot is doing", labels=["operation"])
    numbers = collections.Counter(each.tag for each in bot.operations)
    for tag in OPERATIONS:
        running.add_metric([tag], numbers[tag])
    yield running
    yield _gauge(
        "ingest_bot_heartbeat_timestamp_seconds",
        "Time of the bot's last heartbeat",
        _seconds(bot.heartbeat_at),
    )
    yield _gauge("ingest_bot_start_time_seconds", "Time of the bot's last start", _seconds(bot.began_at))


def _counts(figures: Figures) -> Iterator[Metric]:
    ingested = CounterMetricFamily(
        "ingest_messages_ingested", "Messages ingested", labels=["source", "result"]
    )
    for source, result, total in figures.ingested:
        ingested.add_metric([source, result], total)
    yield ingested
    failed = CounterMetricFamily(
        "ingest_batches_failed", "Batches that failed and were rolled back", labels=["source"]
    )
    for source in sorted({each[0] for each in figures.ingested} | figures.failed_batches.keys()):
        failed.add_metric([source], figures.failed_batches.get(source, 0))
    yield failed
    notifications = GaugeMetricFamily(
        "ingest_notifications",
        "Notifications of the last 30 days, by what became of them",
        labels=["rule", "state"],
    )
    for rule, state, number in figures.notifications:
        notifications.add_metric([rule, state], number)
    yield notifications
    stored = GaugeMetricFamily("ingest_messages_stored", "Live messages in the table", labels=["source"])
    for source, messages in figures.by_source.items():
        stored.add_metric([source], messages)
    yield stored
    channels = GaugeMetricFamily(
        "ingest_channel_messages",
        f"Live messages of the {MOST_CHANNELS} largest channels, and of all others together",
        labels=["channel_id"],
    )
    for channel_id, messages in figures.by_channel.items():
        channels.add_metric([str(channel_id)], messages)
    channels.add_metric(["other"], figures.in_other_channels)
    yield channels
    to_setup = GaugeMetricFamily(
        "ingest_message_to_setup_seconds",
        "Time from a message's posting to its trade setup, over the last hour",
        labels=["quantile"],
    )
    for quantile in QUANTILES:
        to_setup.add_metric([f"{quantile:g}"], figures.to_setup_seconds.get(quantile, math.nan))
    yield to_setup


def _verification(last: LastVerification | None) -> Iterator[Metric]:
    yield _gauge(
        "ingest_verification_timestamp_seconds",
        "Time of the last comparison with Discord",
        _seconds(last.at if last else None),
    )
    exact, deficit, differences = (
        (last.is_exact, last.has_deficit, last.differences) if last else (math.nan, math.nan, math.nan)
    )
    yield _gauge("ingest_verification_exact", "Whether nothing differed in the last comparison", exact)
    yield _gauge(
        "ingest_verification_deficit", "Whether something was missing in the last comparison", deficit
    )
    yield _gauge(
        "ingest_verification_differences", "Messages that differed in the last comparison", differences
    )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else math.nan


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
    """Look everything up at once; without a database no earlier value is repeated."""
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
