"""Routes that add, change and remove sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute, require_writer
from ingest_pipeline.api.fields import GivenId, GivenKey, GivenText, GivenTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.sessions.sessions import SessionModel
from ingest_pipeline.content.sessions import drop_session, keep_session
from ingest_pipeline.userconfig.session_rows import SessionRow, build_sessions
from ingest_pipeline.userconfig.settings_file import default_channel

writing = APIRouter(
    prefix="/sessions",
    tags=["sessions"],
    dependencies=[Depends(require_writer)],
    route_class=WritingRoute,
)


class WantedSession(BaseModel):
    """All of a session but its id."""

    model_config = ConfigDict(extra="forbid")

    start_time: GivenTime
    end_time: GivenTime = Field(description="The moment after the last.")
    channel_ids: Annotated[list[GivenId], Field(min_length=1, max_length=100)] | None = Field(
        None, description="The default channel of `data/settings.yaml` if absent."
    )
    event_name: GivenText | None = None
    year: Annotated[int, Field(ge=0, le=9999)] | None = None
    round_number: Annotated[int, Field(ge=0, le=9999)] | None = None
    session_type: GivenText | None = None
    location: GivenText | None = None
    country: GivenText | None = None

    def fields(self) -> tuple[tuple[str, str | list[str] | None], ...]:
        """Return the values as a file has them."""
        values = self.model_dump(mode="json")
        return tuple(
            (name, [str(each) for each in value] if isinstance(value, list) else value and str(value))
            for name, value in values.items()
        )


@writing.put(
    "/{session_id}", summary="Add or change a session", responses=documented(401, 403, 413, 422, 503)
)
def put_session(session_id: GivenKey, wanted: WantedSession, services: ServicesDep, now: Now) -> SessionModel:
    """Store a session under its id, in place of one that has it; messages find their session anew.

    The same again changes nothing.
    """
    row = SessionRow("the request", (("session_id", session_id), *wanted.fields()))
    channel = default_channel(services.settings)
    [session] = build_sessions([row], f"PUT /sessions/{session_id}", default_channel_id=channel)
    keep_session(services, session, now)
    return SessionModel.of(session, now)


@writing.delete(
    "/{session_id}",
    status_code=204,
    summary="Remove a session",
    responses=documented(401, 403, 404, 422, 503),
)
def delete_session(session_id: GivenKey, services: ServicesDep) -> None:
    """Remove a session; its messages stay, linked to another session that contains them, or to none."""
    drop_session(services, session_id)
