"""Guilds and channels, and what is proven and missing of each channel."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, Parts
from ingest_pipeline.api.fields import GivenId, GivenTime, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.domain.guild import Channel, ReadingState
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.storage.catalogue import list_channels, list_guilds, list_monitored
from ingest_pipeline.storage.database import Connection
from ingest_pipeline.storage.ledger import gaps, proofs

router = APIRouter(tags=["catalogue"])


class GuildModel(BaseModel):
    """A guild the bot is or was in."""

    guild_id: ShownId
    name: str
    icon: str | None
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
    reading_state: ReadingState
    last_message_id: ShownId | None


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
    """What is proven of a channel, in the order of ids."""

    items: list[ProofModel]


class GapModel(BaseModel):
    """Ids in `(low, high]` that nothing proves."""

    low: ShownId
    high: ShownId
    start: ShownTime
    end: ShownTime


class Gaps(BaseModel):
    """What is missing of a channel, in the order of ids."""

    items: list[GapModel]


@router.get("/guilds", summary="All guilds", responses=documented())
def every_guild(services: Parts) -> Guilds:
    """List the guilds of the catalogue."""
    with services.database.read() as connection:
        return Guilds(items=[GuildModel(**row) for row in list_guilds(connection)])


@router.get("/channels", summary="Channels", responses=documented(422))
def every_channel(services: Parts, guild_id: GivenId | None = None) -> Channels:
    """List the channels of a guild or of all."""
    with services.database.read() as connection:
        monitored = _monitored(connection, guild_id)
        listed = list_channels(connection, guild_id)
    return Channels(items=[_shown(channel, monitored) for channel in listed])


@router.get("/channels/{channel_id}", summary="One channel", responses=documented(404, 422))
def one_channel(channel_id: GivenId, services: Parts) -> ChannelModel:
    """Show a channel of the catalogue."""
    with services.database.read() as connection:
        return _shown(find_channel(connection, channel_id), _monitored(connection, None))


@router.get("/channels/{channel_id}/coverage", summary="What is proven", responses=documented(422))
def proven(channel_id: GivenId, services: Parts) -> Proofs:
    """List the intervals of ids that were read completely; none for a channel never read."""
    with services.database.read() as connection:
        found = proofs(connection, channel_id)
    return Proofs(
        items=[
            ProofModel(
                low=str(proof.low),
                high=str(proof.high),
                start=created_at(proof.low),
                end=created_at(proof.high),
                source=proof.source,
                observed_at=proof.observed_at,
                correlation_id=proof.correlation_id,
            )
            for proof in found
        ]
    )


@router.get("/channels/{channel_id}/gaps", summary="What is missing", responses=documented(422))
def missing(
    channel_id: GivenId, services: Parts, now: Now, since: GivenTime, until: GivenTime | None = None
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


def find_channel(connection: Connection, channel_id: int) -> Channel:
    """Return a channel of the catalogue.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    for channel in list_channels(connection):
        if channel.channel_id == channel_id:
            return channel
    raise NothingFound(f"channel {channel_id} is not in the catalogue: is the bot in its guild?")


def _monitored(connection: Connection, guild_id: int | None) -> set[int]:
    return {channel.channel_id for channel in list_monitored(connection, guild_id)}


def _shown(channel: Channel, monitored: set[int]) -> ChannelModel:
    return ChannelModel(
        channel_id=str(channel.channel_id),
        guild_id=str(channel.guild_id),
        parent_id=None if channel.parent_id is None else str(channel.parent_id),
        name=channel.name,
        channel_type=channel.channel_type,
        is_nsfw=channel.is_nsfw,
        is_thread=channel.is_thread,
        is_archived=channel.is_archived,
        is_monitored=channel.channel_id in monitored,
        position=channel.position,
        reading_state=channel.reading_state,
        last_message_id=None if channel.last_message_id is None else str(channel.last_message_id),
    )
