"""Commands that show stored messages and write them to files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Annotated, Any, BinaryIO, cast

import typer

from ingest_pipeline.cli.invocation import DriverOption, JsonOption, SessionOption, begin, open_services
from ingest_pipeline.cli.output import print_json, print_rows
from ingest_pipeline.errors import BadInput
from ingest_pipeline.reporting.formats import ExportFormat

_JSON_COLUMNS = ("attachments", "embeds", "stickers", "reactions")


def messages(
    context: typer.Context,
    session_id: SessionOption,
    driver: DriverOption = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the newest N messages.", min=1, max=10**9, metavar="N")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session's messages, oldest first."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.domain.mentions import readable
        from ingest_pipeline.storage.catalogue.names import names_in
        from ingest_pipeline.storage.messages.deletions import list_messages
        from ingest_pipeline.storage.messages.sessions import find_session

        with services.database.read() as connection:
            find_session(connection, session_id)
            rows = list_messages(connection, session_id, driver=driver, limit=limit)
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
    session_id: SessionOption,
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
) -> None:
    """Write a session's messages as CSV, Parquet, JSON or a web page.

    The file is a snapshot of one moment.
    """
    kind = kind or _format_of(output)
    if output is None and kind is ExportFormat.PARQUET and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not text: name a file with --output, or redirect the output")
    settings = begin(context)
    with open_services(settings) as services:
        from ingest_pipeline.reporting.export import export_session
        from ingest_pipeline.storage.messages.sessions import find_session

        def write(stream: BinaryIO) -> int:
            with services.database.read() as connection:
                return export_session(connection, find_session(connection, session_id), kind, stream)

        if output is None:
            _to_stream(sys.stdout.buffer, write)
            return
        count = _to_file(output, write)
    typer.echo(f"{count} messages of {session_id} written to {output}", err=True)


def _format_of(output: Path | None) -> ExportFormat:
    suffix = output.suffix.lower().removeprefix(".") if output else ""
    return ExportFormat(suffix) if suffix in set(ExportFormat) else ExportFormat.CSV


def _to_stream(stream: BinaryIO, write: Callable[[BinaryIO], int]) -> int:
    """Write to a temporary file first: a slow reader of a pipe must not hold the database."""
    with TemporaryFile() as file:
        count = write(cast("BinaryIO", file))
        file.seek(0)
        shutil.copyfileobj(file, stream)
        stream.flush()
    return count


def _to_file(output: Path, write: Callable[[BinaryIO], int]) -> int:
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
