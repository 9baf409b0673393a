"""Probes, the state of everything, and the page that shows a live session."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ingest_pipeline.api.access import BoundedLookups, HotStatus, HotTotals, ServicesDep
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.sessions import StatusModel

probes = APIRouter(tags=["health"])
router = APIRouter(tags=["health"])
_FOLDER = files("ingest_pipeline.api.routes") / "page"
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "search.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

page_router = APIRouter(include_in_schema=False)


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


@page_router.get("/")
def index() -> Response:
    """Serve the page."""
    return _file("index.html")


@page_router.get("/page/{name}")
def part(name: str) -> Response:
    """Serve a file of the page."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in _TYPES:
        raise HTTPException(404, f"the page has no file {name!r}")
    return Response((_FOLDER / name).read_bytes(), headers={**_HEADERS, "Content-Type": _TYPES[name]})
