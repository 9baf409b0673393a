"""The state of everything, and the probes."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import AliasPath, BaseModel, Field

from ingest_pipeline.api.access import BoundedLookups, HotStatus, HotTotals, ServicesDep
from ingest_pipeline.api.fields import Shown, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.sessions.sessions import ProgressModel, SessionModel
from ingest_pipeline.domain.guild import ChannelAccess as ChannelState
from ingest_pipeline.events import Event
from ingest_pipeline.monitoring.status import BotState, IngestHealth, IngestState, Status, Totals
from ingest_pipeline.settings import Settings

probes = APIRouter(tags=["health"])
router = APIRouter(tags=["health"])


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


class Alive(BaseModel):
    """The program runs."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The database answers."""

    status: Literal["ready"] = "ready"


@probes.get("/livez", summary="Does the program run?")
async def livez() -> Alive:
    """Answer without looking at anything."""
    return Alive()


@probes.get("/health", summary="Does the program run?")
async def health() -> Alive:
    """Answer as `/livez` does, for monitoring that asks under this name."""
    return Alive()


@probes.get("/readyz", summary="Can the database be read?", responses=documented())
async def readyz(lookups: BoundedLookups) -> Ready:
    """Ask the database, at most twice a second; one that does not answer within a second is not ready."""
    await lookups.answer.get()
    return Ready()


@router.get("/status", summary="How is everything?", responses=documented())
def status(found: HotStatus, totals: HotTotals, services: ServicesDep) -> StatusModel:
    """Return live, next and last session, and the states of reading, of the bot and of the table.

    At most a second old, the count of messages fifteen. While the database is in use elsewhere, the
    last status is returned again for up to a minute: `as_of` says when it was true.
    """
    return StatusModel.of(found, totals, services.settings)
