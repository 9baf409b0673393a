"""Subscribed schedules: what is subscribed, and reading one now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute, require_writer
from ingest_pipeline.api.fields import GivenKey, ShownId, ShownTime
from ingest_pipeline.api.problems import documented
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.domain.sessions.schedule_plan import plan_as_dict
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.userconfig.schedules.subscriptions import Subscription, load_subscriptions

router = APIRouter(prefix="/schedules", tags=["schedules"])
writing = APIRouter(
    prefix="/schedules",
    tags=["schedules"],
    dependencies=[Depends(require_writer)],
    route_class=WritingRoute,
)


class SubscriptionModel(BaseModel):
    """A subscribed schedule; its address is not shown, which may be the key to a private calendar."""

    name: str
    kind: Literal["address", "file", "discord", "trading"]
    channel_ids: list[ShownId]
    read_at: ShownTime | None = Field(description="When it was last read in full.")


class Subscriptions(BaseModel):
    """The subscribed schedules, in the order of the settings file."""

    items: list[SubscriptionModel]


class SessionChangeModel(BaseModel):
    """A session that is created, updated or cancelled."""

    kind: Literal["created", "updated", "cancelled"]
    session_id: str
    reason: str | None
    fields: dict[str, list[Any]] = Field(description="Values that differ: before and after.")


class LeftOutModel(BaseModel):
    """An event that is no session."""

    where: str
    name: str
    reason: str


class SyncModel(BaseModel):
    """The result of reading a schedule."""

    source: str
    dry_run: bool
    is_unchanged: bool = Field(description="Whether its answer was as it was; then nothing else is shown.")
    created: int = 0
    updated: int = 0
    cancelled: int = 0
    unchanged: int = 0
    session_ids: list[str] = Field(default_factory=list)
    changes: list[SessionChangeModel] = Field(default_factory=list)
    left_out: list[LeftOutModel] = Field(default_factory=list)
    older: list[str] = Field(default_factory=list, description="Sessions that a newer version made.")
    removed: list[str] = Field(default_factory=list, description="Sessions that were removed by hand.")
    matched: dict[str, str] = Field(
        default_factory=dict, description="Sessions recognised by time, channel and name."
    )


@router.get("", summary="Subscribed schedules", responses=documented())
def subscriptions(services: ServicesDep) -> Subscriptions:
    """List the subscribed schedules of `data/settings.yaml`."""
    from ingest_pipeline.userconfig.schedules.sync import last_read_at

    found = load_subscriptions(services.settings)
    with services.database.read() as connection:
        read_at = {each.name: last_read_at(connection, each) for each in found}
    return Subscriptions(items=[_shown(each, read_at[each.name]) for each in found])


@writing.post("/{name}/sync", summary="Read one now", responses=documented(401, 403, 404, 413, 422))
def sync(
    name: GivenKey,
    services: ServicesDep,
    now: Now,
    *,
    dry_run: Annotated[bool, Query(description="Show what would change, and change nothing.")] = False,
) -> SyncModel:
    """Read a subscribed schedule, and create, update and cancel its sessions."""
    from ingest_pipeline.userconfig.schedules.sync import sync_schedule

    known = {each.name: each for each in load_subscriptions(services.settings)}
    if name not in known:
        raise NothingFound(f"no schedule is called {name!r}: there are {', '.join(known) or 'none'}")
    synced = sync_schedule(services.database, services.settings, known[name], now, dry_run=dry_run)
    if synced.schedule is None:
        return SyncModel(source=name, dry_run=dry_run, is_unchanged=True)
    if synced.plan.changes and not dry_run:
        read_relinked(services)
    planned = plan_as_dict(synced.schedule, synced.plan)
    return SyncModel.model_validate({**planned, "dry_run": dry_run, "is_unchanged": False})


def _shown(subscription: Subscription, read_at: datetime | None) -> SubscriptionModel:
    kind = "file" if subscription.path else "address" if subscription.url else None
    kind = kind or ("trading" if subscription.trading else "discord")
    return SubscriptionModel.model_validate(
        {
            "name": subscription.name,
            "kind": kind,
            "channel_ids": subscription.channel_ids,
            "read_at": read_at,
        }
    )
