"""Guilds and channels, what is proven and missing of each channel, and the settings in effect."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute
from ingest_pipeline.api.fields import GivenId, GivenText, GivenTime, Shown, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.completeness.gap_listing import GapReason, gaps_between
from ingest_pipeline.domain.channel_settings import SETTINGS, EffectiveSettings, Value, keys_under, read_value
from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput
from ingest_pipeline.storage.catalogue.guilds import describe_channel, describe_channels, list_guilds
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import proofs
from ingest_pipeline.userconfig.effective_settings import Scope, change_settings, find_scope, settings_at
from ingest_pipeline.userconfig.settings_file import load_settings_file

router = APIRouter(tags=["catalogue"])
writing = APIRouter(tags=["catalogue"], route_class=WritingRoute)


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


class GapModel(Shown):
    """Ids in `(low, high]` that nothing proves."""

    low: ShownId
    high: ShownId
    start: ShownTime
    end: ShownTime
    channel_id: ShownId
    channel_name: str | None
    reason: GapReason = Field(description="Why nothing proves it.")
    accepted: str | None = Field(description="Why it was accepted, or null.")


class Gaps(BaseModel):
    """Gaps, by channel and in order of ids."""

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
    with services.database.read() as connection:
        found = gaps_between(connection, [channel_id], Window(since, until or now))
    return Gaps(items=[GapModel.model_validate(each) for each in found])


class SettingModel(Shown):
    """A setting."""

    key: str
    value: bool | int | float | str | list[str]
    origin: str = Field(description="`default`, the file, a guild or a channel.")
    form: str = Field(description="What its values look like, for people.")


class SettingsModel(BaseModel):
    """The settings in effect for a scope."""

    guild_id: ShownId | None
    channel_id: ShownId | None
    items: list[SettingModel]


class WantedSettings(BaseModel):
    """New values of settings for a guild or a channel."""

    guild_id: GivenId | None = None
    channel_id: GivenId | None = None
    changes: dict[GivenText, bool | int | float | GivenText | list[GivenText] | None] = Field(
        description="Values by key, as in the file; null removes what is set there.",
        min_length=1,
        examples=[{"highlights.threshold": 0.7}],
    )


@router.get("/settings", summary="Settings in force", responses=documented(404, 422))
def in_force(
    services: ServicesDep, guild_id: GivenId | None = None, channel_id: GivenId | None = None
) -> SettingsModel:
    """Show the settings of a channel, of a guild, or of all that say nothing themselves."""
    file = load_settings_file(services.settings.settings_file)
    with services.database.read() as connection:
        scope = find_scope(connection, guild_id, channel_id)
        settings = settings_at(connection, file, scope)
    return _shown(scope, settings)


@writing.put("/settings", summary="Change settings", responses=documented(401, 403, 404, 413, 422))
def change(wanted: WantedSettings, services: ServicesDep, now: Now) -> SettingsModel:
    """Set values for a guild or a channel; they apply from the next poll or batch of events on."""
    file = load_settings_file(services.settings.settings_file)
    changes = {key: _value(key, value) for key, value in wanted.changes.items()}

    def work(connection: Connection) -> SettingsModel:
        scope = find_scope(connection, wanted.guild_id, wanted.channel_id)
        return _shown(scope, change_settings(connection, file, scope, changes, now=now))

    return services.database.run(work)


def _value(key: str, value: object) -> Value | None:
    """Return the value of a key as it is kept.

    Raises:
        BadInput: There is no such setting, or the value does not fit.
    """
    if key not in SETTINGS:
        below = ", ".join(keys_under(key))
        raise BadInput(f"{key} is a group of settings: set one of {below}")
    return None if value is None else read_value(key, value, key)


def _shown(scope: Scope, settings: EffectiveSettings) -> SettingsModel:
    items = [{**asdict(settings.find(key)), "form": setting.form} for key, setting in SETTINGS.items()]
    return SettingsModel.model_validate({**asdict(scope), "items": items})
