"""Commands on the settings of guilds and channels: get, set, unset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.invocation import CHANNEL, JsonOption, begin, open_services, read_channel, read_guild
from ingest_pipeline.cli.output import print_json, print_rows
from ingest_pipeline.errors import BadInput

if TYPE_CHECKING:
    from ingest_pipeline.domain.channel_settings import EffectiveSettings, Value
    from ingest_pipeline.storage.engine.database import Connection
    from ingest_pipeline.userconfig.effective_settings import Scope

app = typer.Typer(
    name="settings", help="Look up and change settings of guilds and channels.", no_args_is_help=True
)

PlaceGuild = Annotated[str | None, typer.Option("--guild", metavar="GUILD", help="The guild.")]
PlaceChannel = Annotated[str | None, typer.Option("--channel", metavar=CHANNEL, help="The channel.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Such as highlights.threshold.")]


@app.command("get")
def get(
    context: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            metavar="[KEY]", help=("Such as highlights.threshold, or highlights; all by default.")
        ),
    ] = "",
    *,
    guild: PlaceGuild = None,
    channel: PlaceChannel = None,
    as_json: JsonOption = False,
) -> None:
    """Show the effective values globally, in a guild or in a channel, with the origin of each."""
    from ingest_pipeline.domain.channel_settings import keys_under

    keys = keys_under(key)
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.userconfig.effective_settings import find_scope, settings_at
        from ingest_pipeline.userconfig.settings_file import load_settings_file

        file = load_settings_file(settings.settings_file)
        with services.database.read() as connection:
            scope = find_scope(connection, *_given(guild, channel))
            in_force = settings_at(connection, file, scope)
    _show(scope, in_force, keys, as_json=as_json)


@app.command("set")
def set_value(
    context: typer.Context,
    key: KeyArgument,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="As in the file: true, 0.7, '[crash, red flag]'.")
    ],
    *,
    guild: PlaceGuild = None,
    channel: PlaceChannel = None,
    as_json: JsonOption = False,
) -> None:
    """Set a value for a guild or a channel; it applies from the next poll or batch of events on."""
    from ingest_pipeline.domain.channel_settings import SETTINGS, keys_under, read_value

    if key not in SETTINGS:
        below = keys_under(key)
        raise BadInput(f"{key} is a group of settings: set one of {', '.join(below)}")
    _change(context, {key: read_value(key, _written(value), key)}, guild, channel, as_json=as_json)


@app.command("unset")
def unset(
    context: typer.Context,
    key: KeyArgument,
    *,
    guild: PlaceGuild = None,
    channel: PlaceChannel = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the value of a guild or a channel, and all values below its key."""
    from ingest_pipeline.domain.channel_settings import keys_under

    _change(context, dict.fromkeys(keys_under(key)), guild, channel, as_json=as_json)


def _change(
    context: typer.Context,
    changes: Mapping[str, Value | None],
    guild: str | None,
    channel: str | None,
    *,
    as_json: bool,
) -> None:
    settings = begin(context, as_json=as_json)
    given = _given(guild, channel)
    with open_services(settings) as services:
        from ingest_pipeline.userconfig.effective_settings import change_settings, find_scope
        from ingest_pipeline.userconfig.settings_file import load_settings_file

        file = load_settings_file(settings.settings_file)

        def work(connection: Connection) -> tuple[Scope, EffectiveSettings]:
            scope = find_scope(connection, *given)
            return scope, change_settings(connection, file, scope, changes, now=datetime.now(UTC))

        scope, in_force = services.database.run(work)
    _show(scope, in_force, list(changes), as_json=as_json)


def _given(guild: str | None, channel: str | None) -> tuple[int | None, int | None]:
    return None if guild is None else read_guild(guild), read_channel(channel)


def _written(value: str) -> Any:
    """Return a value, read as in the file: text, or a list of texts."""
    from ingest_pipeline.userconfig.edited_files import yaml_root
    from ingest_pipeline.userconfig.settings_file import written

    return written(yaml_root(value, "the value"))


def _show(scope: Scope, in_force: EffectiveSettings, keys: list[str], *, as_json: bool) -> None:
    found = [in_force.find(key) for key in keys]
    if as_json:
        shown = [{"key": each.key, "value": each.value, "origin": each.origin} for each in found]
        ids = {"guild_id": scope.guild_id, "channel_id": scope.channel_id}
        print_json({**{name: each and str(each) for name, each in ids.items()}, "settings": shown})
        return
    print_rows(("key", "value", "origin"), [(each.key, _text(each.value), each.origin) for each in found])


def _text(value: Value) -> str:
    """Return a value as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)
