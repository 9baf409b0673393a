"""Routes of gaps: what is missing and why, and its acceptance."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute, require_writer
from ingest_pipeline.api.fields import GivenId, GivenText, GivenTime, Shown, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.completeness.expectations import Scope
from ingest_pipeline.completeness.gap_acceptance import accept_gaps, withdraw_acceptances
from ingest_pipeline.completeness.gap_listing import GapReason, list_gaps
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput

router = APIRouter(prefix="/gaps", tags=["gaps"])
writing = APIRouter(
    prefix="/gaps",
    tags=["gaps"],
    dependencies=[Depends(require_writer)],
    route_class=WritingRoute,
)


class FoundGapModel(Shown):
    """Ids in `(low, high]` of a channel that ought to be proven and are not."""

    guild_id: ShownId | None
    channel_id: ShownId
    channel_name: str | None
    session_id: str | None
    low: ShownId
    high: ShownId
    start: ShownTime
    end: ShownTime
    reason: GapReason
    accepted: str | None = Field(description="Why it was accepted; null for one that was not.")


class FoundGaps(BaseModel):
    """Gaps by channel and id."""

    items: list[FoundGapModel]
    is_complete: bool = Field(description="Whether nothing is missing that was not accepted.")


class WantedGaps(BaseModel):
    """Which gaps: at least one of the fields."""

    guild_id: GivenId | None = None
    channel_id: GivenId | None = None
    since: GivenTime | None = None
    until: GivenTime | None = None

    def scope(self) -> Scope:
        """Return what they stand for.

        Raises:
            WindowInvalid: The end is not after the start.
        """
        if self.since and self.until:
            Window(self.since, self.until)
        return Scope(self.guild_id, self.channel_id, posted_from=self.since, posted_before=self.until)


class WantedAcceptance(WantedGaps):
    """Which gaps to accept, and why."""

    reason: GivenText = Field(description="Why what is missing there cannot be had.")


@router.get("", summary="What is missing, and why", responses=documented(422))
def found_gaps(services: ServicesDep, now: Now, wanted: Annotated[WantedGaps, Query()]) -> FoundGaps:
    """List ranges of monitored and imported channels and of sessions that no complete reading covers.

    A channel or guild that is named needs neither: it is expected as far as messages of it are stored.
    """
    return _found(services, now, wanted.scope())


@writing.post("/accept", summary="Accept gaps", responses=documented(401, 403, 413, 422))
def accept(wanted: WantedAcceptance, services: ServicesDep, now: Now) -> FoundGaps:
    """Accept gaps that cannot be filled, with a reason; they stay listed."""
    scope = _narrowed(wanted)
    accept_gaps(services, list_gaps(services, scope, now), wanted.reason)
    return _found(services, now, scope)


@writing.post("/withdraw", summary="Accept gaps no more", responses=documented(401, 403, 413, 422))
def withdraw(wanted: WantedGaps, services: ServicesDep, now: Now) -> FoundGaps:
    """Withdraw the acceptance of gaps."""
    scope = _narrowed(wanted)
    withdraw_acceptances(services, list_gaps(services, scope, now))
    return _found(services, now, scope)


def _narrowed(wanted: WantedGaps) -> Scope:
    """Return the scope of a change.

    Raises:
        BadInput: It is everything.
    """
    scope = wanted.scope()
    if scope == Scope():
        raise BadInput("say which gaps: guild_id, channel_id, since or until")
    return scope


def _found(services: ServicesDep, now: Now, scope: Scope) -> FoundGaps:
    found = list_gaps(services, scope, now)
    return FoundGaps(
        items=[FoundGapModel.model_validate(gap) for gap in found],
        is_complete=not any(gap.is_deficit for gap in found),
    )
