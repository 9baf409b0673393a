"""Kinds of content: a path each, whose answers have the columns of the kind's table."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from ingest_pipeline.api.access import ServicesDep, Shared
from ingest_pipeline.api.fields import (
    GivenId,
    GivenKey,
    GivenTime,
    PageSize,
    ShownId,
    ShownTime,
    cursor_of,
    message_of,
)
from ingest_pipeline.api.problems import documented
from ingest_pipeline.content.found import find_content
from ingest_pipeline.content.kind import Kind
from ingest_pipeline.storage.content.queries import ContentFilter

_Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=200)]
_SHOWN: dict[pa.DataType, Any] = {
    pa.int64(): int,
    pa.int32(): int,
    pa.float64(): float,
    pa.string(): str,
    pa.bool_(): bool,
    pa.date32(): date,
    pa.timestamp("us", tz="UTC"): ShownTime,
}


def content_router(kind: Kind) -> APIRouter:
    """Return the router of a kind of content."""
    path = kind.name.replace("_", "-")
    router = APIRouter(prefix=f"/{path}", tags=["content"])
    page_model = _page_model(kind)

    @router.get(
        "",
        summary=f"{path}: newest message first",
        description=f"{kind.description} Filters that are left out let every message pass.",
        operation_id=f"found_{kind.name}",
        response_model=page_model,
        responses=documented(422),
    )
    def found(
        services: ServicesDep,
        shared: Shared,
        *,
        session_id: GivenKey | None = None,
        channel_id: GivenId | None = None,
        since: GivenTime | None = None,
        until: GivenTime | None = None,
        cursor: _Cursor = None,
        limit: PageSize = 50,
    ) -> Response:
        before = None if cursor is None else message_of(cursor)
        wanted = ContentFilter(limit + 1, session_id, channel_id, since, until, before)

        def look() -> BaseModel:
            with services.database.read() as connection:
                rows = find_content(connection, kind, wanted)
            messages = list(dict.fromkeys(row["discord_id"] for row in rows))[:limit]
            is_last = len(messages) < limit or rows[-1]["discord_id"] == messages[-1]
            shown = set(messages)
            return page_model(
                items=[row for row in rows if row["discord_id"] in shown],
                next_cursor=None if is_last else cursor_of(messages[-1]),
            )

        return shared.get((kind.name, wanted), look)

    return router


def _page_model(kind: Kind) -> type[BaseModel]:
    name = kind.name.title().replace("_", "")
    fields: dict[str, Any] = {
        "posted_at": (ShownTime, ...),
        "session_id": (str | None, ...),
        "channel_id": (ShownId, ...),
        "author_name": (str | None, ...),
    }
    for column in kind.table.columns:
        shown = ShownId if column.name.endswith("_id") else _SHOWN.get(column.type, Decimal)
        fields[column.name] = (shown if column.name in kind.table.key else shown | None, ...)
    item = create_model(f"{name}Model", **fields)
    described = Field(description="For the next page; null on the last page.")
    page: dict[str, Any] = {"items": (list[item], ...), "next_cursor": (str | None, described)}
    return create_model(f"{name}Page", **page)
