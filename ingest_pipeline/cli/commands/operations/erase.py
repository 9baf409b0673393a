"""`ingest erase`: forget a message, an author, a channel or a guild, everywhere and for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ingest_pipeline.cli.invocation import JsonOption, begin, open_services
from ingest_pipeline.cli.output import describing, print_json, print_rows
from ingest_pipeline.domain.erasures import Subject
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput
from ingest_pipeline.userconfig.session_rows import shown

if TYPE_CHECKING:
    from ingest_pipeline.erasure.erase import ErasureReport


def erase(
    context: typer.Context,
    *,
    message: Annotated[str | None, typer.Option(help="Erase this message.", metavar="ID")] = None,
    author: Annotated[str | None, typer.Option(help="Erase what this user wrote.", metavar="ID")] = None,
    channel: Annotated[
        str | None, typer.Option(help="Erase the messages of this channel and its threads.", metavar="ID")
    ] = None,
    guild: Annotated[str | None, typer.Option(help="Erase the messages of this guild.", metavar="ID")] = None,
    also_future: Annotated[
        bool, typer.Option("--also-future", help="Do not take what is posted later either.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be erased, by place, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase messages out of every table, file and index, so that nothing brings them back.

    There is no way back. Only keyed digests of the ids stay, by which later readings are left out. Without
    an option it finishes an erasure that was broken off, and erases again what a restored copy brought back.
    """
    given = {
        Subject.MESSAGE: message,
        Subject.AUTHOR: author,
        Subject.CHANNEL: channel,
        Subject.GUILD: guild,
    }
    wanted = [(subject, text) for subject, text in given.items() if text is not None]
    if len(wanted) > 1:
        raise BadInput("name one of --message, --author, --channel and --guild at a time")
    if not wanted and (dry_run or also_future):
        raise BadInput("name what to erase: --message, --author, --channel or --guild")
    settings = begin(context, as_json=as_json)
    target = [(subject, _read_id(subject, text)) for subject, text in wanted]
    with open_services(settings) as services, describing() as show:
        from ingest_pipeline.erasure import erase as erasing

        if not target:
            report = erasing.finish(services, progress=show)
        else:
            subject, entity_id = target[0]
            if not (dry_run or yes):
                _ask(f"{subject.value} {entity_id}")
            report = erasing.erase(
                services, subject, entity_id, also_future=also_future, dry_run=dry_run, progress=show
            )
    _print(report, as_json=as_json)


def _read_id(subject: Subject, text: str) -> int:
    entity_id = parse_snowflake(text)
    if entity_id is None:
        raise BadInput(f"{subject.value} id {shown(text)} is not a Discord id: write its digits")
    return entity_id


def _ask(what: str) -> None:
    if not sys.stdin.isatty():
        raise BadInput(f"erasing {what} cannot be undone: look with --dry-run first, then say --yes")
    typer.confirm(f"Erase {what} everywhere? This cannot be undone", abort=True, err=True)


def _print(report: ErasureReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
        return
    print_rows(("place", "would be erased" if report.dry_run else "erased"), sorted(report.places.items()))
    found = f"{report.messages:,} messages found" if report.messages else "no further message found"
    typer.echo(f"{found}; {'counted' if report.dry_run else 'done'} in {report.seconds:.1f} s", err=True)
    for remark in report.remarks:
        typer.echo(f"what stays: {remark}", err=True)
