"""The use cases behind the commands: import a time range or a file, poll, backfill.

Each composes the same steps: export, land, normalize, merge. The Dagster assets run the steps of
`refresh.py` one asset each; here they run in one go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from upath import UPath

from ingest_pipeline.domain.messages.message import OBSERVED_AT_UNKNOWN
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.sessions.session import Session, live_sessions
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput, ExportMismatch
from ingest_pipeline.ingestion.batch_events import failures_recorded
from ingest_pipeline.ingestion.documents.document import Document, Provenance
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.ingest import (
    IngestReport,
    OnRowsMerged,
    Progress,
    ingest_documents,
    new_correlation_id,
)
from ingest_pipeline.ingestion.overruns import extend_overrunning
from ingest_pipeline.ingestion.polling import missing_time
from ingest_pipeline.ingestion.refresh import landed_documents, refresh_landing
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.erasure.files import erase_from_export
from ingest_pipeline.landing.exports.header import ExportHeader
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.landing.files.member_streams import Damage
from ingest_pipeline.sources.exporter.chat_exporter import ExportRequest, ExportResult
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import read_erasures
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions, save_sessions

_logger = logging.getLogger(__name__)


def merge_documents(
    services: Services,
    documents: Sequence[Document],
    correlation_id: str,
    progress: Progress | None = None,
    on_rows_merged: OnRowsMerged | None = None,
) -> IngestReport:
    """Merge documents with the deployment's settings; see `ingest_documents`."""
    return ingest_documents(
        services.database,
        documents,
        correlation_id=correlation_id,
        settle=services.settings.settle,
        batch_rows=services.settings.batch_rows,
        progress=progress,
        on_rows_merged=on_rows_merged,
    )


def backfill_session(
    services: Services,
    session_id: str,
    *,
    keys: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    on_rows_merged: OnRowsMerged | None = None,
) -> IngestReport:
    """Read a whole session, or some windows of it, again.

    When some channels cannot be read, the others are merged before the first error is raised. What
    `on_rows_merged` is: see `ingest_documents`.

    Raises:
        SessionNotFound: There is no such session.
        IngestError: As for `refresh_landing` and `ingest_documents`.
    """
    session = load_session(services, session_id)
    wanted = services.grid.keys if keys is None else keys
    correlation_id = new_correlation_id()
    exported = refresh_landing(services, session, wanted, correlation_id, progress=progress)
    with failures_recorded(
        services.database,
        correlation_id,
        "export",
        session_id=session_id,
        channel_ids=session.channel_ids,
    ):
        documents = [document for _, document in landed_documents(services, session, wanted, correlation_id)]
    report = merge_documents(services, documents, correlation_id, on_rows_merged=on_rows_merged)
    for each in exported:
        if each.error:
            raise each.error
    return report


def import_messages(
    services: Services,
    session_id: str | None,
    *,
    channel_id: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    file: Path | None = None,
    output_dir: Path | None = None,
    keep_file: bool = False,
    keep_unmerged: bool = True,
    progress: Progress | None = None,
    on_rows_merged: OnRowsMerged | None = None,
) -> IngestReport:
    """Import a range of a session's or a channel's messages, from Discord or from an export file.

    Args:
        session_id: The session, or None for a channel between two times. A channel that the session lacks
            is added to it, which is logged: messages belong to a session by their channel.
        channel_id: The channel to export, by default each of the session's; with `file`, the channel
            that the file must be of.
        start: First time to take, aware; the session's start by default.
        end: Time to stop before, aware; the session's end by default.
        file: An export to import instead of running the exporter.
        output_dir: Where the exporter writes; `tmp_transcripts_from_discord` in the data folder by default.
        keep_file: Keep the exporter's files.
        keep_unmerged: Keep them when they could not be merged, so that they need not be exported again.
        progress: Called with the number of messages read so far.
        on_rows_merged: What is made of the rows, in the transaction that merges them; see `ingest_documents`.

    Raises:
        SessionNotFound: There is no such session.
        WindowInvalid: A bound is naive, or the end is not after the start.
        IngestError: As for the exporter and `ingest_documents`; or a channel or bound is missing.
    """
    session = None if session_id is None else load_session(services, session_id)
    window = _window_of(session, start, end)
    correlation_id = new_correlation_id()
    recorded = partial(failures_recorded, services.database, correlation_id, session_id=session_id)
    if file is not None and session is not None:
        with recorded("file", channel_ids=[channel_id] if channel_id else []):
            document = _named_file(
                services, session, file, window=window, channel_id=channel_id, correlation_id=correlation_id
            )
        _add_channel(services, session, document.channel_id, document.parent_id)
        return merge_documents(services, [document], correlation_id, progress, on_rows_merged)
    channels = [channel_id] if channel_id else session.channel_ids if session else ()
    if file is not None or not channels:
        raise BadInput(
            "without a session say which channel: --channel-id; `ingest import FILE` takes files without one"
        )
    folder = output_dir or services.settings.data_dir / "tmp_transcripts_from_discord"
    with _export_files(session_id, keep=keep_file, keep_unmerged=keep_unmerged) as results:
        for each in channels:
            with recorded("export", channel_ids=[each]):
                results.append(services.exporter.export(ExportRequest(each, window), folder))
        documents = _export_documents(services, session_id, results, correlation_id)
        for document in documents:
            _add_channel(services, session, document.channel_id, document.parent_id)
        return merge_documents(services, documents, correlation_id, progress, on_rows_merged)


