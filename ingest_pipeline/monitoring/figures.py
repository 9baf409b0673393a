"""Counts for metrics: slower to look up than the status, and bounded in their number of series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest_pipeline.ingestion.polling import ended_within, missing_time
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.session_progress import SessionProgress, session_progress
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import LastVerification, last_verification
from ingest_pipeline.storage.messages.queries import count_by_channel
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.runs.events import ingested_totals, seconds_to_setup
from ingest_pipeline.storage.runs.notifications import notification_totals

FAILED = "failed"
"""The result under which batches that were undone are counted."""

MOST_CHANNELS = 100
MOST_INCOMPLETE = 20
_INCOMPLETE_FOR = timedelta(days=30)
_SETUPS_OF = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts for the metrics.

    Attributes:
        by_source: Live messages by source.
        by_channel: Live messages by channel, of the `MOST_CHANNELS` that hold most.
        in_other_channels: Live messages of all other channels.
        ingested: Messages ever ingested as (source, result, number).
        failed_batches: Batches ever undone, by source.
        to_setup_seconds: From posting to the setup read out of it, in seconds, by quantile, over the
            messages of the last hour; empty without any.
        incomplete: Sessions that ended in the last 30 days and are not proven complete, the last first,
            `MOST_INCOMPLETE` at most.
        verification: The last comparison with Discord, or None.
        notifications: Notifications of the last 30 days as (rule, state, number).
    """

    by_source: Mapping[str, int]
    by_channel: Mapping[int, int]
    in_other_channels: int
    ingested: Sequence[tuple[str, str, int]]
    failed_batches: Mapping[str, int]
    to_setup_seconds: Mapping[float, float]
    incomplete: Sequence[SessionProgress]
    verification: LastVerification | None
    notifications: Sequence[tuple[str, str, int]]


def look_up_figures(services: Services, now: datetime) -> Figures:
    """Count.

    Raises:
        DatabaseBusy: The database is in use elsewhere.
        DatabaseUnavailable: It cannot be reached.
    """
    with services.database.read() as connection:
        counts = count_by_channel(connection)
        by_source: Counter[str] = Counter()
        by_channel: Counter[int] = Counter()
        for channel_id, source, messages in counts:
            by_source[source] += messages
            by_channel[channel_id] += messages
        largest = dict(by_channel.most_common(MOST_CHANNELS))
        totals = ingested_totals(connection)
        return Figures(
            by_source=dict(by_source),
            by_channel=largest,
            in_other_channels=by_channel.total() - sum(largest.values()),
            ingested=[each for each in totals if each[1] != FAILED],
            failed_batches={source: total for source, result, total in totals if result == FAILED},
            to_setup_seconds=seconds_to_setup(connection, since=now - _SETUPS_OF),
            incomplete=_incomplete(connection, services, now),
            verification=last_verification(connection),
            notifications=notification_totals(connection),
        )


def _incomplete(connection: Connection, services: Services, now: datetime) -> list[SessionProgress]:
    recent = ended_within(list_sessions(connection), now, _INCOMPLETE_FOR)
    latest = sorted(recent, key=lambda session: (session.end_time, session.session_id), reverse=True)
    found: list[SessionProgress] = []
    for session in latest:
        if len(found) == MOST_INCOMPLETE:
            break
        if missing_time(connection, session, now):
            found.append(session_progress(connection, session, services.grid, now))
    return found
