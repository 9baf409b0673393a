"""The route of journeys: a message or a batch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import ServicesDep
from ingest_pipeline.api.fields import Shown, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.messages import MessageModel, shown_messages
from ingest_pipeline.monitoring.tracing import trace

router = APIRouter(prefix="/trace", tags=["trace"])


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


@router.get("/{identifier}", summary="A journey", responses=documented(404, 422))
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
