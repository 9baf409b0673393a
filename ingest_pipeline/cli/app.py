"""The `ingest` command, assembled from the modules of its groups."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from ingest_pipeline.cli.commands.catalogue import channels, guilds, scans, settings
from ingest_pipeline.cli.commands.ingestion import file_import, history, imports
from ingest_pipeline.cli.commands.messages import clips, content, events, messages, search
from ingest_pipeline.cli.commands.operations import bot, database, erase, mcp, notify, operations, stack
from ingest_pipeline.cli.commands.sessions import schedule_commands, sessions
from ingest_pipeline.cli.invocation import invocation_of
from ingest_pipeline.cli.output import ReportingGroup
from ingest_pipeline.errors import ExitCode


class _ContentGroup(ReportingGroup):
    """The commands by name; any other name may be one of a kind of content, which settings can add to."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or None."""
        return super().get_command(ctx, cmd_name) or content.find_command(cmd_name)


# Without rich's panels: errors stay on one line, so that they can be searched for in a log.
app = typer.Typer(
    name="ingest",
    cls=_ContentGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("import")(file_import.import_files)
app.command("start")(stack.start)
app.command("demo")(stack.demo)
app.command("import-messages")(imports.import_messages)
app.command("poll-recent-messages")(imports.poll_recent_messages)
app.command("backfill")(imports.backfill)
app.command("reread")(imports.reread)
app.command("messages")(messages.messages)
app.command("export")(messages.export)
app.command("clip-files")(clips.clip_files)
app.command("search")(search.search)
app.command("embed")(search.embed)
app.command("changes")(search.changes)
app.command("erase")(erase.erase)
app.command("trace")(operations.trace)
app.command("events")(events.events)
app.command("journeys")(events.journeys)
app.command("bot")(bot.bot)
app.command("import-history")(history.import_history)
app.command("gaps")(history.gaps)
app.command("verify-message-counts")(history.verify_message_counts)
app.command("seal")(history.seal)
app.command("prune")(operations.prune)
app.command("doctor")(operations.doctor)
app.command("exporter")(operations.exporter)
app.command("api")(operations.api)
app.command("mcp")(mcp.mcp)
sessions.app.command("sync")(schedule_commands.sync)
sessions.app.command("trading")(schedule_commands.trading)
app.add_typer(sessions.app)
app.add_typer(guilds.app)
app.add_typer(channels.app)
app.add_typer(scans.app)
app.add_typer(settings.app)
app.add_typer(notify.app)
app.add_typer(database.app)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"ingest {version('ingest_pipeline')}")
    except PackageNotFoundError:
        typer.echo("ingest (not installed, run from its source)")
    raise typer.Exit


@app.callback()
def _top(
    context: typer.Context,
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show debug messages, and a traceback with an error.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Put Discord messages into a database you own: complete, exact and fresh.

    Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 unexpected
    error, 2 wrong usage, 3 configuration, 4 no such session, 5 bad input, 6 exporter failed,
    7 time limit, 8 exporter unavailable, 9 database, 10 incomplete, 11 store of files away, 12 Discord,
    130 interrupted.
    """
    invocation_of(context).verbose = verbose


def main() -> None:
    """Run the command on the process's arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        # Under a locale without Unicode a message is shown with escapes instead of not at all.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(prog_name="ingest")
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    finally:
        _flush()


def _flush() -> None:
    """Write out what is buffered; a reader that went away gets no complaint at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
