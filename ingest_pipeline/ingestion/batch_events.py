"""Events of batches and of the bot.

An import has an event for its start and for its end or failure, never for each message: `tracing.py` finds
the journey of one message all the same. Events of single messages are the gateway's alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable, IngestError, TransientError
from ingest_pipeline.events import AnyEventType, Event, EventType, dagster_run_id, log_events
from ingest_pipeline.ingestion.documents.document import Document
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.runs.events import publish

_LONGEST_ERROR = 1_000
SOURCE = "gateway"
BOT_SOURCE = "discord_bot"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of documents on its way into the table.

    Attributes:
        correlation_id: The journey.
        source: Where the documents come from.
        session_id: The session they are imported for, or None.
        channel_ids: Their channels, ascending.
        began_at: When reading them began, aware UTC.
    """

    correlation_id: str
    source: str
    session_id: str | None
    channel_ids: tuple[int, ...]
    began_at: datetime

    @classmethod
    def of(cls, documents: Sequence[Document], correlation_id: str, began_at: datetime) -> Batch | None:
        """Describe documents; None when there are none, which makes no events."""
        if not documents:
            return None
        provenance = documents[0].provenance
        channels = sorted({document.channel_id for document in documents})
        return cls(correlation_id, provenance.source, provenance.session_id, tuple(channels), began_at)

    def completed(self, counts: Mapping[str, Any], at: datetime) -> list[Event]:
        """Return the events of a batch that is merged: its start and its end with the counts."""
        return [self._started(), self._event(EventType.INGESTION_COMPLETED, at, counts)]

    def failed(self, error: Exception, at: datetime) -> list[Event]:
        """Return the events of a batch that was undone: its start and the error."""
        reason = str(error) if isinstance(error, IngestError) else type(error).__name__
        data = {
            "error": type(error).__name__,
            "message": reason[:_LONGEST_ERROR],
            "is_transient": isinstance(error, TransientError),
        }
        return [self._started(), self._event(EventType.INGESTION_FAILED, at, data)]

    def _started(self) -> Event:
        channels = [str(channel_id) for channel_id in self.channel_ids]
        return self._event(EventType.INGESTION_STARTED, self.began_at, {"channel_ids": channels})

    def _event(self, event_type: EventType, at: datetime, data: Mapping[str, Any]) -> Event:
        return Event(
            event_type=event_type,
            correlation_id=self.correlation_id,
            source=self.source,
            created_at=at,
            session_id=self.session_id,
            run_id=dagster_run_id(self.correlation_id),
            data=data,
        )


@contextmanager
def failures_recorded(
    database: Database,
    correlation_id: str,
    source: str,
    *,
    session_id: str | None = None,
    channel_ids: Sequence[int] = (),
) -> Iterator[None]:
    """Record an error in the block, which prepares documents, as the failure of their batch; raise it again.

    Args:
        database: Where to.
        source: Where the documents come from.
        session_id: The session they are for, or None.
        channel_ids: Their channels, as far as they are known.
    """
    batch = Batch(correlation_id, source, session_id, tuple(sorted(channel_ids)), datetime.now(UTC))
    try:
        yield
    except Exception as error:
        record_failure(database, batch, error, datetime.now(UTC))
        raise


def record_failure(database: Database, batch: Batch, error: Exception, at: datetime) -> None:
    """Write and log that a batch failed; only log it when the database itself is the trouble.

    An error that passes several callers on its way is recorded once, by the first.
    """
    if isinstance(error, IngestError):
        if error.is_recorded:
            return
        error.is_recorded = True
    events = batch.failed(error, at)
    log_events(events)
    if isinstance(error, DatabaseBusy | DatabaseUnavailable):
        return
    try:
        database.run(lambda connection: publish(connection, events))
    except IngestError:
        # The failure itself is about to be raised; that it is not in the table is the lesser news.
        return


def message_event(
    event_type: AnyEventType,
    correlation_id: str,
    message_id: int,
    *,
    channel_id: int,
    at: datetime,
    batch: str,
) -> Event:
    """Return an event of one message: received, deleted or parsed.

    Args:
        event_type: What happened.
        correlation_id: The message's own journey.
        at: When, aware UTC: when its frame was received, or when its batch was merged.
        batch: The correlation id of the batch it is stored with, whose events belong to its journey.
    """
    data = {"channel_id": str(channel_id), "batch": batch}
    return Event(event_type, correlation_id, SOURCE, at, message_id=message_id, data=data)


def bot_event(
    event_type: EventType, correlation_id: str, at: datetime, data: Mapping[str, Any] | None = None
) -> Event:
    """Return an event of the bot's life: started, ready, disconnected, stopped, catching up."""
    return Event(event_type, correlation_id, BOT_SOURCE, at, data=data or {})
