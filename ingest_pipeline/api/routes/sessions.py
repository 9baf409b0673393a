"""Routes of sessions: the list, single ones, their coverage and their activity."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from ingest_pipeline.api.access import Now, ServicesDep, Shared
from ingest_pipeline.api.fields import GivenKey
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.session_models import (
    ActivityModel,
    DriverModel,
    MinuteModel,
    ProgressModel,
    SessionModel,
)
from ingest_pipeline.monitoring.session_progress import session_activity, session_progress
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions

router = APIRouter(prefix="/sessions", tags=["sessions"])


class Sessions(BaseModel):
    """All sessions by their start."""

    items: list[SessionModel]


@router.get("", summary="All sessions", response_model=Sessions, responses=documented())
def every_session(services: ServicesDep, shared: Shared, now: Now) -> Response:
    """List the sessions by their start."""

    def look() -> Sessions:
        with services.database.read() as connection:
            return Sessions(items=[SessionModel.of(session, now) for session in list_sessions(connection)])

    return shared.get(("sessions", now.replace(microsecond=0)), look)


@router.get("/{session_id}", summary="One session", responses=documented(404, 422))
def one_session(session_id: GivenKey, services: ServicesDep, now: Now) -> SessionModel:
    """Show a session."""
    with services.database.read() as connection:
        return SessionModel.of(find_session(connection, session_id), now)


@router.get(
    "/{session_id}/coverage",
    summary="Coverage of a session",
    response_model=ProgressModel,
    responses=documented(404, 422),
)
def coverage(session_id: GivenKey, services: ServicesDep, shared: Shared, now: Now) -> Response:
    """Show what is proven and what is missing of a session, in time and by window; at most a second old."""

    def look() -> ProgressModel:
        with services.database.read() as connection:
            session = find_session(connection, session_id)
            return ProgressModel.of(session_progress(connection, session, services.grid, now), now)

    return shared.get(("coverage", session_id, now.replace(microsecond=0)), look)


@router.get(
    "/{session_id}/activity",
    summary="A session's messages in numbers",
    response_model=ActivityModel,
    responses=documented(404, 422),
)
def activity(session_id: GivenKey, services: ServicesDep, shared: Shared) -> Response:
    """Count a session's messages by minute and by driver."""

    def look() -> ActivityModel:
        with services.database.read() as connection:
            minutes, drivers = session_activity(connection, find_session(connection, session_id))
        return ActivityModel(
            session_id=session_id,
            minutes=[MinuteModel(minute=minute, messages=count) for minute, count in minutes],
            drivers=[DriverModel(**driver) for driver in drivers],
        )

    return shared.get(("activity", session_id), look)
