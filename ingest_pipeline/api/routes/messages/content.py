"""Kinds of content: a path each, whose answers have the columns of the kind's table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypeVar

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
from ingest_pipeline.content.found import find_content, is_known, unpacked
from ingest_pipeline.content.kind import Kind
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.content.clip_search import clips_matching
from ingest_pipeline.storage.content.queries import ContentFilter, count_content
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import MessageFilter

Page = TypeVar("Page", bound=BaseModel)
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


class KindModel(BaseModel):
    """A kind of content."""

    name: str
    path: str = Field(description="Of its list, such as `team-radio`.")
    title: str
    description: str
    columns: list[str] = Field(description="What is shown of it first.")
    messages: int | None = Field(description="Messages of the session that hold any; null without a session.")


class Kinds(BaseModel):
    """The kinds of content, the built-in ones first."""

    items: list[KindModel]


def kinds_router(kinds: Sequence[Kind]) -> APIRouter:
    """Return the router of the list of kinds."""
    router = APIRouter(tags=["content"])

    @router.get("/kinds", summary="Kinds of content", response_model=Kinds, responses=documented(422))
    def known(services: ServicesDep, shared: Shared, session_id: GivenKey | None = None) -> Response:
        """List what is read out of messages, and of how many messages of a session."""

        def look() -> Kinds:
            with services.database.read() as connection:
                return Kinds(items=[describe_kind(connection, kind, session_id) for kind in kinds])

        return shared.get(("kinds", session_id), look)

    return router


def describe_kind(connection: Connection, kind: Kind, session_id: str | None) -> KindModel:
    """Describe a kind of content, with how many messages of a session hold any."""
    messages = None
    if session_id is not None:
        known = is_known(connection, kind)
        messages = count_content(connection, kind.table, session_id) if known else 0
    return KindModel(
        name=kind.name,
        path=_path(kind),
        title=kind.title or kind.name.replace("_", " ").capitalize(),
        description=kind.description,
        columns=list(kind.shows or kind.table.columns.names[1:]),
        messages=messages,
    )


def _path(kind: Kind) -> str:
    return kind.name.replace("_", "-")


clip_files = APIRouter(prefix="/clip-files", tags=["content"])


class ClipFileModel(BaseModel):
    """A clip with what is known of its file."""

    posted_at: ShownTime
    guild_id: ShownId | None
    channel_id: ShownId
    author_name: str | None
    discord_id: ShownId
    clip_number: int
    origin: str
    url: str | None
    file_name: str | None
    content_type: str | None
    size_bytes: int | None
    expires_at: ShownTime | None
    sha256: str | None = Field(description="Of the stored file; null without one.")
    file_path: str | None
    problem: str | None = Field(description="Why its file could not be had.")
    fetched_at: ShownTime | None = Field(description="When that was last tried.")


class ClipFiles(BaseModel):
    """Clips, oldest first."""

    items: list[ClipFileModel]
    is_cut: bool = Field(description="Whether there are more: ask from the last one's time on.")


@clip_files.get("", summary="Clips with their files, oldest first", responses=documented(422))
def clips_with_files(
    services: ServicesDep,
    *,
    session_id: GivenKey | None = None,
    channel_id: GivenId | None = None,
    guild_id: GivenId | None = None,
    author_id: GivenId | None = None,
    since: GivenTime | None = None,
    until: GivenTime | None = None,
    missing: Annotated[bool, Query(description="Only clips without a file.")] = False,
    limit: PageSize = 50,
) -> ClipFiles:
    """List clips with what is known of their files."""
    wanted = MessageFilter(
        session_id, channel_id, author_id=author_id, since=since, until=until, guild_id=guild_id
    )
    with services.database.read() as connection:
        found = clips_matching(connection, wanted, is_missing=missing, limit=limit + 1)
    items = [ClipFileModel.model_validate(clip) for clip in found[:limit]]
    return ClipFiles(items=items, is_cut=len(found) > limit)


def content_router(kind: Kind) -> APIRouter:
    """Return the router of a kind of content."""
    path = _path(kind)
    router = APIRouter(prefix=f"/{path}", tags=["content"])
    page_model = content_page_model(kind)

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
        guild_id: GivenId | None = None,
        author_id: GivenId | None = None,
        since: GivenTime | None = None,
        until: GivenTime | None = None,
        cursor: _Cursor = None,
        limit: PageSize = 50,
    ) -> Response:
        before = None if cursor is None else message_of(cursor)
        wanted = ContentFilter(limit + 1, session_id, channel_id, since, until, before, guild_id, author_id)

        return shared.get((kind.name, wanted), lambda: read_page(services, kind, page_model, wanted))

    return router


def read_page(services: Services, kind: Kind, page_model: type[Page], wanted: ContentFilter) -> Page:
    """Return the content of messages that match, newest message first.

    Args:
        kind: The kind of content.
        page_model: As `content_page_model` returns it.
        wanted: What; its maximum is one more than the messages of a page.
    """
    limit = wanted.maximum - 1
    with services.database.read() as connection:
        rows = find_content(connection, kind, wanted)
    messages = list(dict.fromkeys(row["discord_id"] for row in rows))[:limit]
    is_last = len(messages) < limit or rows[-1]["discord_id"] == messages[-1]
    shown = set(messages)
    return page_model(
        items=[unpacked(kind, row) for row in rows if row["discord_id"] in shown],
        next_cursor=None if is_last else cursor_of(messages[-1]),
    )


def content_page_model(kind: Kind) -> type[BaseModel]:
    """Return the model of a page of a kind's content: items with its table's columns, and a cursor."""
    name = kind.name.title().replace("_", "")
    fields: dict[str, Any] = {
        "posted_at": (ShownTime, ...),
        "session_id": (str | None, ...),
        "channel_id": (ShownId, ...),
        "author_name": (str | None, ...),
    }
    for column in kind.table.columns:
        shown = ShownId if column.name.endswith("_id") else _SHOWN.get(column.type, Decimal)
        shown = list[Any] if column.name in kind.table.documents else shown
        fields[column.name] = (shown if column.name in kind.table.key else shown | None, ...)
    item = create_model(f"{name}Model", **fields)
    described = Field(description="For the next page; null on the last page.")
    page: dict[str, Any] = {"items": (list[item], ...), "next_cursor": (str | None, described)}
    return create_model(f"{name}Page", **page)
