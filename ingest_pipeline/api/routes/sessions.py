"""Sessions as the interface shows them: routes, and models of progress, bot and reading."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import AliasPath, BaseModel, Field
from starlette.responses import Response

from ingest_pipeline.api.access import Now, ServicesDep, Shared
from ingest_pipeline.api.fields import GivenKey, Shown, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.domain.guild import ChannelAccess as ChannelState
from ingest_pipeline.domain.session import Session
from ingest_pipeline.events import Event
from ingest_pipeline.monitoring.session_progress import (
    SessionProgress,
    WindowState,
    session_activity,
    session_progress,
)
from ingest_pipeline.monitoring.status import BotState, IngestHealth, IngestState, Status, Totals
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions
from ingest_pipeline.userconfig.settings_file import load_settings_file

router = APIRouter(prefix="/sessions", tags=["sessions"])


class SessionModel(BaseModel):
    """A session."""

    session_id: str
    state: Literal["upcoming", "live", "finished", "cancelled"]
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

    @classmethod
    def of(cls, session: Session, now: datetime) -> SessionModel:
        """Describe a session at a time."""
        state = "live" if session.is_live(now) else "finished" if session.end_time <= now else "upcoming"
        if session.is_cancelled:
            state = "cancelled"
        return cls.model_validate({**asdict(session), "state": state})


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


class BatchModel(BaseModel):
    """The end of a batch."""

    at: ShownTime
    correlation_id: str
    source: str
    session_id: str | None
    created: int = 0
    updated: int = 0
    error: str | None = None

    @classmethod
    def of(cls, event: Event) -> BatchModel:
        """Describe the event that ended it."""
        return cls(
            at=event.created_at,
            correlation_id=event.correlation_id,
            source=event.source,
            session_id=event.session_id,
            created=event.data.get("created", 0),
            updated=event.data.get("updated", 0),
            error=event.data.get("message"),
        )


class ReadingModel(BaseModel):
    """The status of reading."""

    state: IngestState
    last_completed: BatchModel | None
    last_failed: BatchModel | None
    problem: str | None = Field(None, description="What is wrong with the settings of channels.")

    @classmethod
    def of(cls, reading: IngestHealth) -> ReadingModel:
        """Describe how reading goes."""
        done, failed = reading.last_completed, reading.last_failed
        return cls(
            state=reading.state,
            last_completed=BatchModel.of(done) if done else None,
            last_failed=BatchModel.of(failed) if failed else None,
            problem=reading.problem,
        )


class OperationModel(Shown):
    """Something that goes on."""

    tag: str = Field(description="What, such as `sync:guilds`, `sync:channels` or `catch-up:channels`.")
    since: ShownTime


class BotModel(Shown):
    """The state of the bot."""

    state: BotState = Field(description="`lost`: its heartbeat is missing, and it did not stop in order.")
    since: ShownTime | None
    heartbeat_at: ShownTime | None = Field(description="When it was last alive.")
    reason: str | None = Field(description="The reason for which it gave up.")
    operations: list[OperationModel] = Field(description="Its running operations, the oldest first.")


class UnreadableModel(Shown):
    """A monitored channel that the bot cannot read."""

    guild_id: ShownId = Field(validation_alias=AliasPath("channel", "guild_id"))
    guild_name: str
    channel_id: ShownId = Field(validation_alias=AliasPath("channel", "channel_id"))
    channel_name: str = Field(validation_alias=AliasPath("channel", "name"))
    reading_state: ChannelState = Field(validation_alias=AliasPath("channel", "reading_state"))
    remedy: str = Field(description="What to grant.")


class StatusModel(BaseModel):
    """The status."""

    as_of: ShownTime
    engine: Literal["duckdb", "postgres"]
    poll_interval_seconds: int
    live: list[ProgressModel]
    upcoming: SessionModel | None
    latest: ProgressModel | None
    reading: ReadingModel
    bot: BotModel
    unreadable_channels: list[UnreadableModel] = Field(
        description=("Monitored channels that the bot cannot read.")
    )
    messages: dict[str, int] = Field(description="Live messages by how they were first read.")

    @classmethod
    def of(cls, status: Status, totals: Totals, settings: Settings) -> StatusModel:
        """Describe a status."""
        now = status.as_of
        return cls(
            as_of=now,
            engine="postgres" if status.engine == "postgres" else "duckdb",
            poll_interval_seconds=settings.poll_interval_seconds,
            live=[ProgressModel.of(progress, now) for progress in status.live],
            upcoming=SessionModel.of(status.upcoming, now) if status.upcoming else None,
            latest=ProgressModel.of(status.latest, now) if status.latest else None,
            reading=ReadingModel.of(status.reading),
            bot=BotModel.model_validate(status.bot),
            unreadable_channels=[UnreadableModel.model_validate(each) for each in status.unreadable],
            messages=dict(totals.messages),
        )


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
