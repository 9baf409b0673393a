"""Routes of effective settings: global, of a guild or of a channel, with their origins."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Parts
from ingest_pipeline.api.fields import GivenId, ShownId
from ingest_pipeline.api.problems import documented
from ingest_pipeline.domain.channel_settings import SETTINGS
from ingest_pipeline.userconfig.setting_changes import find_place, settings_at
from ingest_pipeline.userconfig.settings_file import load_settings_file

router = APIRouter(tags=["catalogue"])


class SettingModel(BaseModel):
    """A setting."""

    key: str
    value: bool | int | float | str | list[str]
    origin: str = Field(description="`default`, the file, a guild or a channel.")


class SettingsModel(BaseModel):
    """The settings in force at a place."""

    guild_id: ShownId | None
    channel_id: ShownId | None
    items: list[SettingModel]


@router.get("/settings", summary="Settings in force", responses=documented(404, 422))
def in_force(
    services: Parts, guild_id: GivenId | None = None, channel_id: GivenId | None = None
) -> SettingsModel:
    """Show the settings of a channel, of a guild, or of all that say nothing themselves."""
    file = load_settings_file(services.settings.settings_file)
    with services.database.read() as connection:
        place = find_place(connection, guild_id, channel_id)
        settings = settings_at(connection, file, place)
    found = [settings.find(key) for key in SETTINGS]
    return SettingsModel(
        guild_id=None if place.guild_id is None else str(place.guild_id),
        channel_id=None if place.channel_id is None else str(place.channel_id),
        items=[
            SettingModel(
                key=each.key,
                value=list(each.value) if isinstance(each.value, tuple) else each.value,
                origin=each.origin,
            )
            for each in found
        ],
    )
