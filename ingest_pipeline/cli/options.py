"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.session_rows import parse_channel_id, parse_moment, shown


def _storable(text: str | None) -> str | None:
    """Return text of the command line without the halves of surrogate pairs that stand for wrong bytes."""
    return None if text is None else text.encode(errors="replace").decode()


JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; log JSON on standard error.")
]
SessionOption = Annotated[
    str, typer.Option("--session-id", help="The session's id.", metavar="ID", callback=_storable)
]
SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="The session's id.", callback=_storable)]
DriverOption = Annotated[str | None, typer.Option(help="Only this driver's.", callback=_storable)]
GuildOption = Annotated[str | None, typer.Option("--guild", metavar="GUILD", help="Only this guild's.")]
GuildArgument = Annotated[str, typer.Argument(metavar="GUILD", help="The guild's id.")]
PatternsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATTERN",
        help="Names such as '*aplus-setups*', or channel ids; '!' before one excepts what it matches.",
        callback=lambda patterns: [_storable(each) for each in patterns],
    ),
]
TIME = "TIME"
CHANNEL = "CHANNEL"


def read_bounds(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the times of `--start` and `--end`, aware UTC, or None where absent.

    Raises:
        WindowInvalid: One is no time or has no offset, or the end is not after the start.
    """
    first = None if start is None else parse_moment(start, "--start")
    last = None if end is None else parse_moment(end, "--end")
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


def read_channel(text: str | None) -> int | None:
    """Return the channel of `--channel-id`, or None when absent.

    Raises:
        BadInput: The text is no Discord id.
    """
    return None if text is None else parse_channel_id(text)
