"""Commands of the kinds of content, one each: `ingest team-radio`, and so on for every kind there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ingest_pipeline.cli.commands.messages.messages import write_file
from ingest_pipeline.cli.invocation import (
    GuildOption,
    JsonOption,
    OfAuthor,
    OfChannel,
    OfSession,
    Since,
    Until,
    begin,
    open_services,
    read_author,
    read_bounds,
    read_channel,
    read_guild,
)
from ingest_pipeline.cli.output import print_json, print_rows, with_text_ids
from ingest_pipeline.reporting.formats import ExportFormat

if TYPE_CHECKING:
    from ingest_pipeline.content.kind import Kind
    from ingest_pipeline.storage.content.queries import ContentFilter

_ALL = 10**9
_LimitOption = Annotated[
    int, typer.Option(help="Only the newest N messages that have any.", min=1, max=10**9, metavar="N")
]
_OutputOption = Annotated[
    Path | None,
    typer.Option(
        help="Write to a file instead, replaced as a whole: .csv, .parquet or .json.", dir_okay=False
    ),
]
_FormatOption = Annotated[
    ExportFormat | None,
    typer.Option("--format", help="csv, parquet or json, to the output or to standard output."),
]


def find_command(name: str) -> Any:
    """Return the command of a kind of content by its name, with `-` for `_`; None for no kind.

    Raises:
        ConfigurationError: The settings are wrong, or a kind cannot be loaded.
    """
    from ingest_pipeline.content.registry import load_kinds
    from ingest_pipeline.environment import load_environment

    kinds = load_kinds(load_environment(Path.cwd()))
    kind = next((each for each in kinds if each.name.replace("_", "-") == name), None)
    # Team radio is `radio` for short, as in the filters of a search, unless two kinds end like this.
    short = [each for each in kinds if each.name.rpartition("_")[2] == name]
    if kind is None and len(short) == 1:
        [kind] = short
    return None if kind is None else _command(name, kind)


def _command(name: str, kind: Kind) -> Any:
    from ingest_pipeline.storage.content.queries import ContentFilter

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command(name, help=kind.description)
    def show(
        context: typer.Context,
        *,
        session_id: OfSession = None,
        channel: OfChannel = None,
        guild: GuildOption = None,
        author: OfAuthor = None,
        since: Since = None,
        until: Until = None,
        limit: _LimitOption = _ALL,
        output: _OutputOption = None,
        file_format: _FormatOption = None,
        as_json: JsonOption = False,
    ) -> None:
        first, last = read_bounds(since, until, ("--since", "--until"))
        wanted = ContentFilter(
            limit,
            session_id,
            read_channel(channel),
            first,
            last,
            guild_id=None if guild is None else read_guild(guild),
            author_id=None if author is None else read_author(author),
        )
        if wanted == ContentFilter(_ALL):
            raise typer.BadParameter(
                "say of which messages: --session-id, --channel, --guild, --author, --since, --until, --limit"
            )
        if file_format is ExportFormat.HTML:
            raise typer.BadParameter("what was found has no web page: choose csv, parquet or json")
        if file_format is ExportFormat.PARQUET and output is None and sys.stdout.isatty():
            raise typer.BadParameter("Parquet is not text: name a file with --output, or redirect the output")
        rows = _find(context, kind, wanted, as_json=as_json)
        if output is not None:
            suffix = output.suffix if file_format is None else f".{file_format.value}"
            write_file(output, lambda stream: _write(stream, kind, rows, suffix))
        elif file_format is not None:
            _write(sys.stdout.buffer, kind, rows, f".{file_format.value}")
        elif as_json:
            from ingest_pipeline.content.found import unpacked

            shown = [unpacked(kind, row) for row in rows]
            print_json({"session_id": session_id, "count": len(rows), kind.name: shown})
        else:
            columns = ("posted_at", "discord_id", *(kind.shows or kind.table.columns.names[1:]))
            print_rows(columns, [[row[each] for each in columns] for row in rows])

    return typer.main.get_command(app)


def _find(
    context: typer.Context, kind: Kind, wanted: ContentFilter, *, as_json: bool
) -> list[dict[str, Any]]:
    """Return what was found in messages, oldest first, ids as text."""
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.content.found import find_content
        from ingest_pipeline.storage.messages.sessions import find_session

        with services.database.read() as connection:
            if wanted.session_id is not None:
                find_session(connection, wanted.session_id)
            found = find_content(connection, kind, wanted)
    # A message's own rows stay in their order.
    ordered = sorted(found, key=lambda row: row["discord_id"])
    return [with_text_ids(row) for row in ordered]


def _write(stream: BinaryIO, kind: Kind, rows: list[dict[str, Any]], suffix: str) -> int:
    import json

    import pyarrow as pa

    from ingest_pipeline.content.found import unpacked
    from ingest_pipeline.reporting.export import without_formulas

    table = pa.Table.from_pylist(rows)
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, stream)
    elif suffix == ".json":
        shown = [unpacked(kind, row) for row in rows]
        stream.write(json.dumps(shown, ensure_ascii=False, default=str).encode())
    else:
        import pyarrow.csv as pc

        pc.write_csv(without_formulas(table), stream)
    return len(rows)
