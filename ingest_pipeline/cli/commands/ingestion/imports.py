"""Commands that bring messages in: import-messages, poll-recent-messages, backfill, reread."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ingest_pipeline.cli.invocation import (
    CHANNEL,
    TIME,
    GuildOption,
    JsonOption,
    SessionOption,
    begin,
    open_services,
    read_bounds,
    read_channel,
    read_guild,
    storable,
)
from ingest_pipeline.cli.output import counting, describing, moment_text, print_json, print_report
from ingest_pipeline.domain.sessions.session import live_sessions, next_session

_Session = Annotated[
    str | None,
    typer.Option(
        "--session-id",
        help="The session's id; without one give a channel and both times.",
        metavar="ID",
        callback=storable,
    ),
]


def import_messages(
    context: typer.Context,
    *,
    session_id: _Session = None,
    channel_id: Annotated[
        str | None,
        typer.Option(help="Channel to export; each of the session's by default.", metavar=CHANNEL),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Start of the range, with Z or an offset; the session's start by default.", metavar=TIME
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(help="End of the range, excluded; the session's end by default.", metavar=TIME),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for the exporter's files; in the data folder by default.", file_okay=False),
    ] = None,
    keep_file: Annotated[bool, typer.Option("--keep-file", help="Keep the exporter's files.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="Import this export instead of running the exporter.", metavar="EXPORT.json"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import messages of a session, or of a channel between two times.

    They come from Discord, or with --file from an export, whose channel is then used: a different
    --channel-id is an error. Importing again is safe: a message is identified by its Discord id.
    """
    settings = begin(context, as_json=as_json)
    first, last = read_bounds(start, end)
    channel = read_channel(channel_id)
    with open_services(settings) as services, counting("messages read") as progress:
        from ingest_pipeline.content.sessions import reading_content
        from ingest_pipeline.ingestion import imports

        report = imports.import_messages(
            services,
            session_id,
            channel_id=channel,
            start=first,
            end=last,
            file=file,
            output_dir=output_dir,
            keep_file=keep_file,
            progress=progress,
            on_rows_merged=reading_content(services),
        )
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report)


def poll_recent_messages(
    context: typer.Context,
    window_seconds: Annotated[
        int, typer.Option(help="Length of the trailing window.", min=1, max=86_400, metavar="SECONDS")
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """Import new messages of the live session.

    It reads the trailing window, and earlier ranges that are not proven complete yet. Without a live
    session it names the next one.
    """
    settings = begin(context, as_json=as_json)
    now = datetime.now(UTC)
    with open_services(settings) as services:
        from ingest_pipeline.content.sessions import reading_content
        from ingest_pipeline.ingestion import imports
        from ingest_pipeline.storage.messages.sessions import list_sessions

        with services.database.read() as connection:
            sessions = list_sessions(connection)
        live = live_sessions(sessions, now)
        if len(live) > 1:
            others = ", ".join(session.session_id for session in live[1:])
            typer.echo(f"warning: {live[0].session_id} is polled; also live: {others}", err=True)
        report = imports.poll_live_session(
            services, window_seconds, now, on_rows_merged=reading_content(services)
        )
    coming = next_session(sessions, now)
    if report is not None and as_json:
        print_json({"live": True, **report.as_dict()})
    elif report is not None:
        print_report(report)
    elif as_json:
        upcoming = coming and {"session_id": coming.session_id, "start": coming.start_time}
        print_json({"live": False, "next_session": upcoming})
    elif coming is not None:
        typer.echo(f"no session is live; next is {coming.session_id} at {moment_text(coming.start_time)}")
    else:
        typer.echo("no session is live and none is coming; add one with `ingest sessions add`")


def backfill(context: typer.Context, session_id: SessionOption, as_json: JsonOption = False) -> None:
    """Read a whole session again.

    One exporter run for each channel reads all of it; the exports land and are then merged.
    """
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services, describing() as progress:
        from ingest_pipeline.content.sessions import reading_content
        from ingest_pipeline.ingestion import imports

        report = imports.backfill_session(
            services, session_id, progress=progress, on_rows_merged=reading_content(services)
        )
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report)


def reread(
    context: typer.Context,
    *,
    session_id: Annotated[
        str | None,
        typer.Option(help="Read a session's channels and time; everything by default.", metavar="ID"),
    ] = None,
    channel_id: Annotated[
        str | None,
        typer.Option("--channel", "--channel-id", help="Read this channel only.", metavar=CHANNEL),
    ] = None,
    guild: GuildOption = None,
    author: Annotated[str | None, typer.Option(hidden=True)] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Read what was posted then or later, with Z or an offset.", metavar=TIME),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Read what was posted before.", metavar=TIME)] = None,
    as_json: JsonOption = False,
) -> None:
    """Read everything that has landed again, without asking Discord.

    Landed exports and raw readings of the bot and of history are merged again, as they were read; skipped
    messages that have words in what is stored of them are taken. A second run changes nothing.
    """
    if author is not None:
        raise typer.BadParameter(
            "what has landed is merged whole, whoever wrote it: narrow by session, channel, guild or time"
        )
    settings = begin(context, as_json=as_json)
    first, last = read_bounds(since, until, ("--since", "--until"))
    channel = read_channel(channel_id)
    guild_id = None if guild is None else read_guild(guild)
    with open_services(settings) as services, describing() as progress:
        from ingest_pipeline.content.sessions import reading_content
        from ingest_pipeline.ingestion.rereading import reread as rereading

        scope = rereading.RereadScope(session_id, channel, first, last, guild_id)
        report = rereading.reread(services, reading_content(services), scope, progress)
    if as_json:
        print_json(report.as_dict())
        return
    typer.echo(
        f"{report.documents:,} landed documents and {report.readings:,} raw readings with "
        f"{report.messages:,} messages: {report.created:,} created, {report.updated:,} updated, "
        f"{report.unchanged:,} unchanged, {report.stale:,} stale, {report.skipped:,} skipped, "
        f"in {report.seconds:.1f} s"
    )
    if report.decided_again:
        typer.echo(f"{report.decided_again:,} skipped messages have words and are taken now")
    for name, reason in report.damaged.items():
        typer.echo(f"not merged: {name}: {reason}")
    for unknown in report.unknown_sessions:
        typer.echo(f"not merged: session {unknown!r} is not known; add it and read again")
