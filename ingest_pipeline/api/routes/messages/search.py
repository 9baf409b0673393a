"""Routes of search, and of the change feed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from ingest_pipeline.api.access import ServicesDep, Shared
from ingest_pipeline.api.fields import (
    GivenId,
    GivenKey,
    GivenText,
    GivenTime,
    PageSize,
    Shown,
    ShownId,
    ShownTime,
    cursor_of,
    message_of,
)
from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.messages.messages import MessageModel, shown_messages
from ingest_pipeline.domain.search.query import LONGEST_QUERY
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.search.orders import SearchOrder, find_messages
from ingest_pipeline.search.search import MessageKind, SearchFilter, SearchPage
from ingest_pipeline.storage.messages.changes import ChangeKind, changes_with_rows, newest_position
from ingest_pipeline.storage.search.indexed_texts import NEWEST

router = APIRouter(tags=["search"])

_INDEX_SECONDS = 2.0
_POLL_SECONDS = 1.0
_KEEP_ALIVE_POLLS = 15
_AT_ONCE = 500

_Query = Annotated[
    str,
    Query(
        min_length=1,
        max_length=LONGEST_QUERY,
        description='Words, "phrases", prefix*, AND, OR, NOT, -word and parentheses.',
        examples=['box AND (tyres OR "soft tyre") -quali'],
    ),
]
_Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=200)]


class SnippetPartModel(Shown):
    """A piece of a snippet."""

    text: str
    is_match: bool


class HitModel(BaseModel):
    """A message that was found."""

    message: MessageModel
    snippet: list[SnippetPartModel] = Field(description="The words around the first match, in pieces.")
    is_earlier: bool = Field(description="Whether the snippet is of a version before an edit.")
    similarity: float | None = Field(
        None, description="With semantic=true: how similar the words are to the question, -1 to 1."
    )


class ChannelCompletenessModel(Shown):
    """How far a channel is proven to be in the table."""

    channel_id: ShownId
    proven_from: ShownTime | None
    proven_until: ShownTime | None
    gaps: int = Field(description="Ranges in between that are not proven.")


class VectorCoverageModel(Shown):
    """How many of the messages that pass the filters can be found by their meaning."""

    messages: int
    with_vector: int


class SearchPageModel(BaseModel):
    """Found messages, and how complete the answer can be."""

    items: list[HitModel]
    next_cursor: str | None = Field(
        description="For the next page; null on the last one, and with best or semantic."
    )
    completeness: list[ChannelCompletenessModel] = Field(
        description="Of the channel that was asked for, else of those of the messages that were found."
    )
    vectors: VectorCoverageModel | None = Field(None, description="With semantic=true.")


@router.get(
    "/search", summary="Messages by their words", response_model=SearchPageModel, responses=documented(422)
)
def search(
    services: ServicesDep,
    shared: Shared,
    q: _Query,
    *,
    session_id: GivenKey | None = None,
    channel_id: GivenId | None = None,
    author_id: GivenId | None = None,
    driver: GivenText | None = None,
    ticker: GivenText | None = None,
    kind: MessageKind | None = None,
    since: GivenTime | None = None,
    until: GivenTime | None = None,
    has_file: bool = False,
    revisions: Annotated[bool, Query(description="Find what messages said before an edit, too.")] = False,
    best: Annotated[bool, Query(description="The best match first, not the newest.")] = False,
    semantic: Annotated[
        bool, Query(description="Find by meaning, too, the best match first; needs an embeddings endpoint.")
    ] = False,
    cursor: _Cursor = None,
    limit: PageSize = 50,
) -> Response:
    """Find live messages by their words, newest first.

    Case and accents make no difference. Every message that is in the table when the request arrives is
    searched; `completeness` says what the table may lack.
    """
    wanted = SearchFilter(
        session_id, channel_id, author_id, driver, ticker, kind, since, until, has_file=has_file
    )
    before = NEWEST if cursor is None else message_of(cursor)
    order = SearchOrder.of(best=best, by_meaning=semantic)

    def look() -> SearchPageModel:
        page = find_messages(
            services,
            q,
            wanted,
            order,
            before=before,
            limit=limit,
            any_version=revisions,
            index_seconds=_INDEX_SECONDS,
        )
        return shown_page(services, page, is_paged=order is SearchOrder.NEWEST)

    return shared.get(("search", q, wanted, before, limit, revisions, order), look)


def shown_page(services: Services, page: SearchPage, *, is_paged: bool) -> SearchPageModel:
    """Return found messages as they are shown."""
    with services.database.read() as connection:
        messages = shown_messages(connection, [hit.row for hit in page.hits])
    items = [
        HitModel(
            message=message,
            snippet=[SnippetPartModel.model_validate(part) for part in hit.snippet],
            is_earlier=hit.is_earlier,
            similarity=hit.similarity,
        )
        for message, hit in zip(messages, page.hits, strict=True)
    ]
    has_next = is_paged and not page.is_last and page.hits
    return SearchPageModel(
        items=items,
        next_cursor=cursor_of(page.hits[-1].row["discord_id"]) if has_next else None,
        completeness=[ChannelCompletenessModel.model_validate(each) for each in page.completeness],
        vectors=None if page.vectors is None else VectorCoverageModel.model_validate(page.vectors),
    )


class ChangeModel(BaseModel):
    """A change of a message."""

    position: int
    change: ChangeKind
    discord_id: ShownId
    recorded_at: ShownTime
    message: MessageModel | None = Field(
        description="As it stands now, which may be after further changes; null when it was erased."
    )


class ChangesModel(BaseModel):
    """Changes of messages, in the order in which they can be read."""

    items: list[ChangeModel]
    next_after: int = Field(description="`after` of the next request.")
    newest: int = Field(description="The last position that could be read.")


_After = Annotated[
    int, Query(ge=0, le=NEWEST, description="The position of the last change that was read before.")
]
_LastEventId = Annotated[int | None, Header(ge=0, le=NEWEST, description="Sent by browsers that reconnect.")]


@router.get("/changes", summary="What happened to messages", responses=documented(422))
def changes(services: ServicesDep, after: _After = 0, limit: PageSize = 100) -> ChangesModel:
    """List what happened to messages: each change once, without a loss, in an order to resume from.

    A reader keeps `next_after` and asks again; the same `after` gives the same changes and more.
    """
    return _read_changes(services, after, limit)


def _read_changes(services: Services, after: int, limit: int) -> ChangesModel:
    with services.database.read() as connection:
        found = changes_with_rows(connection, after=after, limit=limit)
        rows = {row["discord_id"]: row for _, row in found if row is not None}
        shown = dict(zip(rows, shown_messages(connection, list(rows.values())), strict=True))
        newest = newest_position(connection)
    items = [
        ChangeModel(
            position=change.position,
            change=change.change,
            discord_id=str(change.discord_id),
            recorded_at=change.recorded_at,
            message=shown.get(change.discord_id),
        )
        for change, _ in found
    ]
    return ChangesModel(items=items, next_after=items[-1].position if items else after, newest=newest)


@router.get(
    "/changes/stream",
    summary="The same as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **documented(422)},
)
async def stream_changes(
    services: ServicesDep,
    after: _After = 0,
    last_event_id: _LastEventId = None,
) -> StreamingResponse:
    """Send each change as an event with its position as id, so that a reader that reconnects misses none."""
    start = after if last_event_id is None else last_event_id
    # What cannot be read now is a problem with a status; in the middle of a stream it would be none.
    await asyncio.to_thread(_read_changes, services, start, 1)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(services, start), media_type="text/event-stream", headers=headers)


async def _events(services: Services, after: int) -> AsyncIterator[str]:
    version: Any = None
    quiet = 0
    while True:
        try:
            present = await asyncio.to_thread(services.database.version)
            some = None
            if present != version:
                some = await asyncio.to_thread(_read_changes, services, after, _AT_ONCE)
                # On PostgreSQL an open transaction may hold changes back that were committed before.
                version = present if not some.items and some.newest <= after else None
        except TransientError:
            some = None
        for change in some.items if some else ():
            data = json.dumps(change.model_dump(mode="json"), ensure_ascii=False)
            yield f"id: {change.position}\nevent: {change.change.value}\ndata: {data}\n\n"
            after, quiet = change.position, 0
        if some is None or not some.items:
            quiet += 1
            if quiet % _KEEP_ALIVE_POLLS == 0:
                yield ": nothing happened\n\n"
            await asyncio.sleep(_POLL_SECONDS)
