"""Tools of the Model Context Protocol server: what assistants can ask, read only.

An empty text stands for "any": assistants write the word `null` where a value is optional, and a number
where an id is a text. An argument that no tool knows is refused: a misspelt filter would widen the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, cast

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations
from pydantic import BeforeValidator, Field, create_model

from ingest_pipeline.api.fields import message_of
from ingest_pipeline.api.mcp_server.answers import (
    Answer,
    CoverageAnswer,
    HitsAnswer,
    KindsAnswer,
    KindTool,
    MessagesAnswer,
    SessionsAnswer,
    completeness_of,
)
from ingest_pipeline.api.routes.messages.content import content_page_model, describe_kind, read_page
from ingest_pipeline.api.routes.messages.messages import read_messages, shown_messages
from ingest_pipeline.api.routes.messages.search import shown_page
from ingest_pipeline.api.routes.sessions.sessions import ProgressModel, SessionModel
from ingest_pipeline.content.kind import Kind
from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput, IngestError, NothingFound
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.session_progress import session_progress
from ingest_pipeline.redaction import redact
from ingest_pipeline.search.orders import SearchOrder, find_messages
from ingest_pipeline.search.search import MessageKind, SearchFilter
from ingest_pipeline.storage.content.queries import ContentFilter
from ingest_pipeline.storage.messages.queries import MessageFilter, find_message
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions
from ingest_pipeline.storage.search.indexed_texts import NEWEST
from ingest_pipeline.userconfig.session_rows import parse_moment

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_TOOL_NAMES = {"team_radio": "radio", "trade_setups": "setups"}
_INDEX_SECONDS = 30.0
_READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _described(text: str) -> Any:
    return Field(description=text)


Words = Annotated[str, _described('Words, "phrases", prefix*, AND, OR, NOT, -word and parentheses.')]
SessionId = Annotated[str, _described("Only of this session, by its id; empty for any.")]
ChannelId = Annotated[str, BeforeValidator(_as_text), _described("Only of this channel; empty for any.")]
AuthorId = Annotated[str, BeforeValidator(_as_text), _described("Only of this author; empty for any.")]
MessageId = Annotated[str, BeforeValidator(_as_text), _described("The message's Discord id.")]
Driver = Annotated[str, _described("Only of this driver; empty for any.")]
Since = Annotated[str, _described("Posted then or later: ISO 8601 with an offset or Z; empty for any.")]
Until = Annotated[str, _described("Posted earlier: ISO 8601 with an offset or Z; empty for any.")]
Cursor = Annotated[str, _described("`next_cursor` of the page before; empty for the first.")]
Limit = Annotated[int, Field(ge=1, le=200, description="How many at most.")]
State = Annotated[
    Literal["", "upcoming", "live", "finished", "cancelled"],
    _described("Only in this state; empty for any."),
]
KindName = Annotated[
    Literal["", "radio", "setup", "clip", "highlight"],
    _described("Only messages of which this was extracted; empty for any."),
]


def add_tools(server: MCPServer[Any], services: Services) -> None:
    """Give a server its tools."""
    reader = _Reader(services)
    questions = (reader.sessions, reader.coverage, reader.search, reader.messages, reader.message)
    for ask in (*questions, reader.kinds):
        _add(server, ask, ask.__name__, ask.__doc__ or "")
    for kind in load_kinds(services.settings):
        _add(server, reader.of_kind(kind), tool_name(kind), f"{kind.description} Newest message first.")


def tool_name(kind: Kind) -> str:
    """Return the tool that lists a kind of content."""
    return _TOOL_NAMES.get(kind.name, kind.name)


def _add(server: MCPServer[Any], ask: Callable[..., Answer], name: str, description: str) -> None:
    server.add_tool(_reporting(ask), name=name, description=description, annotations=_READ_ONLY)
    tool: Tool = server._tool_manager._tools[name]  # noqa: SLF001 - the library has no option for it
    model = tool.fn_metadata.arg_model
    model.model_config["extra"] = "forbid"
    model.model_rebuild(force=True)
    tool.parameters = model.model_json_schema(by_alias=True)


def _reporting(ask: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a question whose errors reach who asked: the library sends those of its own kind alone."""

    @wraps(ask)
    def asked(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
        try:
            return ask(*given, **named)
        except IngestError as error:
            raise ToolError(redact(str(error))) from error

    return asked


class _Reader:
    """Answers questions.

    Args:
        services: The database and the settings.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database

    def sessions(self, state: State = "", limit: Limit = 50) -> SessionsAnswer:
        """List sessions, such as practices, races and trading days, the latest first."""
        now = datetime.now(UTC)
        with self._database.read() as connection:
            found = [SessionModel.of(session, now) for session in list_sessions(connection)[::-1]]
            items = [each for each in found if state in {"", each.state}][:limit]
            channels = {int(channel) for each in items for channel in each.channel_ids}
            return SessionsAnswer(items=items, completeness=completeness_of(connection, channels))

    def coverage(self, session_id: Annotated[str, _described("The session's id.")]) -> CoverageAnswer:
        """Return how much of a session is proven complete, and which times of it are missing."""
        now = datetime.now(UTC)
        with self._database.read() as connection:
            session = find_session(connection, session_id)
            progress = ProgressModel.of(session_progress(connection, session, self._services.grid, now), now)
            return CoverageAnswer(
                **dict(progress), completeness=completeness_of(connection, session.channel_ids)
            )

    def search(
        self,
        words: Words,
        *,
        session_id: SessionId = "",
        channel_id: ChannelId = "",
        author_id: AuthorId = "",
        driver: Driver = "",
        ticker: Annotated[str, _described("Only with a setup of this ticker; empty for any.")] = "",
        kind: KindName = "",
        since: Since = "",
        until: Until = "",
        has_file: Annotated[bool, _described("Only with an attachment.")] = False,
        best_first: Annotated[bool, _described("The best match first, not the newest.")] = False,
        by_meaning: Annotated[
            bool, _described("Find by meaning, too, the best match first; without edited_away and cursor.")
        ] = False,
        edited_away: Annotated[bool, _described("Find what messages said before an edit, too.")] = False,
        cursor: Cursor = "",
        limit: Limit = 20,
    ) -> HitsAnswer:
        """Find messages by their words; case and accents make no difference."""
        wanted = SearchFilter(
            session_id or None,
            _id(channel_id, "channel_id"),
            _id(author_id, "author_id"),
            driver or None,
            ticker or None,
            MessageKind(kind) if kind else None,
            _moment(since, "since"),
            _moment(until, "until"),
            has_file=has_file,
        )
        order = SearchOrder.of(best=best_first, by_meaning=by_meaning)
        page = find_messages(
            self._services,
            words,
            wanted,
            order,
            before=message_of(cursor) if cursor else NEWEST,
            limit=limit,
            any_version=edited_away,
            index_seconds=_INDEX_SECONDS,
        )
        shown = shown_page(self._services, page, is_paged=order is SearchOrder.NEWEST)
        channels = [hit.message.channel_id for hit in shown.items]
        return HitsAnswer(
            items=shown.items,
            next_cursor=shown.next_cursor,
            vectors=shown.vectors,
            completeness=self._completeness(channel_id, session_id, channels),
        )

    def messages(
        self,
        *,
        session_id: SessionId = "",
        channel_id: ChannelId = "",
        author_id: AuthorId = "",
        driver: Driver = "",
        since: Since = "",
        until: Until = "",
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> MessagesAnswer:
        """List messages, newest first."""
        wanted = MessageFilter(
            session_id or None,
            _id(channel_id, "channel_id"),
            driver or None,
            _id(author_id, "author_id"),
            _moment(since, "since"),
            _moment(until, "until"),
        )
        page = read_messages(self._services, wanted, message_of(cursor) if cursor else None, limit)
        channels = [message.channel_id for message in page.items]
        return MessagesAnswer(
            items=page.items,
            next_cursor=page.next_cursor,
            completeness=self._completeness(channel_id, session_id, channels),
        )

    def message(self, message_id: MessageId) -> MessagesAnswer:
        """Show one message, deleted or not."""
        discord_id = _id(message_id, "message_id")
        with self._database.read() as connection:
            row = find_message(connection, discord_id) if discord_id is not None else None
            if row is None:
                raise NothingFound(f"message {message_id!r} is not in the table")
            return MessagesAnswer(
                items=shown_messages(connection, [row]),
                next_cursor=None,
                completeness=completeness_of(connection, [row["channel_id"]]),
            )

    def kinds(self) -> KindsAnswer:
        """List the kinds of content that are extracted from messages, and the tool for each."""
        with self._database.read() as connection:
            items = [
                KindTool(tool=tool_name(kind), **dict(describe_kind(connection, kind, None)))
                for kind in load_kinds(self._services.settings)
            ]
        return KindsAnswer(items=items, completeness=self._completeness("", "", []))

    def of_kind(self, kind: Kind) -> Callable[..., Answer]:
        """Return the question for a kind of content."""
        page_model = content_page_model(kind)
        model = create_model(
            f"{page_model.__name__}Answer", __base__=(page_model, Answer), __doc__=f"{kind.description}"
        )

        def ask(
            *,
            session_id: SessionId = "",
            channel_id: ChannelId = "",
            since: Since = "",
            until: Until = "",
            cursor: Cursor = "",
            limit: Limit = 50,
        ) -> Answer:
            wanted = ContentFilter(
                limit + 1,
                session_id or None,
                _id(channel_id, "channel_id"),
                _moment(since, "since"),
                _moment(until, "until"),
                message_of(cursor) if cursor else None,
            )
            page: Any = read_page(self._services, kind, page_model, wanted)
            channels = [item.channel_id for item in page.items]
            completeness = self._completeness(channel_id, session_id, channels)
            return cast("Answer", model(**dict(page), completeness=completeness))

        ask.__annotations__["return"] = model
        return ask

    def _completeness(self, channel_id: str, session_id: str, found: Iterable[str]) -> Any:
        """Return the completeness of the channel asked for, else of the session's, else of what was found."""
        with self._database.read() as connection:
            channels: set[int] | None
            if channel_id:
                channels = {int(channel_id)}
            elif session_id:
                channels = set(find_session(connection, session_id).channel_ids)
            else:
                # Nothing found may mean that nothing was read: then all channels matter.
                channels = set(map(int, found)) or None
            return completeness_of(connection, channels)


def _id(text: str, name: str) -> int | None:
    if not text:
        return None
    found = parse_snowflake(text)
    if found is None:
        raise BadInput(f"{name} {text!r} is not a Discord id: write its digits")
    return found


def _moment(text: str, name: str) -> datetime | None:
    return parse_moment(text, name) if text else None
