"""Commands on the guilds of the catalogue: list, show, invite, monitor, unmonitor, sync, forget."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.invocation import (
    GuildArgument,
    JsonOption,
    PatternsArgument,
    begin,
    open_services,
    read_author,
    read_guild,
)
from ingest_pipeline.cli.output import plain_text, print_fields, print_json, print_rows, with_text_ids
from ingest_pipeline.errors import BadInput, ConfigurationError

if TYPE_CHECKING:
    from ingest_pipeline.storage.engine.database import Connection

app = typer.Typer(name="guilds", help="List, show, monitor and synchronise guilds.", no_args_is_help=True)

_COLUMNS = ("guild_id", "name", "channels", "monitored", "patterns", "joined_at", "left_at", "last_seen_at")


@app.command("list")
def list_every(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the guilds of the catalogue; guilds that the bot has left come last."""
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.catalogue.guilds import list_guilds

        with services.database.read() as connection:
            found = _counted(connection, list_guilds(connection))
    if as_json:
        print_json({"count": len(found), "guilds": [with_text_ids(row) for row in found]})
        return
    print_rows(_COLUMNS, [[plain_text(row[column]) for column in _COLUMNS] for row in found])


@app.command("invite")
def invite(
    context: typer.Context,
    *,
    guild: Annotated[
        str | None, typer.Option("--guild", metavar="GUILD", help="The only guild that it may join.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="The user who begins it.")] = None,
    redirect_uri: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Where Discord sends the browser: one of the application's redirects."
        ),
    ] = "http://127.0.0.1:8000/install-intents/return",
    minutes: Annotated[int, typer.Option(help="How long the link is good.", min=1, max=1440)] = 10,
    as_json: JsonOption = False,
) -> None:
    """Print a link that adds the bot to a guild, good once.

    Discord sends the browser back to the running HTTP interface, which notes that the installation is done.
    """
    guild_id = None if guild is None else read_guild(guild)
    user_id = None if user is None else read_author(user)
    settings = begin(context, as_json=as_json)
    if settings.discord_bot_token is None:
        raise ConfigurationError("DISCORD_BOT_TOKEN is not set: put the bot's token into .env")
    with open_services(settings) as services:
        from ingest_pipeline.bot.check import application_id_now, invite_link
        from ingest_pipeline.storage.catalogue.install_intents import create_intent

        application_id, now = application_id_now(settings.discord_bot_token), datetime.now(UTC)
        lifetime = timedelta(minutes=minutes)
        intent, state = services.database.run(
            lambda connection: create_intent(
                connection, guild_id=guild_id, user_id=user_id, lifetime=lifetime, now=now
            )
        )
    link = invite_link(application_id, state=state, redirect_uri=redirect_uri, guild_id=guild_id)
    if as_json:
        print_json(
            {"intent_id": intent.intent_id, "invite_link": link, "expires_at": intent.expires_at.isoformat()}
        )
    else:
        typer.echo(link)


@app.command("show")
def show(context: typer.Context, guild: GuildArgument, as_json: JsonOption = False) -> None:
    """Show a guild: owner, when the bot joined, monitored channels and settings."""
    guild_id = read_guild(guild)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.domain.channel_settings import nest
        from ingest_pipeline.storage.catalogue.guilds import find_guild
        from ingest_pipeline.storage.catalogue.setting_overrides import guild_settings

        with services.database.read() as connection:
            [found] = _counted(connection, [find_guild(connection, guild_id)])
            found["settings"] = nest(guild_settings(connection, guild_id))
    if as_json:
        print_json(with_text_ids(found))
    else:
        print_fields(
            {**found, "patterns": " ".join(found["patterns"]), "settings": found["settings"] or None}
        )


