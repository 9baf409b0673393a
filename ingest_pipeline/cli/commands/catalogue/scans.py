"""Commands on scan runs: list, show, queue, cancel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.invocation import (
    ChannelArgument,
    GuildOption,
    JsonOption,
    begin,
    open_services,
    read_guild,
)
from ingest_pipeline.cli.output import print_fields, print_json, print_rows, with_text_ids
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.userconfig.session_rows import parse_channel_id

if TYPE_CHECKING:
    from ingest_pipeline.storage.runs.scan_runs import ScanRun

app = typer.Typer(
    name="scans", help="List, show, queue and cancel readings of channels.", no_args_is_help=True
)
_Run = Annotated[str, typer.Argument(metavar="RUN", help="The scan run's id.")]
_COLUMNS = (
    "scan_run_id",
    "channel_id",
    "kind",
    "status",
    "progress",
    "messages_read",
    "messages_matched",
    "queued_at",
    "finished_at",
    "error",
)


@app.command("list")
def list_latest(
    context: typer.Context,
    guild: GuildOption = None,
    limit: Annotated[int, typer.Option(help="At most N.", min=1, max=10_000, metavar="N")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the latest scan runs, newest first."""
    guild_id = None if guild is None else read_guild(guild)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.runs.scan_runs import list_runs

        with services.database.read() as connection:
            found = [_described(run) for run in list_runs(connection, guild_id, limit=limit)]
    if as_json:
        print_json({"count": len(found), "scan_runs": [with_text_ids(each) for each in found]})
    else:
        print_rows(_COLUMNS, [[each[column] for column in _COLUMNS] for each in found])


@app.command("show")
def show(context: typer.Context, run: _Run, as_json: JsonOption = False) -> None:
    """Show a scan run: how far it is, what it found, why it ended."""
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.runs.scan_runs import find_run

        with services.database.read() as connection:
            try:
                found = find_run(connection, run)
            except LookupError as error:
                raise _unknown(error) from None
    _print(found, as_json=as_json)


@app.command("queue")
def queue(
    context: typer.Context,
    channel: ChannelArgument,
    *,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Only newer messages than the last reading.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Queue the reading of a channel's history, which the running stack's bot begins within a minute.

    An import of the channel that was begun and not finished goes on instead of a second one.
    """
    channel_id = parse_channel_id(channel)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.history.scan_plans import plan_requested

        overlap, now = services.settings.overlap, datetime.now(UTC)
        run = services.database.run(
            lambda connection: plan_requested(
                connection, channel_id, "catch_up" if catch_up else "import", overlap=overlap, now=now
            )
        )
    _print(run, as_json=as_json)


@app.command("cancel")
def cancel(context: typer.Context, run: _Run, as_json: JsonOption = False) -> None:
    """Cancel a scan run that is not over; a running one ends at its next batch, and what it read stays."""
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.runs.scan_runs import cancel_run

        try:
            ended = services.database.run(
                lambda connection: cancel_run(connection, run, now=datetime.now(UTC))
            )
        except LookupError as error:
            raise _unknown(error) from None
    _print(ended, as_json=as_json)


def _unknown(error: LookupError) -> NothingFound:
    return NothingFound(f"{error}: `ingest scans list` shows those there are")


def _described(run: ScanRun) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(run),
        "kind": run.kind.value,
        "status": run.status.value,
        "progress": run.progress,
    }


def _print(run: ScanRun, *, as_json: bool) -> None:
    if as_json:
        print_json(with_text_ids(_described(run)))
    else:
        print_fields(_described(run))
