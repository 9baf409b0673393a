"""The refresh of a session's windows: the steps that the assets run one by one.

Export and land, normalize, and hand the normalized documents to the merge. Imports of any other
time range, and whole sessions in one go, are in `imports.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest_pipeline.domain.messages.message import OBSERVED_AT_UNKNOWN
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window, contiguous, document_key, window_key
from ingest_pipeline.errors import BadInput, DiscordRejected, DiscordUnavailable, ExporterFailed, IngestError
from ingest_pipeline.ingestion.batch_events import failures_recorded
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.documents.normalized_store import StoredDocument
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.exports.header import ExportHeader
from ingest_pipeline.landing.store import Landed
from ingest_pipeline.sources.exporter.chat_exporter import ExportRequest
from ingest_pipeline.storage.erasure_list import read_erasures


@dataclass(frozen=True, slots=True)
class Exported:
    """One exporter run of a refresh.

    Attributes:
        channel_id: The channel read.
        keys: The windows that it covered, or had a part of.
        messages: Messages in it.
        seconds: Wall time of the run.
        warnings: What the exporter warned of, or why there is no export.
        documents: What landed.
        error: Why the channel could not be read, or None.
    """

    channel_id: int
    keys: tuple[str, ...]
    messages: int
    seconds: float
    warnings: tuple[str, ...]
    documents: tuple[Landed, ...]
    error: IngestError | None = None


def session_windows(
    services: Services, session: Session, keys: Iterable[str], now: datetime | None = None
) -> list[tuple[str, Window]]:
    """Return those of a session's windows, or parts of windows, that have begun, in time order.

    Windows past the session's end, or still to come, are left out: reading them is a no-op.
    """
    moment = now or datetime.now(UTC)
    grid = services.grid
    timed = [(key, grid.window(key, session.window)) for key in sorted(keys, key=grid.offset)]
    return [(key, window) for key, window in timed if window is not None and window.start <= moment]


def document_windows(
    services: Services, session: Session, keys: Iterable[str], now: datetime | None = None
) -> list[tuple[str, Window]]:
    """Return the keys and times of the documents that windows, or parts of windows, are landed as.

    There is one for each window, or for each part of a window that has several, as far as they have begun.
    """
    moment = now or datetime.now(UTC)
    parts = {part for key in keys for part in services.grid.part_windows(key, session.window)}
    begun = [(part, window) for part, window in parts if window.start <= moment]
    return [(document_key(part), window) for part, window in sorted(begun, key=lambda each: each[1].start)]


def refresh_landing(
    services: Services,
    session: Session,
    keys: Sequence[str],
    correlation_id: str | None = None,
    *,
    of_channels: Mapping[int, Collection[str]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Exported]:
    """Read windows or parts of them again: one exporter run for each channel and contiguous range.

    A channel that cannot be read does not keep the others from being read: its runs are returned with
    their error, which is recorded, and its windows stay unproven.

    Args:
        keys: Windows, or parts of them.
        correlation_id: Of the journey that this begins; one of its own by default.
        of_channels: To which windows and parts, as far as `keys` has them, each channel is limited; every
            channel is read whole when None.
        progress: Called with what is being done.

    Raises:
        ExporterFailed: No channel could be read; what had landed stays as it was.
        DiscordUnavailable: As above: Discord does not answer.
        DiscordRejected: As above, and Discord will refuse again.
        BadInput: As above, because the exports were damaged or others have landed meanwhile.
        StorageRejected: The landing store cannot be written.
        StorageUnavailable: The landing store does not answer.
    """
    correlation_id = correlation_id or new_correlation_id()
    parts = {part for key in keys for part in services.grid.parts(key, session.window)}
    exported = [
        _refresh(services, session, channel_id, run, correlation_id=correlation_id, progress=progress)
        for channel_id in session.channel_ids
        for run in contiguous(
            document_windows(
                services,
                session,
                parts if of_channels is None else parts.intersection(of_channels[channel_id]),
            )
        )
    ]
    errors = [each.error for each in exported if each.error]
    if errors and len(errors) == len(exported):
        raise errors[0]
    return exported


def _refresh(
    services: Services,
    session: Session,
    channel_id: int,
    run: Sequence[tuple[str, Window]],
    *,
    correlation_id: str,
    progress: Callable[[str], None] | None,
) -> Exported:
    keys = tuple(dict.fromkeys(window_key(key) for key, _ in run))
    if progress:
        progress(f"channel {channel_id}, {run[0][0]} to {run[-1][0]}")
    request = ExportRequest(channel_id, Window(run[0][1].start, run[-1][1].end))
    recorded = failures_recorded(
        services.database,
        correlation_id,
        "export",
        session_id=session.session_id,
        channel_ids=[channel_id],
    )
    try:
        with recorded, TemporaryDirectory(prefix="ingest-export-") as folder:
            result = services.exporter.export(request, Path(folder))
            documents = services.landing.land(
                result.path,
                session.session_id,
                run,
                channel_id,
                result.started_at,
                erasures=read_erasures(services.database),
            )
    except (ExporterFailed, DiscordUnavailable, DiscordRejected, BadInput) as error:
        if progress:
            progress(f"channel {channel_id} was not read: {error}")
        return Exported(channel_id, keys, 0, 0.0, (str(error),), (), error)
    return Exported(channel_id, keys, result.message_count, result.seconds, result.warnings, tuple(documents))


def landed_documents(
    services: Services, session: Session, keys: Sequence[str], correlation_id: str
) -> list[tuple[str, ExportDocument]]:
    """Return the landed documents of some windows, with their keys, ready to be normalized."""
    policies = services.read_policies(session.channel_ids)
    windows = document_windows(services, session, keys)
    return [
        (landed.key, _landed_document(services, session, landed, policies[landed.channel_id], correlation_id))
        for landed in services.landing.landed(session.session_id, windows, session.channel_ids)
    ]


def normalize_windows(
    services: Services, session: Session, keys: Sequence[str], correlation_id: str
) -> list[StoredDocument]:
    """Normalize landed windows into their Parquet files.

    Raises:
        BadInput: A landed document is damaged; its file is as it was.
    """
    with failures_recorded(
        services.database,
        correlation_id,
        "export",
        session_id=session.session_id,
        channel_ids=session.channel_ids,
    ):
        return [
            services.normalized.save(document, session.session_id, key)
            for key, document in landed_documents(services, session, keys, correlation_id)
        ]


def stored_documents(services: Services, session: Session, keys: Sequence[str]) -> list[StoredDocument]:
    """Return the normalized documents of some windows that exist."""
    return services.normalized.stored(
        session.session_id,
        [key for key, _ in document_windows(services, session, keys)],
        session.channel_ids,
    )


def _landed_document(
    services: Services, session: Session, landed: Landed, policy: ChannelPolicy, correlation_id: str
) -> ExportDocument:
    header = landed.header()
    whole = services.grid.window(window_key(landed.key), session.window) or landed.window
    window = _window_of(landed, header, whole)
    return ExportDocument(
        opener=landed.open,
        name=str(landed.path),
        header=header,
        policy=policy,
        window=window,
        # A document that was read for other bounds, before a session was moved or windows were made
        # wider, does not hold everything of this window.
        complete=(header.after, header.before) == (window.start, window.end),
        provenance=Provenance(
            landed.session_id, "export", header.read_at or OBSERVED_AT_UNKNOWN, correlation_id
        ),
    )


def _window_of(landed: Landed, header: ExportHeader, whole: Window) -> Window:
    """Return the window that a document covers: its own, or the whole of a window with parts."""
    # Before windows had parts, the last one of a long session was one document.
    if header.after == landed.window.start and header.before and header.before > landed.window.end:
        return Window(landed.window.start, min(header.before, whole.end))
    return landed.window
