"""Effective settings of channels: looked up, explained and changed.

Asked for with each import and each batch of events, so that a change holds from the next one on: the file
is read again when it has changed, what is set by command is read with the rest of a transaction.

A change is one transaction, and what is in effect after it must fit together wherever it holds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.domain.channel_settings import EffectiveSettings, Layer, Value, Values
from ingest_pipeline.errors import BadInput, ConfigurationError, NothingFound
from ingest_pipeline.storage.catalogue.guilds import find_channel, find_guild
from ingest_pipeline.storage.catalogue.setting_overrides import (
    channel_settings,
    channels_with_settings,
    guild_layer,
    guild_settings,
    hold_channel_settings,
    hold_guild_settings,
    override_layers,
    save_channel_settings,
    save_guild_settings,
)
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.userconfig.settings_file import SettingsFile


def effective_settings(
    connection: Connection, file: SettingsFile, channel_ids: Collection[int]
) -> dict[int, EffectiveSettings]:
    """Return the settings of some channels, whether the catalogue has them or not.

    Args:
        file: What `data/settings.yaml` says.

    Raises:
        ConfigurationError: What is set by command is no longer known or no longer fits.
    """
    stored = override_layers(connection, channel_ids) if channel_ids else {}
    return {
        channel_id: EffectiveSettings(_layered(file, channel_id, stored.get(channel_id, ())))
        for channel_id in channel_ids
    }


def _layered(
    file: SettingsFile, channel_id: int, stored: Sequence[tuple[int | None, Layer]]
) -> tuple[Layer, ...]:
    """Return the layers of a channel: nearer places after farther ones, and at each the command's last."""
    layers = [file.default_layer()]
    for scope, layer in stored:
        if scope is not None and (own := file.channel_layer(scope)):
            layers.append(own)
        layers.append(layer)
    if not stored and (own := file.channel_layer(channel_id)):
        layers.append(own)
    return tuple(layers)


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of settings: a channel, else a guild, else everything.

    Attributes:
        guild_id: The guild, the channel's own one if there is a channel; or None.
        channel_id: The channel, or None.
    """

    guild_id: int | None = None
    channel_id: int | None = None


def find_scope(connection: Connection, guild_id: int | None, channel_id: int | None) -> Scope:
    """Return the scope that a guild and a channel name.

    Raises:
        NothingFound: One is not in the catalogue.
        BadInput: The channel is in another guild.
    """
    try:
        if channel_id is None:
            if guild_id is not None:
                find_guild(connection, guild_id)
            return Scope(guild_id)
        own = find_channel(connection, channel_id).guild_id
    except NothingFound as error:
        raise NothingFound(f"{error}; without a bot, channels are set in data/settings.yaml") from error
    if guild_id not in {None, own}:
        raise BadInput(f"channel {channel_id} is in guild {own}, not in {guild_id}: give one of the two")
    return Scope(own, channel_id)


def settings_at(connection: Connection, file: SettingsFile, scope: Scope) -> EffectiveSettings:
    """Return the settings in effect at a scope."""
    if scope.channel_id is not None:
        return effective_settings(connection, file, [scope.channel_id])[scope.channel_id]
    if scope.guild_id is not None:
        own = guild_layer(scope.guild_id, guild_settings(connection, scope.guild_id))
        return EffectiveSettings((file.default_layer(), own))
    return EffectiveSettings((file.default_layer(),))


def change_settings(
    connection: Connection,
    file: SettingsFile,
    scope: Scope,
    changes: Mapping[str, Value | None],
    *,
    now: datetime,
) -> EffectiveSettings:
    """Set values at a scope and return what is in effect there now.

    Args:
        connection: An open write transaction; it must be undone when this raises.
        file: What `data/settings.yaml` says.
        scope: A guild or a channel.
        changes: Values by key; None unsets one.
        now: When, aware UTC.

    Raises:
        BadInput: The values contradict each other, there or in a channel below; or the scope is
            neither guild nor channel.
    """
    if scope.channel_id is not None:
        hold_channel_settings(connection, scope.channel_id, now=now)
        values = _changed(channel_settings(connection, scope.channel_id), changes)
        save_channel_settings(connection, scope.channel_id, values, now=now)
    elif scope.guild_id is not None:
        hold_guild_settings(connection, scope.guild_id, now=now)
        values = _changed(guild_settings(connection, scope.guild_id), changes)
        save_guild_settings(connection, scope.guild_id, values, now=now)
    else:
        raise BadInput("defaults for all guilds are written in data/settings.yaml; give a guild or a channel")
    in_force = settings_at(connection, file, scope)
    _check(connection, file, scope, in_force)
    return in_force


def _changed(values: Values, changes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {key: value for key, value in {**values, **changes}.items() if value is not None}


def _check(connection: Connection, file: SettingsFile, scope: Scope, in_force: EffectiveSettings) -> None:
    below = channels_with_settings(connection, scope.guild_id) if scope.guild_id is not None else []
    try:
        for settings in (in_force, *effective_settings(connection, file, below).values()):
            _ = settings.highlights
    except ConfigurationError as error:
        raise BadInput(str(error)) from error
