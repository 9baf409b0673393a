"""Extraction when messages change: of sessions, and of live messages within their transaction.

What an import by command brings is read in the transactions that merge it.

For messages that come one by one, at the gateway. A deletion has its own event; what it withdraws has none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ingest_pipeline.content.extraction import (
    ContentReport,
    any_relinked,
    extract_for,
    extract_relinked,
    extract_window,
)
from ingest_pipeline.content.kind import Kind
from ingest_pipeline.content.rules import ContentRules, CurrentRules
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window, contiguous
from ingest_pipeline.events import AnyEventType, Event, EventType, content_event
from ingest_pipeline.ingestion.batch_events import message_event
from ingest_pipeline.ingestion.ingest import OnRowsMerged
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.content.changes import Changes
from ingest_pipeline.storage.content.rows import rows_of_messages
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.sessions import (
    SessionChanges,
    list_sessions,
    remove_session,
    save_sessions,
)


def extract_windows(
    services: Services,
    session: Session,
    keys: Sequence[str],
    rules: ContentRules,
    *,
    kinds: Collection[str] | None = None,
    now: datetime | None = None,
) -> ContentReport:
    """Extract the content of some of a session's windows again.

    Windows that have not begun, or begin after the session's end, hold nothing and are left out.

    Args:
        rules: What is read by.
        kinds: What to read, by name; everything by default.
        now: When, aware UTC; the present by default.

    Raises:
        DatabaseBusy: As for `extract_window`.
        DatabaseUnavailable: As for `extract_window`.
    """
    report = ContentReport(kinds={})
    for span in spans(services, session, keys, now):
        report += extract_window(services.database, session.channel_ids, span, rules, kinds=kinds, now=now)
    return report


def keep_session(
    services: Services,
    session: Session,
    now: datetime,
    check: Callable[[Session | None], None] = lambda _: None,
) -> SessionChanges:
    """Store one session, and read the content of the messages that have another session by that.

    Args:
        check: Raises if the session may not take the place of the stored one with its id.
        now: The time of the change, aware UTC.
    """

    def save(connection: Connection) -> SessionChanges:
        check({each.session_id: each for each in list_sessions(connection)}.get(session.session_id))
        return save_sessions(connection, [session], now=now)

    changes = services.database.run(save)
    read_relinked(services)
    return changes


def drop_session(services: Services, session_id: str) -> None:
    """Remove one session; its messages stay.

    Raises:
        SessionNotFound: There is none with this id.
    """
    services.database.run(lambda connection: remove_session(connection, session_id))
    read_relinked(services)


def any_is_over(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> bool:
    """Return whether one of a session's windows, or the session, has ended."""
    moment = now or datetime.now(UTC)
    windows = session_windows(services, session, keys, now)
    return session.end_time <= moment or any(window.end <= moment for _, window in windows)


def reading_content(services: Services) -> OnRowsMerged | None:
    """Return what brings the content of messages in line with them, in the transaction that merges them.

    Rules that cannot be read are logged and stop no import: the content is then left as it is.
    """
    rules = CurrentRules(services.settings).get()
    if rules is None:
        return None

    def on_rows_merged(connection: Connection, discord_ids: Sequence[int]) -> None:
        extract_for(connection, discord_ids, rules)

    return on_rows_merged


def read_relinked(services: Services) -> None:
    """Extract the content of messages again whose session has changed since, or a kind's version.

    Whoever reads content does so too, for some of them at a time; this leaves none.

    Raises:
        DatabaseBusy: Another process held the database for too long; the rest is left for the next time.
        DatabaseUnavailable: The database cannot be reached; the same holds.
    """
    rules = CurrentRules(services.settings).get()
    if rules is None:
        return
    with services.database.read() as connection:
        if not any_relinked(connection, rules):
            return
    while services.database.run(partial(extract_relinked, rules=rules)):
        pass


def spans(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> list[Window]:
    """Return the time ranges, without gaps inside, that those of the windows make which have begun."""
    return [
        Window(run[0][1].start, run[-1][1].end)
        for run in contiguous(session_windows(services, session, keys, now))
    ]


@dataclass(frozen=True, slots=True)
class MessageJourney:
    """A message that came or changed.

    Attributes:
        message_id: The message.
        channel_id: Its channel.
        correlation_id: Its whole journey.
    """

    message_id: int
    channel_id: int
    correlation_id: str


def extract_for_events(
    connection: Connection,
    journeys: Iterable[MessageJourney],
    deleted_ids: Collection[int],
    rules: ContentRules,
    *,
    batch: str,
    now: datetime,
) -> list[Event]:
    """Bring the content of messages in line with them, and return what was read out of them.

    Args:
        connection: The transaction that merged or deleted them.
        journeys: The messages that came or changed.
        deleted_ids: The messages that were deleted.
        rules: What is read by.
        batch: The correlation id of the batch.

    Returns:
        `message.parsed` for each message of which something was read for the first time or differently than
        before, with what it is in `content` and what it no longer says in `withdrawn`; and a kind's own
        event, such as `setup.created`, for each message that has rows of it and did not before.
    """
    known = {each.message_id: each for each in journeys}
    report = extract_for(connection, [*known, *deleted_ids], rules, now=now)
    gone = set(deleted_ids)
    events = [
        _event(EventType.MESSAGE_PARSED, known[discord_id], batch, now, extracted)
        for discord_id, extracted in _extracted(report, rules.kinds).items()
        if discord_id in known and discord_id not in gone
    ]
    for kind in rules.kinds:
        if kind.event:
            changes = report.tables.get(kind.table.name, Changes())
            created = [each for each in changes.created if each in known]
            for discord_id, rows in _rows_by_message(connection, kind, created).items():
                data = kind.event_data(rows) if kind.event_data else {"rows": len(rows)}
                events.append(_event(content_event(kind.event), known[discord_id], batch, now, data))
    return events


def _event(
    event_type: AnyEventType,
    journey: MessageJourney,
    batch: str,
    now: datetime,
    data: Mapping[str, Any],
) -> Event:
    event = message_event(
        event_type,
        journey.correlation_id,
        journey.message_id,
        channel_id=journey.channel_id,
        at=now,
        batch=batch,
    )
    return replace(event, data={**event.data, **data})


def _extracted(report: ContentReport, kinds: Collection[Kind]) -> dict[int, dict[str, list[str]]]:
    parsed, withdrawn = report.parsed(kinds), report.withdrawn(kinds)
    return {
        discord_id: {
            name: list(found[discord_id])
            for name, found in (("content", parsed), ("withdrawn", withdrawn))
            if discord_id in found
        }
        for discord_id in sorted(parsed.keys() | withdrawn.keys())
    }


def _rows_by_message(
    connection: Connection, kind: Kind, discord_ids: Collection[int]
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    if discord_ids:
        for row in rows_of_messages(connection, kind.table, discord_ids):
            found.setdefault(row["discord_id"], []).append(row)
    return found
