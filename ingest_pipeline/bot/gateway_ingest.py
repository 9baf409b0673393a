"""Ingestion of the spool: gateway events merged in small batches, each exactly once in effect.

A batch is merged in one transaction: deletions, rows, messages to read again, windows touched, how far the
spool has been read, and the messages' content. A crash between any two steps repeats a batch, which changes
nothing. Frames are kept as they came by `spool_landing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.content.sessions import MessageJourney, extract_for_events
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.batch_events import message_event
from ingest_pipeline.ingestion.deleted_words import delete_messages
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.payloads import PayloadDocument, correlation_of
from ingest_pipeline.ingestion.gateway_events import SOURCE, Events, interpret, windows_of
from ingest_pipeline.ingestion.ingest import IngestReport, ingest_documents, new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.spool import Position, Spool
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.dirty_windows import mark_windows_dirty
from ingest_pipeline.storage.gateway.refetch_queue import queue_refetches, record_gap
from ingest_pipeline.storage.messages.deletions import (
    known_among,
    lock_messages,
    note_activities,
    skipped_among,
)
from ingest_pipeline.storage.messages.membership import parents_of
from ingest_pipeline.storage.runs.state import get_state, set_state

BATCH_EVENTS = 2_000
QUIET = timedelta(seconds=2)
_CHECKPOINT = "gateway_checkpoint"


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """The result of ingesting a range of the spool.

    Attributes:
        events: What it held.
        report: What the merge did.
        position: How far the spool is processed now.
        received_at: When each event was received, aware UTC, in that order.
        committed_at: When the transaction had been committed, aware UTC.
    """

    events: Events
    report: IngestReport
    position: Position
    received_at: Sequence[datetime]
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class SpoolReader:
    """A spool and how far it has been processed.

    Attributes:
        spool: The events.
        identity: The spool's own, under which the database knows the position.
    """

    spool: Spool
    identity: str

    @property
    def key(self) -> str:
        """The name under which the database keeps the position."""
        return f"{_CHECKPOINT}:{self.identity}"

    def checkpoint(self, connection: Connection) -> Position:
        """Return how far the spool has been processed, or its beginning."""
        segment, _, offset = (get_state(connection, self.key) or "0:0").partition(":")
        return Position(int(segment), int(offset))

    def move_to(self, connection: Connection, position: Position) -> None:
        """Note how far the spool is processed, in the transaction of what was processed."""
        set_state(connection, self.key, f"{position.segment}:{position.offset}")


def ingest_spooled(
    services: Services,
    reader: SpoolReader,
    after: Position,
    *,
    is_monitored: Callable[[int], bool],
    sessions: Sequence[Session],
    rules: ContentRules | None = None,
    limit: int = BATCH_EVENTS,
    quiet: timedelta = QUIET,
) -> SpoolBatch | None:
    """Process the next events of the spool.

    Args:
        after: How far the spool is processed.
        is_monitored: Whether a channel's messages are wanted.
        sessions: All sessions, whose windows are noted as touched.
        rules: What the messages' content is read by; None to leave it as it is.
        limit: How many events at most.
        quiet: A message that is to be read again waits until nothing has come about it for this time.

    Returns:
        What happened, or None when nothing is waiting.

    Raises:
        DatabaseBusy: Another process held the database for too long; the events stay in the spool.
        DatabaseUnavailable: The database cannot be reached; the events stay in the spool.
        ConfigurationError: The settings of channels are wrong; the events stay in the spool.
    """
    records, position = reader.spool.read(after, limit)
    if not records:
        return None
    events = interpret(records, is_monitored)
    latest = max(record.received_at for record in records)
    correlation_id = new_correlation_id()
    stored = _Stored()

    def before_merge(connection: Connection) -> None:
        stored.read(connection, services, events)
        # Before the merge: a row that follows its deletion must find the tombstone.
        delete_messages(services, connection, events.deletions)
        queue_refetches(connection, events.partial_updates, latest, quiet)
        _mark_windows(connection, services, events, sessions)
        # A frame that cannot be read may have been any change of its channel.
        record_gap(connection, events.channels_to_rescan, since=latest, now=latest)
        note_activities(connection, events.newest_ids)
        # In the transaction of the rows: a crash repeats the batch and never skips it.
        reader.move_to(connection, position)

    report = ingest_documents(
        services.database,
        _documents(events, stored, Provenance(None, SOURCE, latest, correlation_id)),
        correlation_id=correlation_id,
        settle=services.settings.settle,
        batch_rows=services.settings.batch_rows,
        before_merge=before_merge,
        after_merge=partial(_extract, events=events, rules=rules, batch=correlation_id),
    )
    received_at = tuple(record.received_at for record in records)
    return SpoolBatch(events, report, position, received_at, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class _Stored:
    """The database's state of a batch's messages and channels, read within the transaction."""

    known: set[int] = field(default_factory=set)
    skipped: dict[int, datetime] = field(default_factory=dict)
    policies: dict[int, ChannelPolicy] = field(default_factory=dict)

    def read(self, connection: Connection, services: Services, events: Events) -> None:
        # Locked before it is looked up: what is known now must still be so when the batch is merged.
        lock_messages(connection, events.message_ids)
        # Another try after a conflict knows no less than the one before.
        self.known.update(known_among(connection, events.created_ids))
        self.skipped.update(skipped_among(connection, events.created_ids))
        self.policies.update(services.policies(connection, {channel_id for _, channel_id in events.messages}))


def _mark_windows(
    connection: Connection, services: Services, events: Events, sessions: Sequence[Session]
) -> None:
    touched = _touched(events)
    windows = windows_of(touched, parents_of(connection, touched), sessions, services.grid)
    mark_windows_dirty(connection, windows, now=datetime.now(UTC))


def _extract(
    connection: Connection, *, events: Events, rules: ContentRules | None, batch: str
) -> list[Event]:
    """Extract the content of a batch's messages, and return the events of single messages."""
    recorded = message_events(events, batch)
    if rules:
        gone = {each.discord_id for each in events.deletions}
        recorded += extract_for_events(
            connection, journeys(events), gone, rules, batch=batch, now=datetime.now(UTC)
        )
    return recorded


