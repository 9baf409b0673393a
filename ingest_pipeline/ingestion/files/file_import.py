"""The import of exports that people have: files, folders and archives, any number of any size.

No session is needed or made. Small files are merged many at a time, a large one alone, so memory is that of a
batch. A damaged file is named and costs only itself. What was imported is noted beside the messages, so a
second run skips the files that have not changed, and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

import pyarrow as pa

from ingest_pipeline.domain.messages.normalize import NORMALIZER_VERSION, ChannelPolicy
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput, StorageUnavailable
from ingest_pipeline.ingestion.batch_events import failures_recorded
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.files.progress import Meter, OnProgress
from ingest_pipeline.ingestion.files.reports import (
    FileReport,
    FilesReport,
    ImportScope,
    Outcome,
    judged,
    other_channel,
    unchanged,
    warned,
)
from ingest_pipeline.ingestion.imports import file_document, merge_documents
from ingest_pipeline.ingestion.ingest import OnRowsMerged, new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.exports.reader import read_header, read_ids
from ingest_pipeline.landing.files.archives import ExportFile, Source, open_source, read_head
from ingest_pipeline.landing.files.forms import FileForm, describe, form_of
from ingest_pipeline.landing.files.found_files import FoundFiles
from ingest_pipeline.landing.files.member_streams import Damage
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.imported_files import ImportedFile, imported_files, keep_imported_files

# Files up to this size are merged many at a time, and so many of their bytes and rows at most.
_SMALL_BYTES = 32 * 1024 * 1024
_BATCH_BYTES = 160 * 1024 * 1024
_BATCH_ROWS = 100_000
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _ReadDocument:
    """A small file that was read to its end, waiting for its merge."""

    channel_id: int
    parent_id: int | None
    window: Window | None
    provenance: Provenance
    tally: Tally
    tables: Sequence[pa.Table]
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`."""
        tally.add(self.tally)
        yield from self.tables


def import_files(
    services: Services,
    found: FoundFiles,
    scope: ImportScope,
    *,
    on_rows_merged: OnRowsMerged | None = None,
    on_progress: OnProgress | None = None,
) -> FilesReport:
    """Import exports from files, folders and archives.

    Args:
        found: The files.
        scope: What to take of them.
        on_rows_merged: What is made of the rows, in the transactions that merge them; see `ingest_documents`.
        on_progress: Called as it goes on.

    Raises:
        BadInput: There is no file.
        DatabaseBusy: Another process held the database for too long; the next run goes on where this stopped.
        DatabaseUnavailable: The database cannot be reached; the same holds.
    """
    if not found.sources:
        raise BadInput(
            "there is no export among these files: give files that were exported with --format Json"
        )
    began = time.monotonic()
    with services.database.read() as connection:
        known = imported_files(connection, [source.key for source in found.sources])
        channel_ids = {each.channel_id for each in known.values() if each.channel_id is not None}
        policies = services.policies(connection, channel_ids)
    work = _Import(services, scope, known, policies, on_rows_merged, Meter(on_progress))
    for source in found.sources:
        work.take_source(source)
    work.flush()
    report = work.report
    report.others = found.others
    if not {Outcome.IMPORTED, Outcome.UNCHANGED}.intersection(each.outcome for each in report.files):
        report.is_complete = False
    report.seconds = time.monotonic() - began
    return report


