"""The status and the counts as metrics; `metrics.py` serves them.

Names and units follow https://prometheus.io/docs/practices/naming/. Labels are bounded: live sessions and
`MOST_INCOMPLETE` of those that ended, `MOST_CHANNELS` channels, and words of our own. What is not known is
not a number (NaN), as in a summary without observations: it compares with nothing, so no alert is about it.
"""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_pipeline.bot.running_operations import OPERATIONS
from ingest_pipeline.monitoring.bot_status import BotState, BotStatus
from ingest_pipeline.monitoring.figures import MOST_CHANNELS, Figures
from ingest_pipeline.monitoring.session_progress import SessionProgress
from ingest_pipeline.monitoring.status import Reading, ReadingState, Status
from ingest_pipeline.storage.messages.verifications import LastVerification
from ingest_pipeline.storage.runs.events import QUANTILES


@dataclass(frozen=True, slots=True)
class Observed(Collector):
    """What was found out for one scrape; None for what could not be in time.

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


def _reading(reading: Reading) -> Iterator[Metric]:
    states = GaugeMetricFamily("ingest_reading_state", "How reading goes", labels=["state"])
    for state in ReadingState:
        states.add_metric([state.value], int(reading.state is state))
    yield states
    if reading.last_completed:
        yield _gauge(
            "ingest_last_batch_timestamp_seconds",
            "When a batch was last merged",
            reading.last_completed.created_at.timestamp(),
        )


def _bot(bot: BotStatus) -> Iterator[Metric]:
    states = GaugeMetricFamily("ingest_bot_state", "How the bot is", labels=["state"])
    for state in BotState:
        states.add_metric([state.value], int(bot.state is state))
    yield states
    running = GaugeMetricFamily("ingest_bot_operations", "What the bot is doing", labels=["operation"])
    numbers = Counter(each.tag for each in bot.operations)
    for tag in OPERATIONS:
        running.add_metric([tag], numbers[tag])
    yield running
    yield _gauge(
        "ingest_bot_heartbeat_timestamp_seconds", "When the bot was last alive", _seconds(bot.heartbeat_at)
    )
    yield _gauge("ingest_bot_start_time_seconds", "When the bot's last run began", _seconds(bot.began_at))


def _counts(figures: Figures) -> Iterator[Metric]:
    ingested = CounterMetricFamily(
        "ingest_messages_ingested", "Messages ingested", labels=["source", "result"]
    )
    for source, result, total in figures.ingested:
        ingested.add_metric([source, result], total)
    yield ingested
    failed = CounterMetricFamily("ingest_batches_failed", "Batches that were undone", labels=["source"])
    for source in sorted({each[0] for each in figures.ingested} | figures.failed_batches.keys()):
        failed.add_metric([source], figures.failed_batches.get(source, 0))
    yield failed
    stored = GaugeMetricFamily("ingest_messages_stored", "Live messages in the table", labels=["source"])
    for source, messages in figures.by_source.items():
        stored.add_metric([source], messages)
    yield stored
    channels = GaugeMetricFamily(
        "ingest_channel_messages",
        f"Live messages of the {MOST_CHANNELS} channels that hold most, and of all others together",
        labels=["channel_id"],
    )
    for channel_id, messages in figures.by_channel.items():
        channels.add_metric([str(channel_id)], messages)
    channels.add_metric(["other"], figures.in_other_channels)
    yield channels
    to_setup = GaugeMetricFamily(
        "ingest_message_to_setup_seconds",
        "From posting a message to the setup read out of it, over the last hour",
        labels=["quantile"],
    )
    for quantile in QUANTILES:
        to_setup.add_metric([f"{quantile:g}"], figures.to_setup_seconds.get(quantile, math.nan))
    yield to_setup


def _verification(last: LastVerification | None) -> Iterator[Metric]:
    yield _gauge(
        "ingest_verification_timestamp_seconds",
        "When the table was last compared with Discord",
        _seconds(last.at if last else None),
    )
    exact, deficit, differences = (
        (last.is_exact, last.has_deficit, last.differences) if last else (math.nan, math.nan, math.nan)
    )
    yield _gauge("ingest_verification_exact", "Whether nothing differed then", exact)
    yield _gauge("ingest_verification_deficit", "Whether something was missing then", deficit)
    yield _gauge("ingest_verification_differences", "Messages that differed then", differences)


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else math.nan