def journeys(events: Events) -> list[MessageJourney]:
    """Return the whole messages among the gateway's events."""
    return [
        MessageJourney(seen.message_id, channel_id, correlation_of(guild_id, seen.message_id))
        for (guild_id, channel_id), messages in events.messages.items()
        for seen in messages
    ]


def message_events(events: Events, batch: str) -> list[Event]:
    """Return the events of single messages: those received, and those deleted.

    Its row shows whether and when a message was stored.

    Args:
        events: The gateway's.
        batch: The correlation id of the batch.
    """
    recorded = [
        message_event(
            EventType.MESSAGE_RECEIVED,
            correlation_of(guild_id, seen.message_id),
            seen.message_id,
            channel_id=channel_id,
            at=seen.seen_at,
            batch=batch,
        )
        for (guild_id, channel_id), messages in events.messages.items()
        for seen in messages
    ]
    recorded += [
        message_event(
            EventType.MESSAGE_DELETED,
            gone.correlation_id,
            gone.discord_id,
            channel_id=gone.channel_id,
            at=gone.deleted_at,
            batch=batch,
        )
        for gone in events.deletions
    ]
    return recorded


def _documents(events: Events, stored: _Stored, provenance: Provenance) -> list[PayloadDocument]:
    return [
        PayloadDocument(
            channel_id=channel_id,
            guild_id=guild_id,
            messages=messages,
            policies=stored.policies,
            provenance=provenance,
            own_journeys=True,
            known=stored.known,
            skipped=stored.skipped,
        )
        for (guild_id, channel_id), messages in events.messages.items()
    ]


def _touched(events: Events) -> dict[int, set[int]]:
    """Return the messages that events are about, by channel."""
    touched: dict[int, set[int]] = {}
    for (_, channel_id), messages in events.messages.items():
        touched.setdefault(channel_id, set()).update(each.message_id for each in messages)
    for gone in events.deletions:
        touched.setdefault(gone.channel_id, set()).add(gone.discord_id)
    return touched
