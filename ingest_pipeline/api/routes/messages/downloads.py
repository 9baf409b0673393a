"""Routes of files: messages as a file, and the report of a session."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from fastapi import APIRouter
from starlette.responses import HTMLResponse, StreamingResponse

from ingest_pipeline.api.access import Now, ServicesDep
from ingest_pipeline.api.fields import GivenId, GivenKey, GivenText, GivenTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.reporting.export import Heading, export_messages, session_heading
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.reporting.report import build_session_report
from ingest_pipeline.storage.messages.queries import MessageFilter
from ingest_pipeline.storage.messages.sessions import find_session

router = APIRouter(tags=["files"])
_IN_MEMORY_BYTES = 2**20
_CHUNK_BYTES = 2**16
_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.JSON: "application/json",
    ExportFormat.HTML: "text/html; charset=utf-8",
}
# Both pages carry their style and pictures within them, and nothing that runs.
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@router.get(
    "/sessions/{session_id}/report",
    summary="The report of a session",
    response_class=HTMLResponse,
    responses=documented(404, 422),
)
def report(session_id: GivenKey, services: ServicesDep, now: Now) -> HTMLResponse:
    """Show the report of a session as it stands now, as a web page."""
    with services.database.read() as connection:
        session = find_session(connection, session_id)
    page, _, _ = build_session_report(services, session, now)
    return HTMLResponse(page, headers=_PAGE_HEADERS)


@router.get(
    "/export",
    summary="Messages as a file",
    response_class=StreamingResponse,
    responses={
        200: {"content": {name.partition(";")[0]: {} for name in _TYPES.values()}},
        **documented(404, 422),
    },
)
def export(
    services: ServicesDep,
    *,
    format: ExportFormat = ExportFormat.CSV,  # noqa: A002 - the name of the parameter
    session_id: GivenKey | None = None,
    channel_id: GivenId | None = None,
    guild_id: GivenId | None = None,
    author_id: GivenId | None = None,
    driver: GivenText | None = None,
    since: GivenTime | None = None,
    until: GivenTime | None = None,
) -> StreamingResponse:
    """Write live messages to a file, oldest first: a snapshot of one moment; see `ingest export`."""
    wanted = MessageFilter(session_id, channel_id, driver, author_id, since, until, guild_id=guild_id)
    # In whole first: a slow reader must not hold the database.
    file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by what sends it
    try:
        with services.database.read() as connection:
            heading = Heading("Messages")
            if session_id is not None:
                heading = session_heading(find_session(connection, session_id))
            export_messages(connection, wanted, heading, format, cast("BinaryIO", file))
    except BaseException:
        file.close()
        raise
    name = session_id or "messages"
    headers = {**_PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}.{format.value}"'}
    return StreamingResponse(_chunks(file), media_type=_TYPES[format], headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
