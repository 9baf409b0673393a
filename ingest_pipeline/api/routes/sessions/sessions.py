"""Sessions as the interface shows them: lists, progress, gaps and activity."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AliasPath, BaseModel, Field
from starlette.responses import Response

from ingest_pipeline.api.access import Now, ServicesDep, Shared
from ingest_pipeline.api.fields import (
    GivenCursor,
    GivenKey,
    PageSize,
    ShownId,
    ShownTime,
    place_cursor,
    place_of,
)
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.catalogue.channels import GapModel, Gaps
from ingest_pipeline.completeness.gap_listing import gaps_between
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.monitoring.session_progress import (
    SessionProgress,
    WindowState,
    session_activity,
    session_progress,
)
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions
from ingest_pipeline.userconfig.settings_file import load_settings_file

router = APIRouter(prefix="/sessions", tags=["sessions"])


SessionState = Literal["upcoming", "live", "finished", "cancelled"]


class SessionModel(BaseModel):
    """A session."""

    session_id: str
    state: SessionState
    start_time: ShownTime
    end_time: ShownTime
    scheduled_end: ShownTime | None = Field(description="When it should have ended, if it went on.")
    channel_ids: list[ShownId]
    year: int | None
    round_number: int | None
    session_type: str | None
    event_name: str | None
    location: str | None
    country: str | None
    messages: int | None = Field(None, description="Its live messages so far; in lists with progress=true.")
    elapsed_seconds: float | None = Field(None, description="How much of it is over; likewise.")
    proven_seconds: float | None = Field(None, description="The part of that which is proven; likewise.")

    @classmethod
    def of(cls, session: Session, now: datetime) -> SessionModel:
        """Describe a session at a time."""
        return cls.model_validate({**asdict(session), "state": session_state(session, now)})


def session_state(session: Session, now: datetime) -> SessionState:
    """Return the state of a session at a time."""
    if session.is_cancelled:
        return "cancelled"
    return "live" if session.is_live(now) else "finished" if session.end_time <= now else "upcoming"


class TimeRangeModel(BaseModel):
    """A time range, its end excluded."""

    start: ShownTime
    end: ShownTime


class WindowModel(BaseModel):
    """A window of a session."""

    start: ShownTime = Field(validation_alias=AliasPath("window", "start"))
    end: ShownTime = Field(validation_alias=AliasPath("window", "end"))
    key: str
    state: WindowState


class ProgressModel(BaseModel):
    """The progress of a session."""

    session: SessionModel
    elapsed_seconds: float = Field(description="How much of it is over.")
    proven_seconds: float = Field(description="The part of it that is proven complete.")
    lag_seconds: float = Field(description="How far its newest proof is behind now, or its end.")
    missing: list[TimeRangeModel] = Field(description="Past time that is not proven.")
    windows: list[WindowModel]
    messages: int

    @classmethod
    def of(cls, progress: SessionProgress, now: datetime) -> ProgressModel:
        """Describe a session's progress at a time."""
        return cls.model_validate({**asdict(progress), "session": SessionModel.of(progress.session, now)})


class MinuteModel(BaseModel):
    """A minute with messages."""

    minute: ShownTime
    messages: int


class DriverModel(BaseModel):
    """The number of messages of a driver."""

    driver: str
    messages: int
    last_posted_at: ShownTime


class ActivityModel(BaseModel):
    """A session's messages by minute and by driver."""

    session_id: str
    minutes: list[MinuteModel] = Field(description="Minutes without messages are left out.")
    drivers: list[DriverModel] = Field(description="Most frequent first.")


class Sessions(BaseModel):
    """Sessions by their start."""

    items: list[SessionModel]
    next_cursor: str | None = Field(None, description="For the next page; null on the last page.")


@router.get("", summary="Sessions", response_model=Sessions, responses=documented(422))
def found_sessions(
    services: ServicesDep,
    shared: Shared,
    now: Now,
    *,
    state: SessionState | None = None,
    newest: Annotated[bool, Query(description="The one that starts last first.")] = False,
    progress: Annotated[
        bool, Query(description="With messages and coverage of each; then 50 a page.")
    ] = False,
    cursor: GivenCursor = None,
    limit: PageSize | None = None,
) -> Response:
    """List the sessions, by their start: all of them, or those in a state, at once or in pages."""
    after = None if cursor is None else place_of(cursor)
    maximum = limit or (50 if progress else None)

    def look() -> Sessions:
        with services.database.read() as connection:
            found = [each for each in list_sessions(connection) if state in {None, session_state(each, now)}]
            if newest:
                found.reverse()
            if after is not None:
                found = [
                    each for each in found if ((_place(each) < after) if newest else (_place(each) > after))
                ]
            items = [SessionModel.of(each, now) for each in found[:maximum]]
            if progress:
                for item, session in zip(items, found[:maximum], strict=True):
                    known = session_progress(connection, session, services.grid, now)
                    item.messages = known.messages
                    item.elapsed_seconds = known.elapsed_seconds
                    item.proven_seconds = known.proven_seconds
        is_last = maximum is None or len(found) <= maximum
        return Sessions(
            items=items, next_cursor=None if is_last else place_cursor(*_place(found[len(items) - 1]))
        )

    # What is over changes with commits alone.
    second = now.replace(second=0 if state == "finished" else now.second, microsecond=0)
    return shared.get(("sessions", second, state, newest, progress, after, maximum), look)


def _place(session: Session) -> tuple[datetime, str]:
    return session.start_time, session.session_id


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
    "/{session_id}/gaps",
    summary="What is missing of a session, and why",
    response_model=Gaps,
    responses=documented(404, 422),
)
def missing(session_id: GivenKey, services: ServicesDep, shared: Shared, now: Now) -> Response:
    """List what is not proven of its channels, from its start to its end or until now."""

    def look() -> Gaps:
        with services.database.read() as connection:
            session = find_session(connection, session_id)
            end = min(session.end_time, now)
            over = Window(session.start_time, end) if session.start_time < end else None
            found = gaps_between(connection, session.channel_ids, over) if over else []
        return Gaps(items=[GapModel.model_validate(each) for each in found])

    return shared.get(("gaps", session_id, now.replace(microsecond=0)), look)


@router.get(
    "/{session_id}/activity",
    summary="A session's messages in numbers",
    response_model=ActivityModel,
    responses=documented(404, 422),
)
def activity(session_id: GivenKey, services: ServicesDep, shared: Shared) -> Response:
    """Count a session's messages by minute and by driver; drivers as its report counts them."""

    def look() -> ActivityModel:
        file = load_settings_file(services.settings.settings_file, groups=False)
        with services.database.read() as connection:
            minutes, drivers = session_activity(connection, find_session(connection, session_id), file)
        return ActivityModel(
            session_id=session_id,
            minutes=[MinuteModel(minute=minute, messages=count) for minute, count in minutes],
            drivers=[DriverModel(**driver) for driver in drivers],
        )

    return shared.get(("activity", session_id), look)
