"""The files of the page."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
_FOLDER = files("ingest_pipeline.api.routes") / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_NAMES = {
    each.name: kind for each in _FOLDER.iterdir() for end, kind in _TYPES.items() if each.name.endswith(end)
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


@router.get("/")
def index() -> Response:
    """Serve the page."""
    return _file("index.html")


@router.get("/docs")
def docs() -> Response:
    """Serve the page that describes the interface."""
    return _file("docs.html")


@router.get("/page/{name}")
def part(name: str) -> Response:
    """Serve a file of the page."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in _NAMES:
        raise HTTPException(404, f"the page has no file {name!r}")
    return Response((_FOLDER / name).read_bytes(), headers={**_HEADERS, "Content-Type": _NAMES[name]})
