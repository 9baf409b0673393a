"""The use cases: refresh windows, import a stretch of time or a file, poll, backfill.

Each composes the same steps: export, land, normalise, merge. The Dagster assets run the steps one
asset each; the commands run them in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from ingest_pipeline.capture.chat_exporter import ExportRequest, ExportResult
from ingest_pipeline.capture.landing import Landed
from ingest_pipeline.capture.payloads import read_header
from ingest_pipeline.documents import Document, ExportDocument, Provenance
from ingest_pipeline.domain.normalize import ChannelPolicy
from ingest_pipeline.domain.session import Session, live_sessions
from ingest_pipeline.domain.window import Window, contiguous
from ingest_pipeline.errors import BadInput, ExportMismatch
from ingest_pipeline.ingest import IngestReport, Progress, ingest_landed, new_correlation_id
from ingest_pipeline.normalised_store import StoredDocument
from ingest_pipeline.polling import missing_time
from ingest_pipeline.services import Services
from ingest_pipeline.storage.sessions import find_session, list_sessions


@dataclass(frozen=True, slots=True)
class Exported:
    """One exporter run of a refresh.

    Attributes:
        channel_id: The channel read.
        keys: The windows it covered.
        messages: Messages in it.
        seconds: Wall time of the run.
        warnings: What the exporter warned of.
        documents: What landed.
    """

    channel_id: int
    keys: tuple[str, ...]
    messages: int
    seconds: float
    warnings: tuple[str, ...]
    documents: tuple[Landed, ...]


def session_windows(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> list[tuple[str, Window]]:
    """Return those of a session's windows that have begun, in time order.

    Windows past the session's end, or still to come, are left out: reading them is a no-op.
    """
    moment = now or datetime.now(UTC)
    grid = services.grid
    timed = [(key, grid.window(key, session.window)) for key in sorted(keys, key=grid.index)]
    return [(key, window) for key, window in timed if window is not None and window.start <= moment]


def refresh_landing(
    services: Services,
    session: Session,
    keys: Sequence[str],
    progress: Callable[[str], None] | None = None,
) -> list[Exported]:
    """Read windows anew from Discord: one exporter run for each channel and contiguous range.

    Raises:
        ExporterFailed: A run did not end in a complete export; what had landed stays as it was.
        ExporterRejected: Discord refuses; what had landed stays as it was.
        ExportMismatch: A newer export has landed meanwhile.
        LandingRefused: The landing store cannot be written.
    """
    runs = list(contiguous(session_windows(services, session, keys)))
    exported = []
    for channel_id in session.channel_ids:
        for run in runs:
            span = Window(run[0][1].start, run[-1][1].end)
            if progress:
                progress(f"channel {channel_id}, {run[0][0]} to {run[-1][0]}")
            with TemporaryDirectory(prefix="ingest-export-") as folder:
                result = services.exporter.export(ExportRequest(channel_id, span), Path(folder))
                documents = services.landing.land(
                    result.path, session.session_id, run, channel_id, result.started_at
                )
            exported.append(
                Exported(
                    channel_id=channel_id,
                    keys=tuple(key for key, _ in run),
                    messages=result.message_count,
                    seconds=result.seconds,
                    warnings=result.warnings,
                    documents=tuple(documents),
                )
            )
    return exported


def landed_documents(
    services: Services, session: Session, keys: Sequence[str], correlation_id: str
) -> list[tuple[str, ExportDocument]]:
    """Return the landed documents of some windows, with their keys, ready to be normalised."""
    policies = services.policies()
    windows = session_windows(services, session, keys)
    return [
        (landed.key, _landed_document(landed, policies.policy(landed.channel_id), correlation_id))
        for landed in services.landing.landed(session.session_id, windows, session.channel_ids)
    ]


def normalise_windows(
    services: Services, session: Session, keys: Sequence[str], correlation_id: str
) -> list[StoredDocument]:
    """Normalise landed windows into their Parquet files.

    Raises:
        BadInput: A landed document is damaged; its file is as it was.
    """
    return [
        services.normalised.save(document, session.session_id, key)
        for key, document in landed_documents(services, session, keys, correlation_id)
    ]


def stored_documents(services: Services, session: Session, keys: Sequence[str]) -> list[StoredDocument]:
    """Return the normalised documents of some windows that exist."""
    return [
        services.normalised.load(session.session_id, key, channel_id)
        for key, _ in session_windows(services, session, keys)
        for channel_id in session.channel_ids
        if services.normalised.path(session.session_id, key, channel_id).exists()
    ]


def merge_documents(
    services: Services,
    documents: Sequence[Document],
    correlation_id: str,
    progress: Progress | None = None,
) -> IngestReport:
    """Merge documents with the deployment's settings; see `ingest_landed`."""
    return ingest_landed(
        services.database,
        documents,
        correlation_id=correlation_id,
        settle=services.settings.settle,
        batch_rows=services.settings.batch_rows,
        progress=progress,
    )


