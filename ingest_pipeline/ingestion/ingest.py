"""The one path into the table: normalized documents are merged, and what they prove is recorded.

Polls, backfills, file imports, history imports and the gateway all end in `ingest_documents`.
What to read and when is decided by its callers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import Any

import pyarrow as pa

from ingest_pipeline.domain.messages.normalize import SkipReason
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.events import Event, log_events
from ingest_pipeline.ingestion.batch_events import Batch, record_failure
from ingest_pipeline.ingestion.documents.chunks import ChunkSizes, read_in_chunks, rebatch
from ingest_pipeline.ingestion.documents.document import Document, Tally
from ingest_pipeline.storage.catalogue.profiles import save_profiles
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.coverage import Proof, record_proof
from ingest_pipeline.storage.messages.membership import keep_parents
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline.storage.runs.events import publish

Progress = Callable[[int], None]
OnRowsMerged = Callable[[Connection, Sequence[int]], None]
_CHUNKS = ChunkSizes()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Counts of every received message by outcome.

    `received` is always `created + updated + unchanged + stale` and all of `skipped` together.

    Attributes:
        received: Messages in the documents.
        created: New rows.
        updated: Rows really changed.
        unchanged: Messages that were there already.
        stale: Messages older than what was there.
        skipped: Count for each `SkipReason` that occurred. A message that is known already is not skipped,
            whatever the policy says about what it has become.
        coverage: Intervals `(channel_id, low, high]` of ids proven complete.
        correlation_id: The journey all rows and log lines of this import carry.
        seconds: Wall time of reading and merging.
        session_id: The session imported for, or None.
        start: Earliest bound of the documents, aware UTC, or None.
        end: Latest bound of the documents, aware UTC, or None.
        tallies: What each document held, in their order.
        cut: Messages with more words than are kept.
    """

    received: int
    created: int
    updated: int
    unchanged: int
    stale: int
    skipped: dict[str, int]
    coverage: list[tuple[int, int, int]]
    correlation_id: str
    seconds: float
    session_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    tallies: list[Tally] = field(default_factory=list)
    cut: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: ids as strings, times as ISO 8601 in UTC."""
        return {
            "session_id": self.session_id,
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
            "received": self.received,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "stale": self.stale,
            "skipped": self.skipped,
            "cut": self.cut,
            "coverage": [
                {"channel_id": str(channel), "low": str(low), "high": str(high)}
                for channel, low, high in self.coverage
            ],
            "correlation_id": self.correlation_id,
            "seconds": round(self.seconds, 3),
        }


def new_correlation_id() -> str:
    """Return a correlation id for a journey without an id of its own."""
    # Ids sort by time: of two equal readings the table keeps the one with the lower id, so importing a
    # file again leaves its rows with the journey that brought them.
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{token_hex(4)}"


def ingest_documents(
    database: Database,
    documents: Sequence[Document],
    *,
    correlation_id: str,
    settle: timedelta,
    batch_rows: int = 20_000,
    chunk_sizes: ChunkSizes = _CHUNKS,
    now: datetime | None = None,
    progress: Progress | None = None,
    before_merge: Callable[[Connection], None] | None = None,
    after_merge: Callable[[Connection], Sequence[Event]] | None = None,
    on_rows_merged: OnRowsMerged | None = None,
) -> IngestReport:
    """Merge documents and record what they prove.

    A damaged document leaves the table as it was. A chunk of rows (see `ChunkSizes`), and everything where
    there is a `before_merge` or `after_merge`, is merged in one transaction, proofs included. More rows are
    merged in several, each complete with what is derived from it, and the proofs come with the last: a crash
    leaves rows that nothing claims to be complete, and they are unchanged when they are read again. The
    database tries a transaction again when another process was in the way.

    Args:
        database: Where to.
        documents: Each is read once; where everything is one transaction, once for each try, within it.
        settle: How long after its end a window may still change (see `Settings.settle_seconds`).
        batch_rows: Rows for each merge statement.
        chunk_sizes: Rows for each transaction where there may be several.
        now: Time of the merge, aware UTC; the present by default.
        progress: Called with the number of messages read so far.
        before_merge: What else belongs into the transaction (a cursor, a checkpoint, deletions); called
            before the documents are read, once for each try.
        after_merge: What is made of the merged rows, in the same transaction; called once for each try. The
            events it returns are recorded with those of the batch.
        on_rows_merged: What is made of the rows of each transaction, in it, given the ids of the messages
            that it created or changed; not called where no row was read.

    Raises:
        BadInput: A document is damaged.
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
    """
    began = now or datetime.now(UTC)
    batch = Batch.of(documents, correlation_id, began)
    work = _Ingestion(
        documents, batch, settle, batch_rows, began, progress, before_merge, after_merge, on_rows_merged
    )
    try:
        merged, events = work.run(database, chunk_sizes)
    except Exception as error:
        if batch:
            record_failure(database, batch, error, began + work.elapsed())
        raise
    log_events(events)
    return _report(documents, merged, correlation_id, work.elapsed().total_seconds())


@dataclass(frozen=True, slots=True)
class _Ingestion:
    """Documents on their way into the table, with what belongs to them; see `ingest_documents`."""

    documents: Sequence[Document]
    batch: Batch | None
    settle: timedelta
    batch_rows: int
    began_at: datetime
    progress: Progress | None
    before_merge: Callable[[Connection], None] | None
    after_merge: Callable[[Connection], Sequence[Event]] | None
    on_rows_merged: OnRowsMerged | None
    began: float = field(default_factory=time.monotonic)

    def run(self, database: Database, chunk_sizes: ChunkSizes) -> tuple[_Merged, list[Event]]:
        if self.before_merge or self.after_merge:
            return database.run(self._single_transaction)
        every = _read(self.documents, self.progress)
        counts = MergeCounts()
        with read_in_chunks(every.tables, chunk_sizes) as (earlier, last):
            for tables in earlier:
                counts += database.run(partial(self._merge, tables=tables))
            waiting = _Rows(every.tallies, last)
            return database.run(partial(self._finish, rows=waiting, earlier=counts))

    def elapsed(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self.began)

    def _single_transaction(self, connection: Connection) -> tuple[_Merged, list[Event]]:
        if self.before_merge:
            self.before_merge(connection)
        return self._finish(connection, _read(self.documents, self.progress), MergeCounts())

    def _finish(
        self, connection: Connection, rows: _Rows, earlier: MergeCounts
    ) -> tuple[_Merged, list[Event]]:
        counts = earlier + self._merge(connection, rows.tables)
        read = zip(self.documents, rows.tallies, strict=True)
        save_profiles(connection, [(each.provenance.observed_at, tally.profiles) for each, tally in read])
        merged = _Merged(counts, rows.tallies, self._prove(connection, rows.tallies))
        events = list(self.after_merge(connection)) if self.after_merge else []
        if self.batch:
            events += self.batch.completed(merged.numbers(), self.began_at + self.elapsed())
        publish(connection, events)
        return merged, events

    def _merge(self, connection: Connection, tables: Iterable[pa.Table]) -> MergeCounts:
        parents = {each.channel_id: each.parent_id for each in self.documents if each.parent_id is not None}
        keep_parents(connection, parents, now=self.began_at)
        counts = MergeCounts()
        rows_read = 0
        for rows in rebatch(tables, self.batch_rows):
            counts += merge_messages(connection, rows, now=self.began_at)
            rows_read += len(rows)
        if self.on_rows_merged and rows_read:
            self.on_rows_merged(connection, sorted(counts.changed_ids))
        # Those of all transactions together would take as much memory as a chunk of rows.
        return replace(counts, changed_ids=frozenset(), created_ids=frozenset())

    def _prove(self, connection: Connection, tallies: Sequence[Tally]) -> list[Proof]:
        proofs = [
            proof
            for document, tally in zip(self.documents, tallies, strict=True)
            if (proof := _proof(document, tally, self.settle))
        ]
        for proof in proofs:
            record_proof(connection, proof)
        return proofs


@dataclass(frozen=True, slots=True)
class _Rows:
    """Documents' rows as they are read, and their tallies, which are whole when the rows are."""

    tallies: list[Tally]
    tables: Iterable[pa.Table]


