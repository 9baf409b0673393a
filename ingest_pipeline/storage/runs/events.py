"""The table of events: written in the transaction of the change they report, read by journey."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.erasures import NOTHING_ERASED, Subject
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.events import Event, EventChannel, content_event
from ingest_pipeline.redaction import redacted
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import erasures_in

QUANTILES = (0.5, 0.95, 1.0)
Place = tuple[datetime, str]
"""Where a page of a list by time ends: the time (aware UTC) and the id of its last line."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Filters of events; None matches any.

    Attributes:
        channel: Their subject.
        event_type: What happened.
        source: Who reports it.
        session_id: The session it is about.
        correlation_id: The journey it belongs to.
        since: Happened then or later, aware UTC.
        until: Happened earlier, aware UTC.
    """

    channel: EventChannel | None = None
    event_type: str | None = None
    source: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def publish(connection: Connection, events: Sequence[Event]) -> None:
    """Write events.

    Args:
        connection: The write transaction of what they report. Log them (`log_events`) when it is
            committed, not before: it may be undone and tried again.
        events: In the order they happened.
    """
    events = _of_stored(connection, events)
    if not events:
        return
    connection.execute(
        "insert_events",
        event_ids=[event.event_id for event in events],
        correlation_ids=[event.correlation_id for event in events],
        event_types=[event.event_type.value for event in events],
        channels=[event.event_type.channel.value for event in events],
        sources=[event.source for event in events],
        message_ids=[event.message_id for event in events],
        session_ids=[event.session_id for event in events],
        run_ids=[event.run_id for event in events],
        datas=[json.dumps(redacted(event.data), default=str) for event in events],
        created_ats=[event.created_at for event in events],
    )


def _of_stored(connection: Connection, events: Sequence[Event]) -> Sequence[Event]:
    """Leave out events about messages that were erased."""
    ids = {event.message_id for event in events if event.message_id is not None}
    erasures = erasures_in(connection) if ids else NOTHING_ERASED
    erased = erasures.erased_ids(Subject.MESSAGE, ids) | erasures.erased_ids(Subject.DELETED, ids)
    return [event for event in events if event.message_id not in erased] if erased else events


def events_of_journey(connection: Connection, correlation_id: str) -> list[Event]:
    """Return the events of one journey, the first first."""
    return [_event(row) for row in connection.fetch_all("events_of_journey", correlation_id=correlation_id)]


def events_of_message(connection: Connection, message_id: int) -> list[Event]:
    """Return the events about one message, the first first."""
    return [_event(row) for row in connection.fetch_all("events_of_message", message_id=message_id)]


def latest_events(
    connection: Connection, *, channel: EventChannel | None = None, limit: int = 50
) -> list[Event]:
    """Return the latest events, of one channel or of all, newest first."""
    return search_events(connection, EventFilter(channel), limit=limit)


def search_events(
    connection: Connection, wanted: EventFilter, *, after: Place | None = None, limit: int = 50
) -> list[Event]:
    """Return events, newest first.

    Args:
        wanted: Which.
        after: The end of the page before: the time and id of its last event.
        limit: How many at most.
    """
    channel = None if wanted.channel is None else wanted.channel.value
    rows = connection.fetch_all(
        "search_events", **{**asdict(wanted), "channel": channel}, **_end(after), maximum=limit
    )
    return [_event(row) for row in rows]


def list_journeys(
    connection: Connection,
    *,
    status: str | None = None,
    source: str | None = None,
    session_id: str | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return the journeys of batches, the one that began last first; None as a filter matches any.

    Args:
        status: `completed`, `failed`, or `started` for one that has no end: it runs, or was cut off.
        source: Who reports it.
        session_id: The session it is about.
        after: The end of the page before: the time and id of its last journey.
        limit: How many at most.

    Returns:
        `correlation_id`, `status`, `source`, `session_id`, `run_id`, `started_at` and `last_event_at`
        (aware UTC), `created` and `updated` messages, and the `error` of one that failed.
    """
    return connection.fetch_all(
        "list_journeys", status=status, source=source, session_id=session_id, **_end(after), maximum=limit
    )


def _end(place: Place | None) -> dict[str, Any]:
    last_at, last_id = place or (None, None)
    return {"last_at": last_at, "last_id": last_id}


def ingested_totals(connection: Connection) -> list[tuple[str, str, int]]:
    """Return how many messages were ever ingested, by source and result, forgotten events included.

    Under the result `failed` are batches that were undone.
    """
    rows = connection.fetch_all("ingested_totals")
    return [(row["source"], row["result"], int(row["total"])) for row in rows]


def seconds_to_setup(connection: Connection, *, since: datetime) -> dict[float, float]:
    """Return how long it took from the posting of a message to the setup read out of it.

    Args:
        since: Messages posted then or later count, aware UTC.

    Returns:
        Seconds by quantile (see `QUANTILES`), 1 being the longest; empty when there was no setup.
    """
    row = connection.fetch_one("seconds_to_setup", since=since, lowest_id=first_id_at(since))
    if row is None or not row["setups"]:
        return {}
    found = (float(row[name]) for name in ("median", "high", "highest"))
    return dict(zip(QUANTILES, found, strict=True))


def forget_events(connection: Connection, before: datetime) -> int:
    """Delete the events that happened before a time; their counts stay in the totals.

    Returns:
        How many there were.
    """
    connection.execute("fold_totals", before=before)
    return connection.execute("delete_events", before=before)


def count_events(connection: Connection, before: datetime) -> int:
    """Count the events that `forget_events` would delete."""
    row = connection.fetch_one("count_events", before=before)
    return int(row["n"]) if row else 0


def _event(row: dict[str, Any]) -> Event:
    return Event(
        event_type=content_event(row["event_type"]),
        correlation_id=row["correlation_id"],
        source=row["source"],
        created_at=row["created_at"],
        message_id=row["message_id"],
        session_id=row["session_id"],
        run_id=row["run_id"],
        data=json.loads(row["data"]),
        event_id=row["event_id"],
    )
