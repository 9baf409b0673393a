"""Commands that show stored messages and write them to files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from ingest_pipeline.cli.invocation import (
    DriverOption,
    GuildOption,
    JsonOption,
    OfAuthor,
    OfChannel,
    OfSession,
    Since,
    Until,
    begin,
    open_database,
    read_author,
    read_bounds,
    read_channel,
    read_guild,
)
from ingest_pipeline.cli.output import cell_text, print_json, print_rows
from ingest_pipeline.domain.plurals import counted
from ingest_pipeline.errors import BadInput
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.userconfig.session_rows import parse_moment

if TYPE_CHECKING:
    from ingest_pipeline.settings import Settings
    from ingest_pipeline.storage.messages.queries import MessageFilter

_ALL = 10**12
_JSON_COLUMNS = ("attachments", "embeds", "stickers", "reactions")


def messages(
    context: typer.Context,
    *,
    session_id: OfSession = None,
    channel: OfChannel = None,
    guild: GuildOption = None,
    author: OfAuthor = None,
    since: Since = None,
    until: Until = None,
    driver: DriverOption = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the newest N messages.", min=1, max=10**9, metavar="N")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="As they stood then, by what had been read by then.", metavar="TIME"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show messages, oldest first: those of a session, channel, guild, author or time."""
    settings = begin(context, as_json=as_json)
    wanted = wanted_messages(
        session_id,
        channel=channel,
        guild=guild,
        author=author,
        bounds=(since, until),
        driver=driver,
        is_limited=limit is not None,
    )
    moment = None if as_of is None else parse_moment(as_of, "--as-of")
    with open_database(settings) as database:
        from ingest_pipeline.domain.messages.mentions import readable
        from ingest_pipeline.storage.catalogue.names import names_in
        from ingest_pipeline.storage.messages.queries import search_messages
        from ingest_pipeline.storage.messages.sessions import find_session

        with database.read() as connection:
            if session_id is not None:
                find_session(connection, session_id)
            rows = search_messages(connection, wanted, limit=limit or _ALL, as_of=moment)[::-1]
            names = names_in(connection, [row["message_text"] for row in rows])
    if as_json:
        shown = [message_json(row) for row in rows]
        print_json({"session_id": session_id, "count": len(shown), "messages": shown})
        return
    print_rows(
        ("posted", "id", "driver", "author", "text"),
        [
            (
                row["posted_at"],
                row["discord_id"],
                row["driver"],
                row["author_name"],
                readable(row["message_text"], names),
            )
            for row in rows
        ],
    )


