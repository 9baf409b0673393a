"""Guilds and channels, what is proven and missing of each channel, and the settings in effect."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, ServicesDep
from ingest_pipeline.api.fields import GivenId, GivenTime, Shown, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.domain.channel_settings import SETTINGS
from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.catalogue.guilds import describe_channel, describe_channels, list_guilds
from ingest_pipeline.storage.messages.coverage import gaps, proofs
from ingest_pipeline.userconfig.effective_settings import find_scope, settings_at
from ingest_pipeline.userconfig.settings_file import load_settings_file

router = APIRouter(tags=["catalogue"])


class GuildModel(BaseModel):
    """A guild the bot is or was in."""

    guild_id: ShownId
    name: str
    icon: str | None = Field(description="The hash of its icon.")
    icon_url: str | None
    owner_id: ShownId | None
    joined_at: ShownTime | None
    left_at: ShownTime | None
    last_seen_at: ShownTime


class Guilds(BaseModel):
    """Guilds by name, those that were left last."""

    items: list[GuildModel]


class ChannelModel(BaseModel):
    """A channel, category, forum or thread."""

    channel_id: ShownId
    guild_id: ShownId
    parent_id: ShownId | None
    name: str
    channel_type: str
    is_nsfw: bool
    is_thread: bool
    is_archived: bool
    is_monitored: bool
    position: int
    reading_state: ChannelAccess
    last_message_id: ShownId | None = Field(description="The newest known to Discord or stored.")
    last_activity_at: ShownTime | None
    message_count: int = Field(description="Stored messages that are not deleted.")


class Channels(BaseModel):
    """Channels by guild and position, threads last."""

    items: list[ChannelModel]


class ProofModel(BaseModel):
    """Ids in `(low, high]` were read completely."""

    low: ShownId
    high: ShownId
    start: ShownTime = Field(description="The time in `low`.")
    end: ShownTime = Field(description="The time in `high`.")
    source: str
    observed_at: ShownTime
    correlation_id: str


class Proofs(BaseModel):
    """The proven intervals of a channel, in order of ids."""

    items: list[ProofModel]


class GapModel(BaseModel):
    """Ids in `(low, high]` that nothing proves."""

    low: ShownId
    high: ShownId
    start: ShownTime
    end: ShownTime


class Gaps(BaseModel):
    """The gaps of a channel, in order of ids."""

    items: list[GapModel]


@router.get("/guilds", summary="All guilds", responses=documented())
def every_guild(services: ServicesDep) -> Guilds:
    """List the guilds of the catalogue."""
    with services.database.read() as connection:
        return Guilds(items=[GuildModel(**row) for row in list_guilds(connection)])


@router.get("/channels", summary="Channels", responses=documented(422))
def every_channel(services: ServicesDep, guild_id: GivenId | None = None) -> Channels:
    """List the channels of a guild or of all."""
    with services.database.read() as connection:
        return Channels(
            items=[ChannelModel(**row) for row in describe_channels(connection, guild_id=guild_id)]
        )


@router.get("/channels/{channel_id}", summary="One channel", responses=documented(404, 422))
def one_channel(channel_id: GivenId, services: ServicesDep) -> ChannelModel:
    """Show a channel of the catalogue."""
    with services.database.read() as connection:
        return ChannelModel(**describe_channel(connection, channel_id))


@router.get("/channels/{channel_id}/coverage", summary="What is proven", responses=documented(422))
def proven(channel_id: GivenId, services: ServicesDep) -> Proofs:
    """List the intervals of ids that were read completely; none for a channel never read."""
    with services.database.read() as connection:
        found = proofs(connection, channel_id)
    items = [{**asdict(each), "start": created_at(each.low), "end": created_at(each.high)} for each in found]
    return Proofs.model_validate({"items": items})


@router.get("/channels/{channel_id}/gaps", summary="What is missing", responses=documented(422))
def missing(
    channel_id: GivenId, services: ServicesDep, now: Now, since: GivenTime, until: GivenTime | None = None
) -> Gaps:
    """List what is not proven of the time from `since` to `until` (excluded; now when left out)."""
    window = Window(since, until or now)
    with services.database.read() as connection:
        found = gaps(connection, channel_id, max(window.low, 0), window.high)
    return Gaps(
        items=[
            GapModel(low=str(low), high=str(high), start=created_at(low), end=created_at(high))
            for low, high in found
        ]
    )


class SettingModel(Shown):
    """A setting."""

    key: str
    value: bool | int | float | str | list[str]
    origin: str = Field(description="`default`, the file, a guild or a channel.")


class SettingsModel(BaseModel):
    """The settings in effect for a scope."""

    guild_id: ShownId | None
    channel_id: ShownId | None
    items: list[SettingModel]


@router.get("/settings", summary="Settings in force", responses=documented(404, 422))
def in_force(
    services: ServicesDep, guild_id: GivenId | None = None, channel_id: GivenId | None = None
) -> SettingsModel:
    """Show the settings of a channel, of a guild, or of all that say nothing themselves."""
    file = load_settings_file(services.settings.settings_file)
    with services.database.read() as connection:
        scope = find_scope(connection, guild_id, channel_id)
        settings = settings_at(connection, file, scope)
    items = [settings.find(key) for key in SETTINGS]
    return SettingsModel.model_validate({**asdict(scope), "items": items})
