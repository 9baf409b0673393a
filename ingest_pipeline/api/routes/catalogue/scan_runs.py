"""Routes of scan runs: readings of a channel's history, listed, shown and queued."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute, require_writer
from ingest_pipeline.api.fields import GivenId, GivenKey, PageSize, Shown, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.history.scan_plans import plan_requested
from ingest_pipeline.storage.runs.scan_runs import (
    RunKind,
    RunStatus,
    cancel_run,
    find_run,
    list_runs,
)

router = APIRouter(prefix="/scan-runs", tags=["scan runs"])
writing = APIRouter(
    prefix="/scan-runs",
    tags=["scan runs"],
    dependencies=[Depends(require_writer)],
    route_class=WritingRoute,
)


class ScanRunModel(Shown):
    """The reading of ids in `(lower_id, head_id]` of a channel."""

    scan_run_id: str
    guild_id: ShownId
    channel_id: ShownId
    kind: RunKind
    status: RunStatus
    lower_id: ShownId
    head_id: ShownId | None
    cursor_id: ShownId
    progress: float | None = Field(description="The part of its time that is read; null before it began.")
    messages_read: int
    messages_matched: int | None = Field(description="Messages read that are in the table.")
    rows_changed: int
    error: str | None
    correlation_id: str
    queued_at: ShownTime
    started_at: ShownTime | None
    finished_at: ShownTime | None


class ScanRuns(BaseModel):
    """Scan runs, newest first."""

    items: list[ScanRunModel]


class WantedScan(BaseModel):
    """The channel and kind of a scan run."""

    channel_id: GivenId
    kind: Literal["import", "catch_up"] = Field(
        "import", description="All of its history, or only newer messages than the last reading."
    )


@router.get("", summary="The latest scan runs", responses=documented(422))
def latest_runs(services: ServicesDep, guild_id: GivenId | None = None, limit: PageSize = 50) -> ScanRuns:
    """List the latest scan runs of a guild or of all."""
    with services.database.read() as connection:
        found = list_runs(connection, guild_id, limit=limit)
    return ScanRuns(items=[ScanRunModel.model_validate(run) for run in found])


@router.get("/{scan_run_id}", summary="One scan run", responses=documented(404, 422))
def one_run(scan_run_id: GivenKey, services: ServicesDep) -> ScanRunModel:
    """Show a scan run."""
    with services.database.read() as connection:
        try:
            return ScanRunModel.model_validate(find_run(connection, scan_run_id))
        except LookupError as error:
            raise NothingFound(str(error)) from None


@writing.post("", status_code=201, summary="Queue a scan run", responses=documented(401, 403, 404, 413, 422))
def queue_run(wanted: WantedScan, services: ServicesDep, now: Now) -> ScanRunModel:
    """Queue the reading of a channel of the catalogue.

    With a bot it is read within a minute (`scan_runs_sensor`), unless an import of its guild or the bot's
    catch-up does so first. An import that was begun and not finished is answered instead of a second
    one, and goes on.
    """
    overlap = services.settings.overlap
    return ScanRunModel.model_validate(
        services.database.run(
            lambda connection: plan_requested(
                connection, wanted.channel_id, wanted.kind, overlap=overlap, now=now
            )
        )
    )


@writing.post(
    "/{scan_run_id}/cancel", summary="Cancel a scan run", responses=documented(401, 403, 404, 413, 422)
)
def cancel(scan_run_id: GivenKey, services: ServicesDep, now: Now) -> ScanRunModel:
    """Cancel a scan run that is not over; a running one ends at its next batch, and what it read stays."""
    try:
        run = services.database.run(lambda connection: cancel_run(connection, scan_run_id, now=now))
    except LookupError as error:
        raise NothingFound(str(error)) from None
    return ScanRunModel.model_validate(run)