@app.command("monitor")
def monitor(
    context: typer.Context,
    guild: GuildArgument,
    patterns: PatternsArgument,
    *,
    only: Annotated[bool, typer.Option("--only", help="Replace the guild's patterns.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Monitor a guild's channels by patterns, in addition to those it has.

    A pattern such as '*aplus-setups*' is compared with channel names, ignoring case. A channel is
    monitored with its category, a thread with its channel. A running bot follows within seconds.
    """
    guild_id = read_guild(guild)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.catalogue.guilds import (
            add_monitor_patterns,
            find_guild,
            set_monitor_patterns,
        )

        def work(connection: Connection) -> None:
            find_guild(connection, guild_id)
            change = set_monitor_patterns if only else add_monitor_patterns
            change(connection, guild_id, patterns, now=datetime.now(UTC))

        services.database.run(work)
        with services.database.read() as connection:
            _show_monitored(connection, guild_id, as_json=as_json)


@app.command("unmonitor")
def unmonitor(
    context: typer.Context,
    guild: GuildArgument,
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN", help="Patterns to remove; all by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove patterns from a guild, or all of them; stored messages stay."""
    guild_id = read_guild(guild)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.catalogue.guilds import list_monitor_patterns, remove_monitor_patterns

        def work(connection: Connection) -> None:
            wanted = patterns or list_monitor_patterns(connection, guild_id)
            unknown = remove_monitor_patterns(connection, guild_id, wanted, now=datetime.now(UTC))
            if unknown:
                present = " ".join(list_monitor_patterns(connection, guild_id)) or "none"
                raise BadInput(
                    f"guild {guild_id} has no pattern {' '.join(sorted(unknown))}: its patterns are {present}"
                )

        services.database.run(work)
        with services.database.read() as connection:
            _show_monitored(connection, guild_id, as_json=as_json)


@app.command("sync")
def sync(context: typer.Context, as_json: JsonOption = False) -> None:
    """Synchronise guilds, channels and users with what the bot sees in Discord."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.history.catalogue_sync import sync_catalogue

        report = asdict(asyncio.run(sync_catalogue(services)))
    if as_json:
        print_json(report)
        return
    for name, counts in report.items():
        listed = ", ".join(f"{what} {count}" for what, count in counts.items())
        typer.echo(f"{name}: {listed}")


@app.command("forget")
def forget(context: typer.Context, guild: GuildArgument) -> None:
    """Remove a guild that the bot has left, with its channels, patterns and settings.

    Its messages stay.
    """
    guild_id = read_guild(guild)
    with open_services(begin(context)) as services:
        from ingest_pipeline.storage.catalogue.guilds import find_guild, forget_guild

        def work(connection: Connection) -> str:
            found = find_guild(connection, guild_id)
            if found["joined_at"] is not None and found["left_at"] is None:
                raise BadInput(
                    f"the bot is in guild {guild_id}, which would come back: remove it from the guild first"
                )
            forget_guild(connection, guild_id)
            return str(found["name"])

        name = services.database.run(work)
    typer.echo(f"guild {guild_id} ({name}) is forgotten; its messages stay")


def _counted(connection: Connection, guilds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to guilds how many channels they have, how many are monitored, and by which patterns."""
    from ingest_pipeline.storage.catalogue.guilds import list_channels, list_monitor_patterns, list_monitored

    channels = Counter(channel.guild_id for channel in list_channels(connection))
    monitored = Counter(channel.guild_id for channel in list_monitored(connection))
    return [
        {
            **row,
            "channels": channels[row["guild_id"]],
            "monitored": monitored[row["guild_id"]],
            "patterns": list_monitor_patterns(connection, row["guild_id"]),
        }
        for row in guilds
    ]


def _show_monitored(connection: Connection, guild_id: int, *, as_json: bool) -> None:
    from ingest_pipeline.storage.catalogue.guilds import list_monitor_patterns, list_monitored

    present, channels = list_monitor_patterns(connection, guild_id), list_monitored(connection, guild_id)
    if as_json:
        shown = [{"channel_id": str(channel.channel_id), "name": channel.name} for channel in channels]
        print_json({"guild_id": str(guild_id), "patterns": present, "channels": shown})
        return
    typer.echo(f"patterns: {' '.join(present) or 'none'}", err=True)
    print_rows(
        ("channel_id", "name", "type", "reading_state"),
        [
            (channel.channel_id, channel.name, channel.channel_type, channel.reading_state.value)
            for channel in channels
        ],
    )
