"""Effective settings of channels at one moment.

Asked for with each import and each batch of events, so that a change holds from the next one on: the file
is read again when it has changed, what is set by command is read with the rest of a transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ingest_pipeline.domain.channel_settings import Layer, SettingsInForce
from ingest_pipeline.storage.catalogue.setting_overrides import override_layers
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.userconfig.settings_file import SettingsFile


def settings_in_force(
    connection: Connection, file: SettingsFile, channel_ids: Collection[int]
) -> dict[int, SettingsInForce]:
    """Return the settings of some channels, whether the catalogue has them or not.

    Args:
        file: What `data/settings.yaml` says.

    Raises:
        ConfigurationError: What is set by command is no longer known or no longer fits.
    """
    stored = override_layers(connection, channel_ids) if channel_ids else {}
    return {
        channel_id: SettingsInForce(_layered(file, channel_id, stored.get(channel_id, ())))
        for channel_id in channel_ids
    }


def _layered(
    file: SettingsFile, channel_id: int, stored: Sequence[tuple[int | None, Layer]]
) -> tuple[Layer, ...]:
    """Return the layers of a channel: nearer places after farther ones, and at each the command's last."""
    layers = [file.default_layer()]
    for place, layer in stored:
        if place is not None and (own := file.channel_layer(place)):
            layers.append(own)
        layers.append(layer)
    if not stored and (own := file.channel_layer(channel_id)):
        layers.append(own)
    return tuple(layers)