@dataclass(frozen=True, slots=True)
class _Merged:
    """The result of one try of a transaction."""

    counts: MergeCounts
    tallies: list[Tally]
    proofs: list[Proof]

    def numbers(self) -> dict[str, int]:
        """Return the data of the event that ends a batch."""
        received = sum(tally.received for tally in self.tallies)
        counts = self.counts
        return {
            "received": received,
            "created": counts.created,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "stale": counts.stale,
            "skipped": self.skipped.total(),
        }

    @property
    def skipped(self) -> Counter[str]:
        """Messages that became no row, or whose rows were not taken, by reason."""
        return sum((tally.skipped for tally in self.tallies), Counter(self.counts.skipped))


def _report(
    documents: Sequence[Document], merged: _Merged, correlation_id: str, seconds: float
) -> IngestReport:
    windows = [document.window for document in documents if document.window]
    return IngestReport(
        received=sum(tally.received for tally in merged.tallies),
        created=merged.counts.created,
        updated=merged.counts.updated,
        unchanged=merged.counts.unchanged,
        stale=merged.counts.stale,
        skipped=dict(merged.skipped),
        coverage=[(proof.channel_id, proof.low, proof.high) for proof in merged.proofs],
        correlation_id=correlation_id,
        seconds=seconds,
        session_id=documents[0].provenance.session_id if documents else None,
        start=min((window.start for window in windows), default=None),
        end=max((window.end for window in windows), default=None),
        tallies=merged.tallies,
        cut=sum(tally.cut for tally in merged.tallies),
    )


def _read(documents: Sequence[Document], progress: Progress | None) -> _Rows:
    tallies = [Tally() for _ in documents]

    def tables() -> Iterator[pa.Table]:
        for document, tally in zip(documents, tallies, strict=True):
            for table in document.batches(tally):
                yield table
                if progress:
                    progress(sum(each.received for each in tallies))

    return _Rows(tallies, tables())


def _proof(document: Document, tally: Tally, settle: timedelta) -> Proof | None:
    """Return the ids that a complete reading of a window proves.

    Everything up to the newest message read is proven by Discord's own order, whatever any clock
    says. Beyond it only time speaks: what was posted `settle` before the reading is taken as seen,
    which allows this machine's clock to be that much ahead of Discord's.
    """
    if not document.complete or document.window is None:
        return None
    window, read_at = document.window, document.provenance.observed_at
    high = min(window.high, max(tally.highest_id, first_id_at(read_at - settle) - 1))
    if high <= window.low:
        return None
    return Proof(
        channel_id=document.channel_id,
        low=window.low,
        high=high,
        source=document.provenance.source,
        observed_at=read_at,
        correlation_id=document.provenance.correlation_id,
        keeps_media=SkipReason.MEDIA_ONLY not in tally.not_taken,
    )
