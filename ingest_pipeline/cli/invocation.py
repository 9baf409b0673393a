"""Invocations: options that commands share, and the services each works with."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.session_rows import parse_channel_id, parse_moment, shown

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.services import Services
    from ingest_pipeline.settings import Settings
    from ingest_pipeline.storage.engine.database import Database

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Invocation:
    """One run of the `ingest` command.

    Attributes:
        verbose: Whether debug messages and tracebacks are shown.
    """

    verbose: bool = False


def invocation_of(context: Any) -> Invocation:
    """Return the run that a Typer context belongs to."""
    return context.ensure_object(Invocation)  # type: ignore[no-any-return]


def begin(context: Any, *, as_json: bool = False) -> Settings:
    """Load the settings and start logging to standard error.

    Settings come from the environment and, below it, from the `.env` file that counts (`environment.py`).

    Args:
        context: The command's Typer context.
        as_json: Log one JSON object a line instead of text.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    from ingest_pipeline.environment import load_environment
    from ingest_pipeline.logs import start_logging
    from ingest_pipeline.private_files import keep_files_private

    keep_files_private()
    settings = load_environment(Path.cwd())
    start_logging(settings, is_verbose=invocation_of(context).verbose, as_json=as_json)
    return settings


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Build the working parts, with the sessions file taken over, and close the database afterwards.

    A sessions file with errors is warned of and leaves the sessions as they were.
    """
    from ingest_pipeline.ingestion.services import build_services

    services = build_services(settings)
    try:
        _take_sessions_over(services.database, settings)
        yield services
    finally:
        services.database.close()


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Do as `open_services` for the database alone: importing the rest takes longer than some commands."""
    from ingest_pipeline.storage.engine import open as engines

    database = engines.open_database(settings)
    try:
        _take_sessions_over(database, settings)
        yield database
    finally:
        database.close()


def _take_sessions_over(database: Database, settings: Settings) -> None:
    from ingest_pipeline.userconfig.session_files import sync_sessions_file

    try:
        if not sync_sessions_file(database, settings, datetime.now(UTC)):
            return
    except BadInput as error:
        _logger.warning("the sessions file was not imported: %s", error)
        return
    # Only for a file that has changed: importing it takes longer than some commands.
    from ingest_pipeline.content.sessions import read_relinked
    from ingest_pipeline.ingestion.services import build_services

    read_relinked(build_services(settings))


def storable(text: str | None) -> str | None:
    """Return text of the command line without the halves of surrogate pairs that stand for wrong bytes."""
    return None if text is None else text.encode(errors="replace").decode()


JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; log JSON on standard error.")
]
SessionOption = Annotated[
    str, typer.Option("--session-id", help="The session's id.", metavar="ID", callback=storable)
]
SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="The session's id.", callback=storable)]
DriverOption = Annotated[str | None, typer.Option(help="Only this driver's.", callback=storable)]
GuildOption = Annotated[str | None, typer.Option("--guild", metavar="GUILD", help="Only this guild's.")]
GuildArgument = Annotated[str, typer.Argument(metavar="GUILD", help="The guild's id.")]
OfSession = Annotated[
    str | None, typer.Option("--session-id", help="Only this session's.", metavar="ID", callback=storable)
]
OfChannel = Annotated[str | None, typer.Option("--channel", help="Only this channel's.", metavar="CHANNEL")]
OfAuthor = Annotated[str | None, typer.Option("--author", help="Only this author's, by id.", metavar="USER")]
Since = Annotated[str | None, typer.Option(help="Posted then or later, with Z or an offset.", metavar="TIME")]
Until = Annotated[str | None, typer.Option(help="Posted earlier.", metavar="TIME")]
ChannelArgument = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's id.")]
PatternsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATTERN",
        help=(
            "Names such as '*aplus-setups*', or channel ids; '!' before one excludes the channels it matches."
        ),
        callback=lambda patterns: [storable(each) for each in patterns],
    ),
]
TIME = "TIME"
CHANNEL = "CHANNEL"


def read_bounds(
    start: str | None, end: str | None, names: tuple[str, str] = ("--start", "--end")
) -> tuple[datetime | None, datetime | None]:
    """Return the times of two options, given by their names, aware UTC, or None where absent.

    Raises:
        WindowInvalid: One is no time or has no offset, or the end is not after the start.
    """
    first = None if start is None else parse_moment(start, names[0])
    last = None if end is None else parse_moment(end, names[1])
    if first is not None and last is not None:
        Window(first, last)
    return first, last


def read_guild(text: str) -> int:
    """Return the guild of an argument or option.

    Raises:
        BadInput: The text is no Discord id.
    """
    guild_id = parse_snowflake(text)
    if guild_id is None:
        raise BadInput(f"guild id {shown(text)} is not a Discord id: write its digits")
    return guild_id


def read_author(text: str) -> int:
    """Return the author of an option.

    Raises:
        BadInput: The text is no Discord id.
    """
    author_id = parse_snowflake(text)
    if author_id is None:
        raise BadInput(
            f"author id {shown(text)} is not a Discord id: write its digits; `ingest messages --json` has it"
        )
    return author_id


def read_channel(text: str | None) -> int | None:
    """Return the channel of `--channel-id`, or None when absent.

    Raises:
        BadInput: The text is no Discord id.
    """
    return None if text is None else parse_channel_id(text)
