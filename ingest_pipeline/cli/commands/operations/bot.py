"""The command that runs the real-time bot."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ingest_pipeline.cli.invocation import JsonOption, begin, open_services
from ingest_pipeline.cli.output import cell_text, print_json, print_rows
from ingest_pipeline.errors import ExitCode

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ingest_pipeline.bot.runtime import BotOptions
    from ingest_pipeline.ingestion.services import Services


def bot(
    context: typer.Context,
    *,
    monitor: Annotated[
        list[str] | None,
        typer.Option(
            "--monitor",
            help="Channels to monitor in guilds without patterns; repeatable; INGEST_BOT_MONITOR by default.",
            metavar="PATTERN",
        ),
    ] = None,
    lookback_hours: Annotated[
        float | None,
        typer.Option(
            "--lookback-hours",
            "--catch-up-hours",
            help=(
                "Read again messages posted in the HOURS before a gap; INGEST_BOT_LOOKBACK_HOURS by default."
            ),
            metavar="HOURS",
            min=0,
            max=10_000,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help=(
                "Show the bot's intents and permissions, the missing ones, and its invitation; run nothing."
            ),
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write messages, edits, deletions and reactions to the table as they happen, until stopped.

    The bot watches the channels that `ingest guilds monitor` names and those of all sessions. Without
    DISCORD_BOT_TOKEN the bot is off, which is not an error. With --check the exit code is 10 when there
    is nothing to watch, or a watched channel cannot be read.
    """
    settings = begin(context, as_json=as_json)
    if settings.discord_bot_token is None:
        typer.echo("the bot is off: DISCORD_BOT_TOKEN is not set", err=True)
        return
    with open_services(settings) as services:
        from ingest_pipeline.bot.runtime import BotOptions
        from ingest_pipeline.userconfig.settings_file import default_monitor_patterns

        patterns = tuple(monitor or default_monitor_patterns(settings))
        if check:
            _check(services, settings.discord_bot_token, patterns, as_json=as_json)
            return
        hours = settings.bot_lookback_hours if lookback_hours is None else lookback_hours
        options = BotOptions(lookback=timedelta(hours=hours), patterns=patterns)
        asyncio.run(_run_until_signalled(services, settings.discord_bot_token, options))


def _check(services: Services, token: SecretStr, patterns: tuple[str, ...], *, as_json: bool) -> None:
    from ingest_pipeline.bot.check import REMEDIES, check_bot_now, invite_link

    found = check_bot_now(services, token, patterns)
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(f"token and intents are right: {found.name} ({found.application_id})", err=True)
        for guild in found.guilds:
            watched = f"{len(guild.watched)} of {guild.channels} channels watched"
            typer.echo(f"in {cell_text(guild.name)} ({guild.guild_id}): {watched}", err=True)
        if not found.guilds:
            typer.echo("in no guild", err=True)
        for channel_id in found.missing:
            typer.echo(f"channel {channel_id} of a session is in no guild of the bot", err=True)
        typer.echo(f"invite it with {invite_link(found.application_id)}", err=True)
        print_rows(
            ("guild_id", "channel_id", "name", "reading_state", "remedy"),
            [
                (
                    guild.guild_id,
                    channel.channel_id,
                    channel.name,
                    channel.reading_state.value,
                    REMEDIES.get(channel.reading_state),
                )
                for guild in found.guilds
                for channel in guild.watched
            ],
        )
    if not found.is_whole:
        raise typer.Exit(ExitCode.INCOMPLETE)


async def _run_until_signalled(services: Services, token: SecretStr, options: BotOptions) -> None:
    """Run the bot until Ctrl-C or SIGTERM; a second one ends it at once."""
    from ingest_pipeline.bot.listener import run_bot

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    await run_bot(services, token, stop, options=options)
