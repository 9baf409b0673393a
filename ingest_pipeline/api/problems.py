"""Problems: every error of the interface as `application/problem+json`.

RFC 9457, "Problem Details for HTTP APIs". A `type` is stable, a `detail` is for people.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ingest_pipeline.errors import BadInput, IngestError, NothingFound, SessionNotFound, TransientError
from ingest_pipeline.redaction import redact

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_MEANINGS = {
    401: "A token is needed, or this one is wrong.",
    403: "Writing is turned off: no `INGEST_API_TOKEN` is set.",
    404: "There is nothing with this id.",
    409: "It is not in a state that allows this.",
    410: "It was valid once and is no longer.",
    413: "The body is larger than 64 kB.",
    422: "A parameter or the body does not fit.",
    500: "An error that needs a correction of this program or its configuration.",
    503: "The database is busy or unreachable: try again.",
}
_logger = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """A problem with one part of a request."""

    where: str = Field(description="The parameter or field, such as `query.limit`.")
    message: str


class Problem(BaseModel):
    """An error."""

    type: str = Field(description="The kind of error: a stable URN.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for people.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[FieldProblem] = Field(default_factory=list)


class Refusal(HTTPException):
    """A request that is answered with a problem.

    FastAPI lets an `HTTPException` pass where it reads a body, and makes a 400 of any other.

    Args:
        status: HTTP status.
        kind: Last part of the problem's type.
        detail: What happened and what to do.
        headers: Headers of the answer.
    """

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.kind = kind


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these problems."""
    wanted = sorted({*statuses, 500, 503})
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in wanted
    }


def problem_schemas() -> dict[str, Any]:
    """Return the schemas that `documented` refers to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "Problem": schema}


def install_handlers(app: FastAPI) -> None:
    """Answer every error of an app as a problem.

    By coroutines: a function would wait for a thread, of which a database that is stopped leaves none.
    """
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(IngestError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return _answer(request, error.status_code, error.kind, error.detail, headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, TransientError):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return _answer(request, 503, _kind(error), str(error), headers=headers)
    if isinstance(error, SessionNotFound | NothingFound):
        return _answer(request, 404, _kind(error), str(error))
    if isinstance(error, BadInput):
        return _answer(request, 422, _kind(error), str(error))
    if not isinstance(error, IngestError):
        raise error
    _logger.error("%s: %s", request.url.path, error)
    return _answer(request, 500, _kind(error), str(error))


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # Without the value: it may be anything, also what JSON cannot carry.
    errors = [
        FieldProblem(where=".".join(_clean(part) for part in each["loc"]), message=str(each["msg"]))
        for each in error.errors()
    ]
    detail = "; ".join(f"{each.where}: {each.message}" for each in errors[:3])
    return _answer(request, 422, "invalid-request", detail, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return _answer(request, error.status_code, kind, str(error.detail), headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    _logger.error("%s failed", request.url.path, exc_info=error)
    return _answer(request, 500, "unexpected", "an unexpected error, which the log describes")


def _answer(
    request: Request,
    status: int,
    kind: str,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = describe(status, kind, detail, instance=request.url.path, errors=errors)
    return JSONResponse(problem.model_dump(), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def describe(
    status: int, kind: str, detail: str, *, instance: str = "", errors: Sequence[FieldProblem] = ()
) -> Problem:
    """Return a problem in words that UTF-8 can carry, without secrets."""
    return Problem(
        type=f"urn:ingest:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_clean(redact(detail)),
        instance=_clean(instance),
        errors=list(errors),
    )


def _clean(text: object) -> str:
    """Return text that UTF-8 can carry."""
    return str(text).encode(errors="backslashreplace").decode()


def _kind(error: IngestError) -> str:
    name = type(error).__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
