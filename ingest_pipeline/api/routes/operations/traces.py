"""Routes of journeys and events: one message or batch, all batches, and what was reported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from ingest_pipeline.api.access import ServicesDep, Shared
from ingest_pipeline.api.fields import (
    GivenCursor,
    GivenKey,
    GivenText,
    GivenTime,
    PageSize,
    Shown,
    ShownId,
    ShownTime,
    place_cursor,
    place_of,
)
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.messages.messages import MessageModel, shown_messages
from ingest_pipeline.events import EventChannel
from ingest_pipeline.monitoring.tracing import trace
from ingest_pipeline.storage.runs.events import EventFilter, list_journeys, search_events

router = APIRouter(tags=["trace"])


class StageModel(Shown):
    """One step of a journey."""

    name: str
    at: ShownTime
    seconds: float = Field(description="Time since the stage before.")
    source: str
    correlation_id: str
    data: dict[str, Any]


class JourneyModel(BaseModel):
    """Everything known of a message or a batch."""

    identifier: str
    kind: Literal["message", "batch"]
    status: Literal["stored", "deleted", "received", "completed", "failed", "started"]
    correlation_id: str
    correlation_ids: list[str]
    completed_stages: list[str]
    stages: list[StageModel]
    run_id: str | None = Field(description="The Dagster run.")
    message: MessageModel | None
    messages: int = Field(description="Messages whose content this journey brought.")


@router.get("/trace/{identifier}", summary="A journey", responses=documented(404, 422))
def journey(
    identifier: Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._:-]+$")],
    services: ServicesDep,
) -> JourneyModel:
    """Return the journey of a message, by its Discord id, or of a batch, by its correlation or run id."""
    with services.database.read() as connection:
        found = trace(connection, identifier)
        shown = shown_messages(connection, [found.message] if found.message else [])
    values = {name: getattr(found, name) for name in JourneyModel.model_fields}
    return JourneyModel.model_validate({**values, "message": next(iter(shown), None)})


class JourneyLine(BaseModel):
    """The journey of a batch in a list."""

    correlation_id: str
    status: Literal["completed", "failed", "started"] = Field(
        description="`started`: it has no end; it runs, or was cut off."
    )
    source: str
    session_id: str | None
    run_id: str | None = Field(description="The Dagster run.")
    started_at: ShownTime
    last_event_at: ShownTime
    created: int
    updated: int
    error: str | None


class JourneyPage(BaseModel):
    """Journeys of batches, the one that began last first."""

    items: list[JourneyLine]
    next_cursor: str | None = Field(description="For the next page; null on the last page.")


@router.get(
    "/journeys",
    summary="Batches: done, failed, unfinished",
    response_model=JourneyPage,
    responses=documented(422),
)
def journeys(
    services: ServicesDep,
    shared: Shared,
    *,
    status: Annotated[Literal["completed", "failed", "started"] | None, Query()] = None,
    source: GivenText | None = None,
    session_id: GivenKey | None = None,
    cursor: GivenCursor = None,
    limit: PageSize = 50,
) -> Response:
    """List the journeys of batches whose events are kept, the one that began last first."""
    after = None if cursor is None else place_of(cursor)

    def look() -> JourneyPage:
        with services.database.read() as connection:
            rows = list_journeys(
                connection,
                status=status,
                source=source,
                session_id=session_id,
                after=after,
                limit=limit + 1,
            )
        page = [JourneyLine(**row) for row in rows[:limit]]
        last = page[-1] if len(rows) > limit else None
        return JourneyPage(
            items=page, next_cursor=last and place_cursor(last.started_at, last.correlation_id)
        )

    return shared.get(("journeys", status, source, session_id, after, limit), look)


class EventModel(BaseModel):
    """Something that happened."""

    event_id: str
    event_type: str
    channel: EventChannel
    correlation_id: str
    source: str
    message_id: ShownId | None
    session_id: str | None
    run_id: str | None = Field(description="The Dagster run.")
    data: dict[str, Any]
    created_at: ShownTime


class EventPage(BaseModel):
    """Events, newest first."""

    items: list[EventModel]
    next_cursor: str | None = Field(description="For the next page; null on the last page.")


@router.get("/events", summary="Events", response_model=EventPage, responses=documented(422))
def events(
    services: ServicesDep,
    shared: Shared,
    *,
    channel: EventChannel | None = None,
    event_type: GivenText | None = None,
    source: GivenText | None = None,
    session_id: GivenKey | None = None,
    correlation_id: GivenText | None = None,
    since: GivenTime | None = None,
    until: GivenTime | None = None,
    cursor: GivenCursor = None,
    limit: PageSize = 50,
) -> Response:
    """List events that are kept, newest first: of messages, of batches, of the bot and of the system.

    Filters that are left out let every event pass; `since` is included, `until` is not.
    """
    wanted = EventFilter(channel, event_type, source, session_id, correlation_id, since, until)
    after = None if cursor is None else place_of(cursor)

    def look() -> EventPage:
        with services.database.read() as connection:
            found = search_events(connection, wanted, after=after, limit=limit + 1)
        page = found[:limit]
        return EventPage(
            items=[EventModel(**each.as_dict()) for each in page],
            next_cursor=place_cursor(page[-1].created_at, page[-1].event_id) if len(found) > limit else None,
        )

    return shared.get(("events", wanted, after, limit), look)
