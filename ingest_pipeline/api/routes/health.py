"""Health routes: liveness, readiness and status."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from ingest_pipeline.api.access import BoundedLookups, HotStatus, HotTotals, ServicesDep
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.session_models import StatusModel

probes = APIRouter(tags=["health"])
router = APIRouter(tags=["health"])


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
    """Tell of live, next and last session, of reading, of the bot and of the table.

    At most a second old, the count of messages fifteen. While the database is in use elsewhere, the
    last status is told again for up to a minute: `as_of` says when it was true.
    """
    return StatusModel.of(found, totals, services.settings)
