"""From the spool into the table: gateway events merged in small batches, each exactly once in effect.

A batch is one transaction: deletions, rows, messages to read again, and how far the spool has been
read. A crash between any two steps repeats a batch, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.capture.channel_policies import ChannelPolicies
from ingest_pipeline.capture.spool import Position, Spool
from ingest_pipeline.documents import Provenance
from ingest_pipeline.domain.session import Session
from ingest_pipeline.gateway_events import SOURCE, Events, GatewayDocument, interpret
from ingest_pipeline.ingest import IngestReport, ingest_landed, new_correlation_id
from ingest_pipeline.services import Services
from ingest_pipeline.storage.database import Connection
from ingest_pipeline.storage.messages import tombstone_messages
from ingest_pipeline.storage.pending_reads import queue_reads
from ingest_pipeline.storage.state import get_state, set_state

_CHECKPOINT = "gateway_checkpoint"


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """What became of a stretch of the spool.

    Attributes:
        events: What it held.
        report: What the merge did.
        position: How far the spool is processed now.
        oldest: When its first event was received, aware UTC.
    """

    events: Events
    report: IngestReport
    position: Position
    oldest: datetime


def checkpoint(connection: Connection) -> Position:
    """Return how far the spool has been processed."""
    stored = get_state(connection, _CHECKPOINT)
    segment, _, offset = (stored or "0:0").partition(":")
    return Position(int(segment), int(offset))


def ingest_spooled(
    services: Services,
    spool: Spool,
    *,
    is_monitored: Callable[[int], bool],
    sessions: Sequence[Session],
    limit: int = 2_000,
    after: Position | None = None,
) -> SpoolBatch | None:
    """Process the next events of the spool.

    Args:
        services: The working parts.
        spool: The events.
        is_monitored: Whether a channel's messages are wanted.
        sessions: All sessions; a message is linked to the first that takes it.
        limit: How many events at most.
        after: How far the spool is processed, when the caller knows; read from the database otherwise.

    Returns:
        What happened, or None when nothing is waiting.

    Raises:
        DatabaseBusy: Another process held the database for too long; the events stay in the spool.
        DatabaseUnavailable: The database cannot be reached; the events stay in the spool.
    """
    if after is None:
        with services.database.read() as connection:
            after = checkpoint(connection)
    records, position = spool.read(after, limit)
    if not records:
        return None
    events = interpret(records, is_monitored)
    correlation_id = new_correlation_id()

    def also(connection: Connection) -> None:
        tombstone_messages(connection, events.deletions)
        queue_reads(connection, events.unsure, records[-1].received_at)
        set_state(connection, _CHECKPOINT, f"{position.segment}:{position.offset}")

    documents = _documents(
        events,
        services.policies(),
        sorted(sessions, key=lambda session: (session.start_time, session.session_id)),
        Provenance(None, SOURCE, records[-1].received_at, correlation_id),
    )
    report = ingest_landed(
        services.database,
        documents,
        correlation_id=correlation_id,
        settle=services.settings.settle,
        batch_rows=services.settings.batch_rows,
        also=also,
    )
    return SpoolBatch(events, report, position, records[0].received_at)


def _documents(
    events: Events, policies: ChannelPolicies, sessions: Sequence[Session], provenance: Provenance
) -> list[GatewayDocument]:
    return [
        GatewayDocument(
            channel_id=channel_id,
            guild_id=guild_id,
            messages=messages,
            policy=policies.policy(channel_id),
            sessions=[session for session in sessions if channel_id in session.channel_ids],
            provenance=provenance,
        )
        for (guild_id, channel_id), messages in events.messages.items()
    ]
