"""Threads of a session's channels, read with the exporter.

A bot sees threads as they come. Without one they are read once, when the session is sealed: listing a
channel's threads takes several requests, too many for every tick.
"""

from __future__ import annotations

import logging

from ingest_pipeline.errors import ExporterTimeout, IngestError, TransientError
from ingest_pipeline.ingestion.imports import export_document, load_session, merge_documents
from ingest_pipeline.ingestion.ingest import IngestReport, OnRowsMerged, new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.exporter.chat_exporter import ExportRequest, ExportResult

_logger = logging.getLogger(__name__)


def read_threads(
    services: Services, session_id: str, *, on_rows_merged: OnRowsMerged | None = None
) -> IngestReport | None:
    """Read the threads of a session's channels, as far as they have messages of its time.

    Args:
        services: For the exporter and the database.
        session_id: The session.
        on_rows_merged: What is made of the rows; see `ingest_documents`.

    Returns:
        What was merged, or None when there was no such thread.

    Raises:
        SessionNotFound: There is no such session.
        IngestError: As for `ChatExporter.export_threads` and `ingest_documents`.
    """
    session = load_session(services, session_id)
    folder = services.settings.data_dir / "tmp_transcripts_from_discord"
    correlation_id = new_correlation_id()
    results: list[ExportResult] = []
    try:
        for channel_id in session.channel_ids:
            results += services.exporter.export_threads(ExportRequest(channel_id, session.window), folder)
        if not results:
            return None
        policies = services.read_policies([result.channel_id for result in results])
        documents = [
            export_document(session.session_id, result, policies[result.channel_id], correlation_id)
            for result in results
        ]
        return merge_documents(services, documents, correlation_id, on_rows_merged=on_rows_merged)
    finally:
        for result in results:
            result.path.unlink(missing_ok=True)


def read_threads_if_possible(
    services: Services, session_id: str, *, on_rows_merged: OnRowsMerged | None = None
) -> None:
    """Do as `read_threads`, and log why when the exporter cannot.

    Raises:
        TransientError: It cannot now; trying again may help.
    """
    try:
        report = read_threads(services, session_id, on_rows_merged=on_rows_merged)
    except IngestError as error:
        # A channel with very many threads would time out at every attempt.
        if isinstance(error, TransientError) and not isinstance(error, ExporterTimeout):
            raise
        _logger.warning("the threads of session %s were not read: %s", session_id, error)
    else:
        if report is not None:
            _logger.info("threads of session %s: %d messages are new", session_id, report.created)
