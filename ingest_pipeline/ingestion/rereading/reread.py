"""Everything that has landed, merged again without Discord: by a better parser, or into an empty database.

Landed exports come first, then the raw readings of the bot and of history, then messages that were skipped
for want of words by a version that did not read all of them. What the table has already changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
from upath import UPath

from ingest_pipeline.domain.messages.message import Embed, EmbedField, EmbedPart, RawMessage
from ingest_pipeline.domain.messages.normalize import NORMALIZER_VERSION, ChannelPolicy
from ingest_pipeline.domain.messages.parts import parts_of, words_of
from ingest_pipeline.domain.messages.words import speech_in
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import DISCORD_EPOCH, created_at
from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.ingest import IngestReport, OnRowsMerged, new_correlation_id
from ingest_pipeline.ingestion.refresh import landed_documents
from ingest_pipeline.ingestion.rereading.raw_documents import batched_readings, id_of, merge_readings
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.erasure.readings import ChannelRef
from ingest_pipeline.landing.raw_reading import RawReading, in_order
from ingest_pipeline.landing.raw_store import begins_at, read_file
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import list_skipped_with_words, skipped_readings
from ingest_pipeline.storage.messages.membership import threads_of
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline.storage.messages.queries import channels_of_guild
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions

Progress = Callable[[str], None]

_SKIPPED_AT_ONCE = 2_000
_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RereadScope:
    """What is read again: by default everything.

    Attributes:
        session_id: Only a session's channels and time.
        channel_id: Only this channel.
        since: Only what was posted at this time, aware, or later.
        until: Only what was posted before, aware.
        guild_id: Only channels of this guild: of the catalogue, or that messages are stored of.
    """

    session_id: str | None = None
    channel_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    guild_id: int | None = None


@dataclass(slots=True)
class RereadReport:
    """What was read again.

    Attributes:
        sessions: Sessions whose landed documents were merged.
        documents: Landed documents that were merged.
        readings: Raw readings of the bot and of history that were merged.
        messages: Messages in both; a message that was read twice counts twice.
        created: New rows.
        updated: Rows really changed.
        unchanged: Messages that were there already.
        stale: Messages older than what was there.
        skipped: Messages that are not taken.
        decided_again: Skipped messages that have words and are taken now.
        damaged: What was refused, by name, and why.
        unknown_sessions: Landed sessions that are stored nowhere, so that nobody knows their times.
        seconds: Wall time.
    """

    sessions: int = 0
    documents: int = 0
    readings: int = 0
    messages: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    skipped: int = 0
    decided_again: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    unknown_sessions: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    def add(self, merged: IngestReport) -> None:
        """Count what a merge did."""
        self.messages += merged.received
        self.created += merged.created
        self.updated += merged.updated
        self.unchanged += merged.unchanged
        self.stale += merged.stale
        self.skipped += sum(merged.skipped.values())


@dataclass(frozen=True, slots=True)
class _Scope:
    """A scope with the channels and times that it means."""

    sessions: tuple[Session, ...]
    channel_ids: frozenset[int] | None
    start: datetime
    end: datetime

    def takes(self, channel_id: int) -> bool:
        return self.channel_ids is None or channel_id in self.channel_ids

    def takes_document(self, document: ExportDocument) -> bool:
        window = document.window
        return self.takes(document.channel_id) and (
            window is None or (window.start < self.end and window.end > self.start)
        )

    def takes_reading(self, reading: RawReading) -> bool:
        if (self.start, self.end) == (DISCORD_EPOCH, _EVER):
            return True
        message_id = id_of(reading)
        return message_id is None or self.start <= created_at(message_id) < self.end


@dataclass(frozen=True, slots=True)
class _Reader:
    """What every step of a reading shares; its journey sorts after those of other readings."""

    services: Services
    scope: _Scope
    on_rows_merged: OnRowsMerged | None
    report: RereadReport
    progress: Progress
    correlation_id: str


def reread(
    services: Services,
    on_rows_merged: OnRowsMerged | None = None,
    scope: RereadScope | None = None,
    progress: Progress | None = None,
) -> RereadReport:
    """Merge what has landed again, without asking Discord; a second time changes nothing.

    What is damaged is named in the report, and the rest is merged.

    Args:
        on_rows_merged: What is made of the rows, in the transaction that merges them; see `ingest_documents`.
        scope: What is read again.
        progress: Called with what is being done.

    Raises:
        SessionNotFound: There is no such session.
        DatabaseBusy: The database is in use elsewhere for too long.
        DatabaseUnavailable: The database cannot be reached.
        StorageUnavailable: The landing store does not answer.
    """
    began = time.monotonic()
    with services.database.read() as connection:
        meant = _scope(connection, scope or RereadScope())
        known = {session.session_id for session in list_sessions(connection)}
    report = RereadReport(unknown_sessions=tuple(sorted(set(services.landing.session_ids()) - known)))
    # Of two equal readings the table keeps the one whose journey sorts first: the one of then.
    journey = f"reread-{new_correlation_id()}"
    reader = _Reader(services, meant, on_rows_merged, report, progress or (lambda _: None), journey)
    _read_documents(reader)
    _read_raw(reader)
    _decide_again(reader)
    report.seconds = time.monotonic() - began
    return report


def _scope(connection: Connection, scope: RereadScope) -> _Scope:
    start, end = scope.since or DISCORD_EPOCH, scope.until or _EVER
    channel_ids = None if scope.channel_id is None else frozenset({scope.channel_id})
    if scope.guild_id is not None:
        of_guild = frozenset(channels_of_guild(connection, scope.guild_id))
        channel_ids = of_guild if channel_ids is None else of_guild & channel_ids
    if scope.session_id is None:
        return _Scope(tuple(list_sessions(connection)), channel_ids, start, end)
    session = find_session(connection, scope.session_id)
    own = {*session.channel_ids, *threads_of(connection, session.channel_ids)}
    channels = frozenset(own if channel_ids is None else own & channel_ids)
    return _Scope((session,), channels, max(start, session.start_time), min(end, session.end_time))


def _read_documents(reader: _Reader) -> None:
    sessions = reader.scope.sessions
    for number, session in enumerate(sessions, 1):
        reader.progress(f"session {session.session_id}, {number} of {len(sessions)}")
        documents = [each for each in _documents(reader, session) if reader.scope.takes_document(each)]
        merged = _merge_documents(reader, documents)
        reader.report.documents += merged
        reader.report.sessions += merged > 0


def _documents(reader: _Reader, session: Session) -> list[ExportDocument]:
    """Return the landed documents of a session whose beginning can be read."""

    def landed(keys: Sequence[str]) -> list[ExportDocument]:
        found = landed_documents(reader.services, session, keys, reader.correlation_id)
        return [document for _, document in found]

    keys = reader.services.grid.keys
    try:
        return landed(keys)
    except BadInput:
        documents = []
        for key in keys:
            try:
                documents += landed([key])
            except BadInput as error:
                reader.report.damaged[f"{session.session_id} {key}"] = str(error)
        return documents


def _merge_documents(reader: _Reader, documents: Sequence[ExportDocument]) -> int:
    """Merge documents together; if one of them is damaged each by itself, so that the others are there."""
    if not documents:
        return 0
    try:
        reader.report.add(
            merge_documents(
                reader.services, documents, reader.correlation_id, on_rows_merged=reader.on_rows_merged
            )
        )
    except BadInput as error:
        if len(documents) == 1:
            reader.report.damaged[documents[0].name] = str(error)
            return 0
        return sum(_merge_documents(reader, [document]) for document in documents)
    return len(documents)


def _read_raw(reader: _Reader) -> None:
    store, report = reader.services.landing.raw, reader.report
    for channel in store.channels():
        if not reader.scope.takes(channel[1]):
            continue
        for batch in batched_readings(_readings(reader, channel)):
            report.add(
                merge_readings(reader.services, channel, batch, reader.correlation_id, reader.on_rows_merged)
            )
            report.readings += len(batch)
            reader.progress(f"channel {channel[1]}: {report.readings:,} raw readings")


def _readings(reader: _Reader, channel: ChannelRef) -> Iterator[RawReading]:
    # What was posted had not landed before; a day is for clocks.
    since = max(reader.scope.start, DISCORD_EPOCH + _DAY) - _DAY
    files = reader.services.landing.raw.files(channel, since.date())
    yield from in_order((begins_at(path), _readings_in(reader, path)) for path in files)


def _readings_in(reader: _Reader, path: UPath) -> Iterator[RawReading]:
    try:
        yield from filter(reader.scope.takes_reading, read_file(path))
    except BadInput as error:
        reader.report.damaged[str(path)] = str(error)


def _decide_again(reader: _Reader) -> None:
    """Take the skipped messages that have words in what is stored of them."""
    services, scope = reader.services, reader.scope
    with services.database.read() as connection:
        found = list_skipped_with_words(connection, scope.start, scope.end)
    ids = sorted({message_id for message_id, channel_id in found if scope.takes(channel_id)})

    def work(message_ids: Sequence[int], connection: Connection) -> MergeCounts:
        rows = skipped_readings(connection, message_ids)
        policies = services.policies(connection, set(rows["channel_id"].to_pylist()))
        rows = _with_words(rows, policies)
        counts = merge_messages(connection, rows, now=datetime.now(UTC))
        if reader.on_rows_merged and len(rows):
            reader.on_rows_merged(connection, sorted(counts.changed_ids))
        return counts

    for first in range(0, len(ids), _SKIPPED_AT_ONCE):
        counts = services.database.run(partial(work, ids[first : first + _SKIPPED_AT_ONCE]))
        reader.report.decided_again += counts.created
        reader.report.created += counts.created


def _with_words(rows: pa.Table, policies: dict[int, ChannelPolicy]) -> pa.Table:
    """Return the rows that have words, with them."""
    kept = []
    for row in rows.to_pylist():
        parts = _stored_parts(row)
        driver, text = speech_in(
            row["raw_content"], row["author_name"], parts, policies[row["channel_id"]].driver_from
        )
        if row["raw_content"].strip() or words_of(parts):
            words = {"driver": driver or None, "message_text": text}
            stored = msgspec.json.encode(parts).decode()
            kept.append(row | words | {"parts": stored, "normalizer_version": NORMALIZER_VERSION})
    return pa.Table.from_pylist(kept, rows.schema)


def _stored_parts(row: dict[str, Any]) -> list[dict[str, str]]:
    """Return the parts of a row: as stored, or of its embeds when an earlier version made it."""
    if row["parts"] and (row["normalizer_version"] or 1) >= NORMALIZER_VERSION:
        return list(msgspec.json.decode(row["parts"]))
    embeds = msgspec.json.decode(row["embeds"])
    return parts_of(RawMessage(embeds=tuple(map(_embed, embeds))))


def _embed(stored: dict[str, Any]) -> Embed:
    fields = [EmbedField(name=each.get("name"), value=each.get("value")) for each in stored.get("fields", ())]
    return Embed(
        title=stored.get("title"),
        description=stored.get("description"),
        author=EmbedPart(name=stored.get("author")),
        footer=EmbedPart(text=stored.get("footer")),
        fields=tuple(fields),
    )
