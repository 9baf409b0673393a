"""Fields of requests and answers: ids, times, keys, and the pages of a list."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)

from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput

_NO_NUL = r"^[^\x00]*$"
_FORM = "1:"
_PLACE_FORM = "2:"


def _snowflake(value: object) -> int:
    found = parse_snowflake(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a Discord id: 1 to 19 digits in a string")
    return found


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is outside the years 1 to 9999 in UTC") from None


_ID_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["1101802452224856174"]}

# What a request gives: checked, and an integer from then on.
GivenId = Annotated[int, BeforeValidator(_snowflake), Field(json_schema_extra=_ID_SCHEMA)]
# Fields of answers: 64-bit integers lose digits in many JSON readers.
ShownId = Annotated[str, BeforeValidator(str), Field(pattern=r"^[0-9]+$")]
GivenTime = Annotated[AwareDatetime, AfterValidator(_utc)]
ShownTime = Annotated[AwareDatetime, PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat())]
GivenText = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]
GivenKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
GivenCursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=400)]
PageSize = Annotated[int, Query(ge=1, le=500, description="How many at most.")]


class Shown(BaseModel):
    """An answer's form of an object: `model_validate` reads the object's attributes of the same names."""

    model_config = ConfigDict(from_attributes=True)


def cursor_of(message_id: int) -> str:
    """Return the cursor for the page after a message."""
    return base64.urlsafe_b64encode(f"{_FORM}{message_id}".encode()).decode().rstrip("=")


def message_of(cursor: str) -> int:
    """Return the message that a cursor comes after.

    Raises:
        BadInput: It is not one that `cursor_of` made.
    """
    text = _decoded(cursor)
    found = parse_snowflake(text.removeprefix(_FORM)) if text.startswith(_FORM) else None
    if found is None:
        raise _unknown()
    return found


def place_cursor(moment: datetime, identifier: str) -> str:
    """Return the cursor for the page after a line of a list by time."""
    text = f"{_PLACE_FORM}{moment.isoformat()} {identifier}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, str]:
    """Return the time (aware UTC) and id of the line that a cursor comes after.

    Raises:
        BadInput: It is not one that `place_cursor` made.
    """
    text = _decoded(cursor)
    moment, _, identifier = text.removeprefix(_PLACE_FORM).partition(" ")
    try:
        found = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unknown() from None
    if not text.startswith(_PLACE_FORM) or "\0" in identifier or place_cursor(found, identifier) != cursor:
        raise _unknown()
    return found, identifier


def _decoded(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _unknown() -> BadInput:
    return BadInput("unknown cursor: send next_cursor of the previous page, or none")