def message_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a message's row as JSON values.

    Ids and the digest become strings, as 64-bit integers lose digits in many JSON readers; columns
    that hold JSON become what they hold.
    """
    return {column: _json_value(column, value) for column, value in row.items()}


def _json_value(column: str, value: Any) -> Any:
    if value is None:
        return None
    if column in _JSON_COLUMNS and isinstance(value, str):
        return json.loads(value)
    if column.endswith(("_id", "_digest")):
        return str(value)
    return value


def export(
    context: typer.Context,
    *,
    session_id: OfSession = None,
    channel: OfChannel = None,
    guild: GuildOption = None,
    author: OfAuthor = None,
    since: Since = None,
    until: Until = None,
    driver: DriverOption = None,
    kind: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="By default from the output's suffix, or else csv."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help=("The file to write, replaced as a whole; standard output by default."), dir_okay=False
        ),
    ] = None,
    incremental: Annotated[
        Path | None,
        typer.Option(
            help="Bring a folder of Parquet files, one a day, up to date: days with changes are written.",
            file_okay=False,
            metavar="DIR",
        ),
    ] = None,
) -> None:
    """Write messages of a session, channel, guild, author or time as CSV, Parquet, JSON or a web page.

    The file is a snapshot of one moment. With --incremental everything is exported unless a filter is given,
    which is the same each time.
    """
    kind = kind or (ExportFormat.PARQUET if incremental else _format_of(output))
    if incremental and (output or kind is not ExportFormat.PARQUET):
        raise typer.BadParameter("--incremental writes Parquet into its own folder: leave out the others")
    if not incremental and output is None and kind is ExportFormat.PARQUET and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not text: name a file with --output, or redirect the output")
    settings = begin(context)
    wanted = wanted_messages(
        session_id,
        channel=channel,
        guild=guild,
        author=author,
        bounds=(since, until),
        driver=driver,
        is_limited=incremental is not None,
    )
    if incremental:
        _export_days(settings, wanted, incremental)
    else:
        _export_file(settings, wanted, session_id, kind, output)


def _export_file(
    settings: Settings,
    wanted: MessageFilter,
    session_id: str | None,
    kind: ExportFormat,
    output: Path | None,
) -> None:
    with open_database(settings) as database:
        from ingest_pipeline.reporting.export import Heading, export_messages, session_heading
        from ingest_pipeline.storage.messages.sessions import find_session

        def write(stream: BinaryIO) -> int:
            with database.read() as connection:
                if session_id is None:
                    heading = Heading(f"Messages of {_described(wanted)}")
                else:
                    heading = session_heading(find_session(connection, session_id))
                return export_messages(connection, wanted, heading, kind, stream)

        if output is None:
            _to_stream(sys.stdout.buffer, write)
            return
        count = write_file(output, write)
    typer.echo(
        f"{counted(count, 'message')} of {session_id or _described(wanted)} written to {output}", err=True
    )


def wanted_messages(
    session_id: str | None,
    *,
    channel: str | None,
    guild: str | None,
    author: str | None,
    bounds: tuple[str | None, str | None],
    driver: str | None,
    is_limited: bool = False,
) -> MessageFilter:
    """Return the filter of a command.

    Raises:
        typer.BadParameter: There is none.
        BadInput: An id or a time is none.
    """
    from ingest_pipeline.storage.messages.queries import MessageFilter

    first, last = read_bounds(*bounds, ("--since", "--until"))
    wanted = MessageFilter(
        session_id,
        read_channel(channel),
        driver,
        None if author is None else read_author(author),
        first,
        last,
        guild_id=None if guild is None else read_guild(guild),
    )
    if not is_limited and replace(wanted, driver=None) == MessageFilter():
        raise typer.BadParameter(
            "say which messages: --session-id, --channel, --guild, --author, --since or --until"
        )
    return wanted


def _described(wanted: MessageFilter) -> str:
    """Return what a filter lets pass, in words."""
    stated = {name.removesuffix("_id"): value for name, value in asdict(wanted).items() if value is not None}
    return ", ".join(f"{name} {cell_text(value)}" for name, value in stated.items())


def _format_of(output: Path | None) -> ExportFormat:
    """Return the format that a file's suffix names; CSV without one.

    Raises:
        typer.BadParameter: It names no format.
    """
    suffix = output.suffix.lower().removeprefix(".") if output else ""
    if not suffix:
        return ExportFormat.CSV
    if suffix not in set(ExportFormat):
        known = ", ".join(f".{each.value}" for each in ExportFormat)
        raise typer.BadParameter(f"{output} has a suffix of no format ({known}): name one, or give --format")
    return ExportFormat(suffix)


def _export_days(settings: Settings, wanted: MessageFilter, folder: Path) -> None:
    with open_database(settings) as database:
        from ingest_pipeline.reporting.incremental_export import export_days

        done = export_days(database, wanted, folder, write_file)
    typer.echo(
        f"{counted(done.written, 'day')} with {counted(done.messages, 'message')} written to {folder}, "
        f"{done.removed} removed; "
        f"up to change {done.position}",
        err=True,
    )


def _to_stream(stream: BinaryIO, write: Callable[[BinaryIO], int]) -> int:
    """Write to a temporary file first: a slow reader of a pipe must not hold the database."""
    with TemporaryFile() as file:
        count = write(cast("BinaryIO", file))
        file.seek(0)
        shutil.copyfileobj(file, stream)
        stream.flush()
    return count


def write_file(output: Path, write: Callable[[BinaryIO], int]) -> int:
    """Write beside the file and put it in its place at the end, so that it is whole or as it was.

    A device or a pipe is written into and stays what it is.

    Raises:
        BadInput: The file cannot be written.
    """
    try:
        if output.exists() and not output.is_file():
            with output.open("wb") as stream:
                return _to_stream(stream, write)
        output.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as draft:
            try:
                count = write(cast("BinaryIO", draft))
                draft.flush()
                Path(draft.name).chmod(0o666 & ~_umask())
                Path(draft.name).replace(output)
            finally:
                Path(draft.name).unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(
            f"{output} cannot be written ({error.strerror or error}): name another file"
        ) from error
    return count


def _umask() -> int:
    """Return which permissions new files do not get; asking means setting."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
