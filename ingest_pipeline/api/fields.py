"""Types of parameters and fields: ids as strings, times with an offset, text that both engines accept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer

from ingest_pipeline.domain.snowflake import parse_snowflake

_NO_NUL = r"^[^\x00]*$"


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
# What an answer tells: 64-bit integers lose digits in many JSON readers.
ShownId = Annotated[str, BeforeValidator(str), Field(pattern=r"^[0-9]+$")]
GivenTime = Annotated[AwareDatetime, AfterValidator(_utc)]
ShownTime = Annotated[AwareDatetime, PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat())]
GivenText = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]
GivenKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
PageSize = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