def _export_documents(
    services: Services, session_id: str | None, results: Sequence[ExportResult], correlation_id: str
) -> list[ExportDocument]:
    for result in results:
        erase_from_export(UPath(result.path), read_erasures(services.database))
    policies = services.read_policies([result.channel_id for result in results])
    return [
        export_document(session_id, result, policies[result.channel_id], correlation_id) for result in results
    ]


def _window_of(session: Session | None, start: datetime | None, end: datetime | None) -> Window:
    """Return the bounds that are meant, those of the session by default."""
    first = start or (session.start_time if session else None)
    last = end or (session.end_time if session else None)
    if first is None or last is None:
        raise BadInput("without a session say from when to when: --start and --end")
    return Window(first, last)


def poll_live_session(
    services: Services,
    window_seconds: int = 30,
    now: datetime | None = None,
    *,
    on_rows_merged: OnRowsMerged | None = None,
) -> IngestReport | None:
    """Import what the live session has new: the trailing window, and whatever is unproven before it.

    What `on_rows_merged` is: see `ingest_documents`.

    Returns:
        The report, or None when no session is live.
    """
    moment = now or datetime.now(UTC)
    extend_overrunning(services, moment)
    with services.database.read() as connection:
        live = live_sessions(list_sessions(connection), moment)
        if not live:
            return None
        missing = missing_time(connection, live[0], moment)
    since = min((gap.start for gap in missing), default=moment) - services.settings.overlap
    start = min(since, moment - timedelta(seconds=window_seconds))
    return import_messages(
        services,
        live[0].session_id,
        start=max(start, live[0].start_time),
        end=moment,
        # The next poll reads the same again, and more.
        keep_unmerged=False,
        on_rows_merged=on_rows_merged,
    )


def load_session(services: Services, session_id: str) -> Session:
    """Return a stored session.

    Raises:
        SessionNotFound: There is no such session.
    """
    with services.database.read() as connection:
        return find_session(connection, session_id)


@contextmanager
def _export_files(session_id: str | None, *, keep: bool, keep_unmerged: bool) -> Iterator[list[ExportResult]]:
    """Yield a list for finished exports, whose files are deleted in the end unless they are to be kept."""
    results: list[ExportResult] = []
    try:
        yield results
    except BaseException:
        keep = keep or keep_unmerged
        for result in results if keep_unmerged else ():
            command = f"import-messages --session-id {session_id} --file" if session_id else "import"
            _logger.warning(
                "the finished export of channel %d is kept: import it with `ingest %s %s`",
                result.channel_id,
                command,
                result.path,
            )
        raise
    finally:
        for result in () if keep else results:
            result.path.unlink(missing_ok=True)


def _add_channel(services: Services, session: Session | None, channel_id: int, parent_id: int | None) -> None:
    """Add a channel to a session that takes neither it nor its parent; without it no message would belong."""
    if session is None or {channel_id, parent_id}.intersection(session.channel_ids):
        return

    def work(connection: Connection) -> bool:
        stored = find_session(connection, session.session_id)
        wider = replace(stored, channel_ids=(*stored.channel_ids, channel_id))
        changes = save_sessions(connection, [wider], now=datetime.now(UTC))
        return bool(changes.updated)

    if services.database.run(work):
        _logger.warning(
            "channel %d was added to session %s: messages posted there in its time belong to it from now on "
            "(`ingest sessions add --replace` takes it out again)",
            channel_id,
            session.session_id,
        )


def export_document(
    session_id: str | None, result: ExportResult, policy: ChannelPolicy, correlation_id: str
) -> ExportDocument:
    """Return a finished export as a document, which proves what it holds."""
    with result.path.open("rb") as stream:
        header = read_header(stream, result.path.name)
    return ExportDocument(
        opener=partial(_open, result.path),
        name=str(result.path),
        header=header,
        policy=policy,
        window=result.window,
        complete=True,
        provenance=Provenance(session_id, "export", result.started_at, correlation_id),
    )


def file_document(
    opener: Callable[[], BinaryIO],
    name: str,
    header: ExportHeader,
    *,
    policy: ChannelPolicy,
    window: Window | None,
    correlation_id: str,
    session_id: str | None = None,
    damage: Damage | None = None,
) -> ExportDocument:
    """Return a user's file as a document; it proves nothing, as nobody saw how its export ended.

    When it was read is known only from what it says itself: a copy of a file has a time of its own.

    Args:
        opener: Opens it.
        name: What to call it in errors.
        header: What it says of itself.
        policy: How its channel's messages are taken.
        window: Bounds on the time of posting, or None.
        session_id: The session it is imported for, or None.
        damage: Where to note a fault before which the messages are taken; None to refuse the file for it.
    """
    provenance = Provenance(session_id, "file", header.read_at or OBSERVED_AT_UNKNOWN, correlation_id)
    return ExportDocument(opener, name, header, policy, window, False, provenance, damage)


def _named_file(
    services: Services,
    session: Session,
    file: Path,
    *,
    window: Window,
    channel_id: int | None,
    correlation_id: str,
) -> ExportDocument:
    try:
        with file.open("rb") as stream:
            header = read_header(stream, str(file))
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}): check the path") from error
    if channel_id is not None and channel_id != header.channel_id:
        raise ExportMismatch(
            f"{file} is an export of channel {header.channel_id}, not of {channel_id}: "
            "leave --channel-id out, or give the other channel's file"
        )
    return file_document(
        partial(_open, file),
        str(file),
        header,
        policy=services.read_policies([header.channel_id])[header.channel_id],
        window=window,
        correlation_id=correlation_id,
        session_id=session.session_id,
    )


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
