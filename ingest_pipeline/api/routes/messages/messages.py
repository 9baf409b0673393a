"""Routes of messages: filters, pages, newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from ingest_pipeline.api.access import ServicesDep, Shared
from ingest_pipeline.api.fields import (
    GivenId,
    GivenKey,
    GivenText,
    GivenTime,
    PageSize,
    ShownId,
    ShownTime,
    cursor_of,
    message_of,
)
from ingest_pipeline.api.problems import documented
from ingest_pipeline.domain.messages.mentions import readable
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import MessageFilter, find_message, search_messages

router = APIRouter(prefix="/messages", tags=["messages"])

_Listed = Annotated[
    list[Any], BeforeValidator(lambda value: json.loads(value) if isinstance(value, str) else value)
]
_Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=200)]


class MessageModel(BaseModel):
    """A message in its newest version."""

    discord_id: ShownId
    session_id: str | None
    guild_id: ShownId | None
    channel_id: ShownId
    posted_at: ShownTime
    edited_at: ShownTime | None
    deleted_at: ShownTime | None
    driver: str | None
    author_id: ShownId | None
    author_name: str | None
    author_nickname: str | None
    author_is_bot: bool
    raw_content: str
    message_text: str
    shown_text: str = Field(description="`message_text` with names for mentions, emojis and times.")
    message_type: str
    is_pinned: bool
    reference_id: ShownId | None
    attachments: _Listed
    embeds: _Listed
    stickers: _Listed
    reactions: _Listed
    is_highlight_candidate: bool
    source: str
    correlation_id: str
    observed_at: ShownTime
    created_at: ShownTime
    updated_at: ShownTime


def shown_messages(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[MessageModel]:
    """Return rows of `messages` as they are shown."""
    names = names_in(connection, [row["message_text"] for row in rows])
    return [MessageModel(**row, shown_text=readable(row["message_text"], names)) for row in rows]


class MessagePage(BaseModel):
    """Messages, newest first."""

    items: list[MessageModel]
    next_cursor: str | None = Field(description="For the next page; null on the last page.")


@router.get("", summary="Messages that match", response_model=MessagePage, responses=documented(422))
def found_messages(
    services: ServicesDep,
    shared: Shared,
    *,
    session_id: GivenKey | None = None,
    channel_id: GivenId | None = None,
    driver: GivenText | None = None,
    author_id: GivenId | None = None,
    since: GivenTime | None = None,
    until: GivenTime | None = None,
    text: GivenText | None = None,
    guild_id: GivenId | None = None,
    as_of: Annotated[
        GivenTime | None, Query(description="As the table stood then, by what had been read by then.")
    ] = None,
    cursor: _Cursor = None,
    limit: PageSize = 50,
) -> Response:
    """List live messages, newest first.

    Filters that are left out let every message pass; `since` is included, `until` is not; `driver` and
    `text` (a part of the message as it was written) go by letters, whatever their case. With `as_of`,
    messages that were deleted or edited since are shown as they were.
    """
    wanted = MessageFilter(session_id, channel_id, driver, author_id, since, until, text, guild_id)
    after = None if cursor is None else message_of(cursor)

    return shared.get(
        ("messages", wanted, after, limit, as_of),
        lambda: read_messages(services, wanted, after, limit, as_of),
    )


def read_messages(
    services: Services,
    wanted: MessageFilter,
    after: int | None,
    limit: int,
    as_of: datetime | None = None,
) -> MessagePage:
    """Return live messages that match, newest first.

    Args:
        wanted: Which.
        after: The last message of the page before, or None.
        limit: How many at most.
        as_of: As they stood then, aware UTC; None for now.
    """
    with services.database.read() as connection:
        rows = search_messages(connection, wanted, after=after, limit=limit + 1, as_of=as_of)
        page = rows[:limit]
        items = shown_messages(connection, page)
    is_last = len(rows) <= limit
    return MessagePage(items=items, next_cursor=None if is_last else cursor_of(page[-1]["discord_id"]))


@router.get("/{message_id}", summary="One message", responses=documented(404, 422))
def one_message(message_id: GivenId, services: ServicesDep) -> MessageModel:
    """Show a message, deleted or not."""
    with services.database.read() as connection:
        row = find_message(connection, message_id)
        if row is None:
            raise NothingFound(f"message {message_id} is not in the table")
        [shown] = shown_messages(connection, [row])
    return shown