@dataclass(slots=True)
class _Import:
    """An import that goes on: the batch that waits for its merge, and what became of the files so far."""

    services: Services
    scope: ImportScope
    known: dict[str, ImportedFile]
    # Looked up once for each channel: opening the database costs more than reading a small file.
    policies: dict[int, ChannelPolicy]
    on_rows_merged: OnRowsMerged | None
    meter: Meter
    report: FilesReport = field(default_factory=FilesReport)
    batch: list[_ReadDocument] = field(default_factory=list)
    batch_bytes: int = 0
    records: list[ImportedFile] = field(default_factory=list)
    journey: str = field(default_factory=new_correlation_id)
    seen_forms: set[FileForm] = field(default_factory=set)

    def take_source(self, source: Source) -> None:
        self.meter.begin(source)
        first = len(self.report.files)
        if not self._is_known_archive(source):
            self._take_files(source, first)
        self.meter.end()
        if not self.batch:
            self.meter.merge(self.meter.read)

    def _take_files(self, source: Source, first: int) -> None:
        try:
            with open_source(source, self.meter.count) as (files, is_archive):
                for file in files:
                    self._take(file, source, is_archive=is_archive)
        except BadInput as error:
            self._damaged(str(source.path), error)
            return
        taken = self.report.files[first:]
        if is_archive and {each.outcome for each in taken} <= {Outcome.IMPORTED, Outcome.UNCHANGED}:
            self._note(source.key, None, source.version, FileReport(source.key, Outcome.IMPORTED), len(taken))

    def _is_known_archive(self, source: Source) -> bool:
        """Report an archive's files as unchanged, without opening it, if nothing has changed since."""
        whole = self.known.get(source.key)
        members = [each for each in self.known.values() if each.archive == source.key] if whole else []
        if not whole or not members or not self._is_current(whole, source.version):
            return False
        if not all(self._is_current(each, each.version) for each in members):
            return False
        for each in members:
            self._unchanged(f"{source.path}{each.file.removeprefix(source.key)}", each)
        return True

    def _is_current(self, record: ImportedFile, version: str) -> bool:
        return (
            not self.scope.again
            and record.version == version
            and self.scope.is_within(record)
            and record.reader == self._reader(record.channel_id)
        )

    def _reader(self, channel_id: int | None) -> str:
        """Return what besides a file's content decides which rows it becomes."""
        if channel_id is None:
            return str(NORMALIZER_VERSION)
        policy = self._policy(channel_id)
        return f"{NORMALIZER_VERSION} {policy.keep_media_only} {policy.driver_from}"

    def _policy(self, channel_id: int) -> ChannelPolicy:
        if channel_id not in self.policies:
            self.policies |= self.services.read_policies([channel_id])
        return self.policies[channel_id]

    def _take(self, file: ExportFile, source: Source, *, is_archive: bool) -> None:
        record = self.known.get(file.key)
        if record and self._is_current(record, file.version):
            self._unchanged(file.name, record)
            return
        if file.form is not None:
            self._other_form(file.name, file.form, source)
            return
        damage = Damage() if self.scope.salvage else None
        try:
            with file.opener(damage) as stream:
                form = form_of(read_head(stream), file.member)
                if form is not FileForm.EXPORT:
                    self._other_form(file.name, form, source)
                    return
                with failures_recorded(self.services.database, self.journey, "file"):
                    done = self._read(file, stream, damage)
        except (BadInput, StorageUnavailable) as error:
            self._damaged(file.name, error)
            return
        except OSError as error:
            reason = f"{file.name} cannot be read ({error.strerror}): check its permissions"
            self._damaged(file.name, BadInput(reason))
            return
        self.report.files.append(done)
        if done.outcome in {Outcome.IMPORTED, Outcome.SALVAGED}:
            self._note(file.key, source.key if is_archive else None, file.version, done, done.messages)
        if not self.batch or self._is_full():
            self.flush()

    def _read(self, file: ExportFile, stream: BinaryIO, damage: Damage | None) -> FileReport:
        header = read_header(stream, file.name)
        stream.seek(0)
        channel_id = header.channel_id
        read = FileReport(file.name, Outcome.IMPORTED, channel_id, header.channel_name)
        if self.scope.channel_ids and channel_id not in self.scope.channel_ids:
            return self._other_channel(read, stream)
        is_small = file.length is not None and file.length <= _SMALL_BYTES
        if not is_small:
            self.flush()
        document = file_document(
            lambda: stream,
            file.name,
            header,
            policy=self._policy(channel_id),
            window=self.scope.window,
            correlation_id=self.journey,
            damage=damage,
        )
        tally = self._wait(document, file.length or 0) if is_small else self._merge_large(document)
        return self._judged(replace(read, correlation_id=document.provenance.correlation_id), tally, damage)

    def _wait(self, document: ExportDocument, length: int) -> Tally:
        """Read a small file to its end and put it into the batch."""
        tally = Tally()
        tables = list(document.batches(tally))
        self.batch_bytes += length
        self.batch.append(
            _ReadDocument(
                document.channel_id,
                document.parent_id,
                document.window,
                document.provenance,
                tally,
                tables,
            )
        )
        return tally

    def _merge_large(self, document: ExportDocument) -> Tally:
        """Read and merge a file by itself."""
        begin = self.meter.read
        received = rows = 0

        def progress(messages: int) -> None:
            nonlocal received
            received = messages

        def on_rows_merged(connection: Connection, ids: Sequence[int]) -> None:
            nonlocal rows
            if self.on_rows_merged:
                self.on_rows_merged(connection, ids)
            # The first rows are merged when the last ones are read.
            rows = min(rows + len(ids), received)
            self.meter.merge(begin + (self.meter.read - begin) * rows / received)

        merged = merge_documents(self.services, [document], self.journey, progress, on_rows_merged)
        self.report.add(merged)
        self.journey = new_correlation_id()
        return merged.tallies[0]

    def _is_full(self) -> bool:
        rows = sum(each.tally.rows for each in self.batch)
        return rows >= _BATCH_ROWS or self.batch_bytes >= _BATCH_BYTES

    def flush(self) -> None:
        """Merge what waits, and note what was imported."""
        if self.batch:
            merged = merge_documents(
                self.services, self.batch, self.journey, on_rows_merged=self.on_rows_merged
            )
            self.report.add(merged)
            self.batch, self.batch_bytes, self.journey = [], 0, new_correlation_id()
        if self.records:
            keep = partial(keep_imported_files, files=self.records, now=datetime.now(UTC))
            self.services.database.run(keep)
            self.records = []
        self.meter.merge(self.meter.read)

    def _note(self, key: str, archive: str | None, version: str, done: FileReport, count: int) -> None:
        self.records.append(
            ImportedFile(
                file=key,
                archive=archive,
                version=version,
                channel_id=done.channel_id,
                reader=self._reader(done.channel_id),
                after=self.scope.after,
                before=self.scope.before,
                is_salvaged=done.outcome is Outcome.SALVAGED,
                messages=count,
                first_id=done.first_id or None,
                last_id=done.last_id or None,
                correlation_id=done.correlation_id or self.journey,
            )
        )

    def _unchanged(self, name: str, record: ImportedFile) -> None:
        self.report.files.append(warned(unchanged(name, record, self.scope)))

    def _other_form(self, name: str, form: FileForm, source: Source) -> None:
        done = FileReport(name, Outcome.OTHER_FORM, detail=describe(form))
        if form not in self.seen_forms:
            # A folder may hold thousands: the others are in the report.
            _logger.warning("%s is %s", name, done.detail)
            self.seen_forms.add(form)
        if source.is_named:
            self.report.is_complete = False
        self.report.files.append(done)

    def _damaged(self, name: str, error: Exception) -> None:
        _logger.warning("not imported: %s", error)
        self.report.is_complete = False
        self.report.files.append(FileReport(name, Outcome.DAMAGED, detail=str(error)))

    def _other_channel(self, read: FileReport, stream: BinaryIO) -> FileReport:
        tally = Tally()
        for ids in read_ids(stream, read.file):
            tally.received += len(ids)
            tally.saw(ids)
        return warned(other_channel(read, tally, self.scope))

    def _judged(self, read: FileReport, tally: Tally, damage: Damage | None) -> FileReport:
        done = warned(judged(read, tally, damage, self.scope))
        if done.outcome is Outcome.SALVAGED:
            self.report.is_complete = False
        return done
