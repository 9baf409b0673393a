"""The command `ingest import`: exports from files, folders and archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ingest_pipeline.cli.invocation import CHANNEL, TIME, JsonOption, begin, open_services, read_bounds
from ingest_pipeline.cli.output import filling, print_json, print_rows
from ingest_pipeline.domain.plurals import counted
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.userconfig.session_rows import parse_channel_id

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.files.reports import FilesReport


def import_files(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Exports as JSON, folders of them, ZIP and tar archives, or patterns."
        ),
    ],
    *,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="Only files of this channel; repeatable.", metavar=CHANNEL),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Only what was posted then or later, with Z or an offset.", metavar=TIME),
    ] = None,
    before: Annotated[str | None, typer.Option(help="Only what was posted earlier.", metavar=TIME)] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Take what a damaged file holds before its damage.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Read files again that have not changed since their import.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import exports of DiscordChatExporter.

    No session is needed: messages belong to the sessions that cover them, now or later. Archives are read
    without unpacking. A damaged file is named, the rest is imported, and the exit code is 10. Files that have
    not changed since their import are skipped, so an interrupted import goes on where it stopped.
    """
    settings = begin(context, as_json=as_json)
    first, last = read_bounds(after, before, ("--after", "--before"))
    channel_ids = frozenset(parse_channel_id(each) for each in channel or ())
    from ingest_pipeline.landing.files.found_files import find_files

    found = find_files(files)
    with open_services(settings) as services, filling(found.size_bytes) as progress:
        from ingest_pipeline.content.sessions import reading_content
        from ingest_pipeline.ingestion.files import file_import
        from ingest_pipeline.ingestion.files.reports import ImportScope

        report = file_import.import_files(
            services,
            found,
            ImportScope(channel_ids, first, last, salvage=salvage, again=again),
            on_rows_merged=reading_content(services),
            on_progress=progress,
        )
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)
    if not report.is_complete:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _print(report: FilesReport) -> None:
    print_rows(
        ("file", "outcome", "channel", "messages", "first", "last", "detail"),
        [
            (
                each.file,
                each.outcome.value,
                each.channel_name or each.channel_id,
                each.messages,
                each.first_at,
                each.last_at,
                each.detail,
            )
            for each in report.files
        ],
    )
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in report.outcomes.items())
    typer.echo(f"{counted(len(report.files), 'file')}: {outcomes}, in {report.seconds:.1f} s", err=True)
    typer.echo(
        f"received {report.received:,} messages: created {report.created:,}, updated {report.updated:,}, "
        f"unchanged {report.unchanged:,}, stale {report.stale:,}, skipped {report.skipped.total():,}",
        err=True,
    )
    for reason, count in sorted(report.skipped.items()):
        typer.echo(f"skipped as {reason}: {count:,}", err=True)
    if report.others:
        kinds = ", ".join(
            f"{count:,} {suffix or 'without a suffix'}" for suffix, count in report.others.most_common(5)
        )
        typer.echo(f"other files in the folders were not looked at: {kinds}", err=True)
