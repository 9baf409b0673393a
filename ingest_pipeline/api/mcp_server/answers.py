"""Answers to assistants: the models of the HTTP interface, each with how complete the answer can be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from ingest_pipeline.api.fields import ShownId, ShownTime
from ingest_pipeline.api.routes.messages.content import KindModel
from ingest_pipeline.api.routes.messages.messages import MessageModel
from ingest_pipeline.api.routes.messages.search import HitModel, VectorCoverageModel
from ingest_pipeline.api.routes.sessions.sessions import SessionModel, TimeRangeModel
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE, created_at
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.refetch_queue import coverage_bounds
from ingest_pipeline.storage.messages.coverage import gaps

_MOST_GAPS = 20


class ChannelCoverage(BaseModel):
    """How far a channel is proven to be in the database."""

    channel_id: ShownId
    proven_from: ShownTime | None = Field(description="Since when; null when nothing is proven.")
    proven_until: ShownTime | None = Field(
        description="Until when; what was posted later may be missing. Null when nothing is proven."
    )
    gaps: list[TimeRangeModel] = Field(description="Times in between in which messages may be missing.")
    more_gaps: int = Field(description="Further gaps that are not listed.")


class Completeness(BaseModel):
    """What the database may lack of what was asked for."""

    as_of: ShownTime = Field(description="When it was looked up.")
    is_complete: bool = Field(
        description="Whether nothing is missing from proven_from to proven_until of every channel."
    )
    channels: list[ChannelCoverage] = Field(
        description="The channels that the answer is about; all that are known when there is no other hint."
    )


class Answer(BaseModel):
    """An answer."""

    completeness: Completeness


class SessionsAnswer(Answer):
    """Sessions by their start."""

    items: list[SessionModel]


class CoverageAnswer(Answer):
    """The coverage of a session."""

    session: SessionModel
    elapsed_seconds: float = Field(description="How much of it is over.")
    proven_seconds: float = Field(description="The part of it that is proven complete.")
    lag_seconds: float = Field(description="How far its newest proof is behind now, or its end.")
    missing: list[TimeRangeModel] = Field(description="Past time that is not proven.")
    messages: int


class HitsAnswer(Answer):
    """Found messages, newest or best first."""

    items: list[HitModel]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")
    vectors: VectorCoverageModel | None = Field(description="With by_meaning: how many were compared.")


class MessagesAnswer(Answer):
    """Messages, newest first."""

    items: list[MessageModel]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class KindTool(KindModel):
    """A kind of content, and the tool that lists it."""

    tool: str


class KindsAnswer(Answer):
    """The kinds of content."""

    items: list[KindTool]


def completeness_of(connection: Connection, channel_ids: Iterable[int] | None) -> Completeness:
    """Return what the database may lack of some channels.

    Args:
        channel_ids: The channels; None for all of which anything is proven.
    """
    bounds = coverage_bounds(connection)
    channels = [
        _channel(connection, channel_id, bounds.get(channel_id))
        for channel_id in sorted(bounds if channel_ids is None else set(channel_ids))
    ]
    return Completeness(
        as_of=datetime.now(UTC),
        is_complete=bool(channels) and all(each.proven_until and not each.gaps for each in channels),
        channels=channels,
    )


def _channel(connection: Connection, channel_id: int, bounds: tuple[int, int] | None) -> ChannelCoverage:
    if bounds is None:
        return ChannelCoverage(
            channel_id=str(channel_id), proven_from=None, proven_until=None, gaps=[], more_gaps=0
        )
    low, high = bounds
    holes = gaps(connection, channel_id, low, high)
    shown: list[Any] = [
        TimeRangeModel(start=created_at(start), end=created_at(end)) for start, end in holes[:_MOST_GAPS]
    ]
    return ChannelCoverage(
        channel_id=str(channel_id),
        proven_from=created_at(low),
        proven_until=created_at(min(high, MAX_SNOWFLAKE)),
        gaps=shown,
        more_gaps=max(len(holes) - _MOST_GAPS, 0),
    )
