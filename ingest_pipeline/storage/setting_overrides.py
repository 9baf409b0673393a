"""What is set by command for guilds and channels, as JSON objects beside them in the catalogue."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.channel_settings import Layer, Values, flatten, nest
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.storage.database import Connection

# The ancestors of a channel, as columns, the farthest first.
_LINEAGE = (("grandparent_id", "grandparent_settings"), ("parent_id", "parent_settings"))


def override_layers(
    connection: Connection, channel_ids: Collection[int]
) -> dict[int, list[tuple[int | None, Layer]]]:
    """Return what is set for some channels: for their guild, for what they are in, and for themselves.

    Returns:
        By channel, what each place says, the farthest first, with the place's channel id, None for a
        guild; channels that are not in the catalogue are left out.

    Raises:
        ConfigurationError: What is stored is no longer known or no longer fits.
    """
    rows = connection.fetch_all("setting_overrides", channel_ids=sorted(set(channel_ids)))
    found: dict[int, list[tuple[int | None, Layer]]] = {}
    for row in rows:
        places: list[tuple[int | None, Layer]] = [(None, guild_layer(row["guild_id"], row["guild_settings"]))]
        for id_column, settings_column in _LINEAGE:
            if row[id_column] is not None:
                places.append((row[id_column], _channel_layer(row[id_column], row[settings_column])))
        places.append((row["channel_id"], _channel_layer(row["channel_id"], row["own_settings"])))
        found[row["channel_id"]] = places
    return found


def guild_layer(guild_id: int, settings: str | None) -> Layer:
    """Return what a guild's JSON says."""
    origin = f"guild {guild_id}"
    return Layer(origin, _parsed(settings, origin))


def _channel_layer(channel_id: int, settings: str | None) -> Layer:
    origin = f"channel {channel_id}"
    return Layer(origin, _parsed(settings, origin))


def guild_settings(connection: Connection, guild_id: int) -> dict[str, Any]:
    """Return what is set for a guild, by key."""
    row = connection.fetch_one("read_guild_settings", guild_id=guild_id)
    return dict(guild_layer(guild_id, row["settings"] if row else None).values)


def channel_settings(connection: Connection, channel_id: int) -> dict[str, Any]:
    """Return what is set for a channel itself, by key."""
    row = connection.fetch_one("read_channel_settings", channel_id=channel_id)
    return dict(_channel_layer(channel_id, row["settings"] if row else None).values)


def channels_with_settings(connection: Connection, guild_id: int) -> list[int]:
    """Return the channels of a guild that something is set for."""
    return [row["channel_id"] for row in connection.fetch_all("channels_with_settings", guild_id=guild_id)]


def hold_guild_settings(connection: Connection, guild_id: int, *, now: datetime) -> None:
    """Keep others from setting anything for a guild until the end of the transaction."""
    connection.execute("name_guilds", guild_ids=[guild_id], now=now)
    connection.execute("hold_guild_settings", guild_id=guild_id, now=now)


def hold_channel_settings(connection: Connection, channel_id: int, *, now: datetime) -> None:
    """Keep others from setting anything for a channel until the end of the transaction."""
    connection.execute("hold_channel_settings", channel_id=channel_id, now=now)


def save_guild_settings(connection: Connection, guild_id: int, values: Values, *, now: datetime) -> None:
    """Keep what is set for a guild, in place of what was."""
    connection.execute("name_guilds", guild_ids=[guild_id], now=now)
    connection.execute("save_guild_settings", guild_id=guild_id, settings=json.dumps(nest(values)), now=now)


def save_channel_settings(connection: Connection, channel_id: int, values: Values, *, now: datetime) -> None:
    """Keep what is set for a channel of the catalogue, in place of what was."""
    connection.execute(
        "save_channel_settings", channel_id=channel_id, settings=json.dumps(nest(values)), now=now
    )


def _parsed(settings: str | None, origin: str) -> Values:
    if not settings or settings == "{}":
        return {}
    try:
        tree = json.loads(settings)
    except json.JSONDecodeError:
        tree = None
    if not isinstance(tree, dict):
        raise ConfigurationError(f"the settings of {origin} in the database are no JSON object: make it {{}}")
    try:
        return flatten(tree, origin, lambda _: "")
    except BadInput as error:
        raise ConfigurationError(f"{error}. Put it right by `ingest settings`") from error
