"""Setting overrides of guilds and channels, as JSON objects in the catalogue."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

from ingest_pipeline.domain.channel_settings import Layer, Values, flatten, nest
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.storage.engine.database import Connection

# A channel and what it is in, as columns, the farthest first.
_LINEAGE = (
    ("grandparent_id", "grandparent_settings"),
    ("parent_id", "parent_settings"),
    ("channel_id", "own_settings"),
)


def override_layers(
    connection: Connection, channel_ids: Collection[int]
) -> dict[int, list[tuple[int | None, Layer]]]:
    """Return what is set for some channels: for their guild, for what they are in, and for themselves.

    Returns:
        By channel, what each scope sets, the farthest first, with the scope's channel id, None for a
        guild; channels that are not in the catalogue are left out.

    Raises:
        ConfigurationError: What is stored is no longer known or no longer fits.
    """
    rows = connection.fetch_all("setting_overrides", channel_ids=sorted(set(channel_ids)))
    found: dict[int, list[tuple[int | None, Layer]]] = {}
    for row in rows:
        guild_id = row["guild_id"]
        guild = guild_layer(guild_id, _parsed(row["guild_settings"], f"guild {guild_id}"))
        scopes: list[tuple[int | None, Layer]] = [(None, guild)]
        for id_column, settings_column in _LINEAGE:
            if (scope_id := row[id_column]) is not None:
                origin = f"channel {scope_id}"
                scopes.append((scope_id, Layer(origin, _parsed(row[settings_column], origin))))
        found[row["channel_id"]] = scopes
    return found


def guild_layer(guild_id: int, values: Values) -> Layer:
    """Return what is set for a guild as a layer."""
    return Layer(f"guild {guild_id}", values)


def guild_settings(connection: Connection, guild_id: int) -> Values:
    """Return what is set for a guild, by key.

    Raises:
        ConfigurationError: What is stored is no longer known or no longer fits.
    """
    row = connection.fetch_one("read_guild_settings", guild_id=guild_id)
    return _parsed(row["settings"] if row else None, f"guild {guild_id}")


def channel_settings(connection: Connection, channel_id: int) -> Values:
    """Return what is set for a channel itself, by key.

    Raises:
        ConfigurationError: What is stored is no longer known or no longer fits.
    """
    row = connection.fetch_one("read_channel_settings", channel_id=channel_id)
    return _parsed(row["settings"] if row else None, f"channel {channel_id}")


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
        raise ConfigurationError(f"the settings of {origin} in the database are not a JSON object: set {{}}")
    try:
        return flatten(tree, "the database", lambda _: f"{origin}: ")
    except BadInput as error:
        raise ConfigurationError(
            f"{error} (correct the JSON in guild_settings, or in the settings of channels)"
        ) from error