def backfill_session(
    services: Services,
    session_id: str,
    *,
    keys: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> IngestReport:
    """Read a whole session, or some windows of it, anew.

    Raises:
        SessionNotFound: There is no such session.
        IngestError: As for `refresh_landing` and `ingest_landed`.
    """
    session = load_session(services, session_id)
    wanted = services.grid.keys if keys is None else keys
    correlation_id = new_correlation_id()
    refresh_landing(services, session, wanted, progress)
    documents = [document for _, document in landed_documents(services, session, wanted, correlation_id)]
    return merge_documents(services, documents, correlation_id)


def import_messages(
    services: Services,
    session_id: str,
    *,
    channel_id: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    file: Path | None = None,
    output_dir: Path | None = None,
    keep_file: bool = False,
    progress: Progress | None = None,
) -> IngestReport:
    """Import a stretch of a session's messages, from Discord or from an export file.

    Args:
        services: The working parts.
        session_id: The session the messages are linked to.
        channel_id: The channel to export, by default each of the session's; with `file`, the channel
            that the file must be of.
        start: First time to take, aware; the session's start by default.
        end: Time to stop before, aware; the session's end by default.
        file: An export to import instead of running the exporter.
        output_dir: Where the exporter writes; `tmp_transcripts_from_discord` in the data folder by default.
        keep_file: Keep the exporter's files.
        progress: Called with the number of messages read so far.

    Raises:
        SessionNotFound: There is no such session.
        WindowInvalid: A bound is naive, or the end is not after the start.
        IngestError: As for the exporter and `ingest_landed`.
    """
    session = load_session(services, session_id)
    window = Window(start or session.start_time, end or session.end_time)
    correlation_id = new_correlation_id()
    if file is not None:
        document = _file_document(
            services, session, file, window=window, channel_id=channel_id, correlation_id=correlation_id
        )
        return merge_documents(services, [document], correlation_id, progress)
    channels = [channel_id] if channel_id else session.channel_ids
    folder = output_dir or services.settings.data_dir / "tmp_transcripts_from_discord"
    folder.mkdir(parents=True, exist_ok=True)
    results: list[ExportResult] = []
    try:
        results.extend(services.exporter.export(ExportRequest(each, window), folder) for each in channels)
        documents = [_export_document(services, session, result, correlation_id) for result in results]
        return merge_documents(services, documents, correlation_id, progress)
    finally:
        if not keep_file:
            for result in results:
                result.path.unlink(missing_ok=True)


def poll_live_session(
    services: Services, window_seconds: int = 30, now: datetime | None = None
) -> IngestReport | None:
    """Import what the live session has new: the trailing window, and whatever is unproven before it.

    Returns:
        The report, or None when no session is live.
    """
    moment = now or datetime.now(UTC)

    with services.database.read() as connection:
        live = live_sessions(list_sessions(connection), moment)
        if not live:
            return None
        missing = missing_time(connection, live[0], moment)
    since = min((gap.start for gap in missing), default=moment) - services.settings.overlap
    start = min(since, moment - timedelta(seconds=window_seconds))
    return import_messages(services, live[0].session_id, start=max(start, live[0].start_time), end=moment)


def load_session(services: Services, session_id: str) -> Session:
    """Return a stored session.

    Raises:
        SessionNotFound: There is no such session.
    """
    with services.database.read() as connection:
        return find_session(connection, session_id)


def _landed_document(landed: Landed, policy: ChannelPolicy, correlation_id: str) -> ExportDocument:
    header = landed.header()
    observed_at = header.read_at or _modified_at(landed.path.stat().st_mtime)
    return ExportDocument(
        opener=landed.open,
        name=str(landed.path),
        header=header,
        policy=policy,
        window=landed.window,
        complete=True,
        provenance=Provenance(landed.session_id, "export", observed_at, correlation_id),
    )


def _export_document(
    services: Services, session: Session, result: ExportResult, correlation_id: str
) -> ExportDocument:
    with result.path.open("rb") as stream:
        header = read_header(stream, result.path.name)
    return ExportDocument(
        opener=partial(_open, result.path),
        name=str(result.path),
        header=header,
        policy=services.policies().policy(result.channel_id),
        window=result.window,
        complete=True,
        provenance=Provenance(session.session_id, "export", result.started_at, correlation_id),
    )


def _file_document(
    services: Services,
    session: Session,
    file: Path,
    *,
    window: Window,
    channel_id: int | None,
    correlation_id: str,
) -> ExportDocument:
    """Return a user's file as a document; it proves nothing, as nobody saw how its export ended."""
    try:
        with file.open("rb") as stream:
            header = read_header(stream, str(file))
        modified_at = _modified_at(file.stat().st_mtime)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}): check the path") from error
    if channel_id is not None and channel_id != header.channel_id:
        raise ExportMismatch(
            f"{file} is an export of channel {header.channel_id}, not of {channel_id}: "
            "leave --channel-id out, or give the other channel's file"
        )
    return ExportDocument(
        opener=partial(_open, file),
        name=str(file),
        header=header,
        policy=services.policies().policy(header.channel_id),
        window=window,
        complete=False,
        provenance=Provenance(session.session_id, "file", header.read_at or modified_at, correlation_id),
    )


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _modified_at(seconds: float) -> datetime:
    """Return a file's time: the latest at which its messages can have been read."""
    return datetime.fromtimestamp(seconds, UTC)
