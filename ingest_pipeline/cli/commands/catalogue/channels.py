"""Commands on the channels of the catalogue: list, show, monitor, unmonitor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.invocation import CHANNEL, GuildOption, JsonOption, begin, open_services, read_guild
from ingest_pipeline.cli.output import plain_text, print_fields, print_json, print_rows, with_text_ids
from ingest_pipeline.userconfig.session_rows import parse_channel_id

if TYPE_CHECKING:
    from ingest_pipeline.storage.engine.database import Connection

app = typer.Typer(name="channels", help="List, show and monitor channels.", no_args_is_help=True)

_COLUMNS = (
    "guild_id",
    "channel_id",
    "name",
    "channel_type",
    "parent_id",
    "reading_state",
    "is_monitored",
    "message_count",
    "last_activity_at",
)

ChannelsArgument = Annotated[list[str], typer.Argument(metavar=CHANNEL, help="Channel ids.")]


@app.command("list")
def list_every(
    context: typer.Context,
    *,
    guild: GuildOption = None,
    monitored: Annotated[bool, typer.Option("--monitored", help="Only monitored channels.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List channels and threads by guild and position, with how many of their messages are stored."""
    guild_id = None if guild is None else read_guild(guild)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.catalogue.guilds import describe_channels, find_guild

        with services.database.read() as connection:
            if guild_id is not None:
                find_guild(connection, guild_id)
            found = describe_channels(connection, guild_id=guild_id)
    _print_channels([row for row in found if row["is_monitored"] or not monitored], as_json=as_json)


@app.command("show")
def show(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(metavar=CHANNEL, help="The channel's id.")],
    as_json: JsonOption = False,
) -> None:
    """Show a channel: its type, whether it can be read, its stored messages and settings."""
    channel_id = parse_channel_id(channel)
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.domain.channel_settings import nest
        from ingest_pipeline.storage.catalogue.guilds import describe_channel
        from ingest_pipeline.storage.catalogue.setting_overrides import channel_settings

        with services.database.read() as connection:
            found = describe_channel(connection, channel_id)
            found["settings"] = nest(channel_settings(connection, channel_id))
    if as_json:
        print_json(with_text_ids(found))
    else:
        print_fields(found)


@app.command("monitor")
def monitor(context: typer.Context, channels: ChannelsArgument, as_json: JsonOption = False) -> None:
    """Monitor channels with their threads. A running bot follows within seconds."""
    from ingest_pipeline.storage.catalogue.guilds import monitor_channel

    _change(context, channels, monitor_channel, as_json=as_json)


@app.command("unmonitor")
def unmonitor(context: typer.Context, channels: ChannelsArgument, as_json: JsonOption = False) -> None:
    """Stop monitoring channels with their threads, despite matching patterns; stored messages stay."""
    from ingest_pipeline.storage.catalogue.guilds import unmonitor_channel

    _change(context, channels, unmonitor_channel, as_json=as_json)


def _change(
    context: typer.Context, channels: list[str], change: Callable[..., None], *, as_json: bool
) -> None:
    channel_ids = [parse_channel_id(channel) for channel in channels]
    with open_services(begin(context, as_json=as_json)) as services:
        from ingest_pipeline.storage.catalogue.guilds import describe_channel

        def work(connection: Connection) -> list[dict[str, Any]]:
            for channel_id in channel_ids:
                change(connection, channel_id, now=datetime.now(UTC))
            return [describe_channel(connection, channel_id) for channel_id in channel_ids]

        found = services.database.run(work)
    _print_channels(found, as_json=as_json)


def _print_channels(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"count": len(found), "channels": [with_text_ids(row) for row in found]})
        return
    print_rows(_COLUMNS, [[plain_text(row[column]) for column in _COLUMNS] for row in found])
