"""The command `ingest clip-files`: clips of a session, channel, guild, author or time, and their files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from ingest_pipeline.cli.commands.messages.messages import wanted_messages
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
)
from ingest_pipeline.cli.output import describing, print_json, print_rows, with_text_ids
from ingest_pipeline.errors import ExitCode


def clip_files(
    context: typer.Context,
    *,
    session_id: OfSession = None,
    channel: OfChannel = None,
    guild: GuildOption = None,
    author: OfAuthor = None,
    since: Since = None,
    until: Until = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only clips without a file.")] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Download those without a file first, expired ones too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List clips with their files, oldest first, or download them.

    With --fetch the exit code is 10 if one could not be had: the reason is listed, and it is tried again the
    next time.
    """
    settings = begin(context, as_json=as_json)
    wanted = wanted_messages(
        session_id, channel=channel, guild=guild, author=author, bounds=(since, until), driver=None
    )
    problems = 0
    with open_services(settings) as services:
        from ingest_pipeline.content.channel_clips import fetch_matching
        from ingest_pipeline.sources.discord.clip_download import DownloadLimits
        from ingest_pipeline.storage.content.clip_search import clips_matching
        from ingest_pipeline.storage.messages.sessions import find_session

        if session_id is not None:
            with services.database.read() as connection:
                find_session(connection, session_id)
        if fetch:
            with describing() as progress:
                done = fetch_matching(
                    services, wanted, DownloadLimits(), now=datetime.now(UTC), progress=progress
                )
            problems = sum(each.problem is not None for each in done)
        with services.database.read() as connection:
            found = clips_matching(connection, wanted, is_missing=missing)
    if as_json:
        print_json({"count": len(found), "clips": [with_text_ids(clip) for clip in found]})
    else:
        columns = ("posted_at", "channel_id", "discord_id", "file_name", "expires_at", "file_path", "problem")
        print_rows(columns, [[clip[column] for column in columns] for clip in found])
    if problems:
        typer.echo(f"{problems} clips could not be had; their problem is listed", err=True)
        raise typer.Exit(ExitCode.INCOMPLETE)
