"""This project's own path, as `ingest import-messages --file` takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import SecretStr

from benchmarks.jobs import Job
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.settings import Settings, load_settings

_UNDATED = datetime(2026, 1, 1, tzinfo=UTC)


def export_document(opener: Callable[[], BinaryIO], name: str) -> ExportDocument:
    """Return an export as a document of a session's file import."""
    with opener() as stream:
        header = read_header(stream, name)
    provenance = Provenance("benchmark", "file", header.read_at or _UNDATED, new_correlation_id())
    return ExportDocument(
        opener=opener,
        name=name,
        header=header,
        policy=ChannelPolicy(),
        window=None,
        complete=False,
        provenance=provenance,
    )


def normalized(source: str) -> Iterator[pa.Table]:
    """Yield an export's rows: what every rival that has no reading of its own is fed with."""
    for rows in export_document(partial(_open, Path(source)), source).batches(Tally()):
        # The others have no place for what a channel's policy leaves out.
        yield rows.filter(pc.is_null(rows["skip_reason"]))


def settings_for(job: Job) -> Settings:
    """Return the default settings, on the job's target."""
    return load_settings(
        data_dir=Path(job.folder),
        database_url=SecretStr(job.target) if job.is_postgres else None,
    )


def merge(job: Job) -> Callable[[], int]:
    """Bring the export into the table, with revisions, ledger and events."""
    services = build_services(settings_for(job))
    services.database.migrate()

    def work() -> int:
        document = export_document(partial(_open, Path(job.source)), job.source)
        return merge_documents(services, [document], document.provenance.correlation_id).received

    return work


@dataclass(frozen=True, slots=True)
class _TableDocument:
    """Rows that were normalized before, as a document."""

    rows: pa.Table
    channel_id: int
    provenance: Provenance
    parent_id: int | None = None
    window: Window | None = None
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`."""
        tally.received = tally.rows = len(self.rows)
        yield self.rows


def read_rows(job: Job) -> pa.Table:
    """Return the export's rows, normalized before, in memory."""
    import pyarrow.parquet as pq

    return pq.read_table(job.rows)


def merge_tables(job: Job) -> Callable[[], int]:
    """Bring rows that lie in memory into the table, as `merge` does with those it reads."""
    services = build_services(settings_for(job))
    services.database.migrate()
    rows = read_rows(job)

    def work() -> int:
        provenance = Provenance("benchmark", "file", _UNDATED, new_correlation_id())
        document = _TableDocument(rows, 1, provenance)
        return merge_documents(services, [document], provenance.correlation_id).received

    return work


def merge_piped(job: Job) -> Callable[[], int]:
    """Do the same with messages that come through the pipe at `job.rows`; the header is the file's."""
    services = build_services(settings_for(job))
    services.database.migrate()
    document = export_document(partial(_open, Path(job.source)), job.source)
    piped = replace(document, opener=partial(_open, Path(job.rows)))

    def work() -> int:
        return merge_documents(services, [piped], piped.provenance.correlation_id).received

    return work


def read(job: Job) -> Callable[[], int]:
    """Read and normalize the export, and drop the rows."""

    def work() -> int:
        tally = Tally()
        for _ in export_document(partial(_open, Path(job.source)), job.source).batches(tally):
            pass
        return tally.received

    return work


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
