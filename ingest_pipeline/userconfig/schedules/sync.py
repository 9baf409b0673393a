"""Subscribed schedules read and taken over.

A schedule is asked for again with the validators of its last answer, so an unchanged one costs an empty
answer. Once a day it is read in full all the same: as time goes on, recurring events go on too.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from ingest_pipeline.domain.sessions.schedule import Schedule
from ingest_pipeline.domain.sessions.schedule_plan import SchedulePlan
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.rest import open_rest
from ingest_pipeline.sources.schedule_download import Validators, download_schedule
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.schedules import plan_schedule, save_schedule
from ingest_pipeline.storage.runs.state import get_state, set_state
from ingest_pipeline.userconfig.edited_files import read_edited_file
from ingest_pipeline.userconfig.schedules.discord_events import read_scheduled_events
from ingest_pipeline.userconfig.schedules.files import read_schedule
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.schedules.subscriptions import Subscription
from ingest_pipeline.userconfig.schedules.trading_days import read_trading_days

_FULL_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SyncedSchedule:
    """The result of reading one subscribed schedule.

    Attributes:
        name: The subscription.
        schedule: What it holds, or None when its answer is as it was.
        plan: What that changes.
    """

    name: str
    schedule: Schedule | None
    plan: SchedulePlan


def sync_schedule(
    database: Database,
    settings: Settings,
    subscription: Subscription,
    now: datetime,
    *,
    dry_run: bool = False,
) -> SyncedSchedule:
    """Read a subscribed schedule and take it over.

    Args:
        database: Where sessions are, and the validators of the last answer.
        settings: For the default channel, the data folder and the bot's token.
        subscription: The schedule.
        dry_run: Change nothing, and read an unchanged one too.

    Raises:
        BadInput: What was read is no schedule, or nothing of it can be a session.
        ConfigurationError: What it needs is not set up.
        PermanentError: It is not there any more.
        TransientError: It cannot be read now.
    """
    known = None if dry_run else _known(database, subscription, now)
    options = subscription.options(settings, now)
    schedule, validators = _read(settings, subscription, options, known or Validators())
    if schedule is None:
        return SyncedSchedule(subscription.name, None, SchedulePlan())
    if dry_run:
        with database.read() as connection:
            return SyncedSchedule(subscription.name, schedule, plan_schedule(connection, schedule, now=now))

    def save(connection: Connection) -> SchedulePlan:
        plan, _ = save_schedule(connection, schedule, now=now)
        stated = {"digest": _digest(subscription), "read_at": now.isoformat(), **validators._asdict()}
        set_state(connection, _key(subscription), json.dumps(stated))
        return plan

    return SyncedSchedule(subscription.name, schedule, database.run(save))


def _read(
    settings: Settings, subscription: Subscription, options: ScheduleOptions, known: Validators
) -> tuple[Schedule | None, Validators]:
    name = f"schedule {subscription.name}"
    if subscription.trading:
        return read_trading_days(subscription.trading, options), known
    if subscription.discord_guild_id is not None:
        events = asyncio.run(_scheduled_events(settings, subscription.discord_guild_id))
        return read_scheduled_events(events, name, options), known
    if subscription.path is not None:
        return read_schedule(read_edited_file(settings.data_dir / subscription.path), name, options), known
    answer = download_schedule(subscription.url or "", known)
    if answer.content is None:
        return None, known
    return read_schedule(answer.content, name, options), answer.validators


async def _scheduled_events(settings: Settings, guild_id: int) -> list[dict[str, Any]]:
    async with open_rest(settings.discord_bot_token) as rest:
        return await rest.scheduled_events(guild_id)


def last_read_at(connection: Connection, subscription: Subscription) -> datetime | None:
    """Return when a subscribed schedule was last taken over, aware UTC, or None."""
    stated = json.loads(get_state(connection, _key(subscription)) or "{}")
    return datetime.fromisoformat(stated["read_at"]) if stated else None


def _known(database: Database, subscription: Subscription, now: datetime) -> Validators | None:
    """Return the validators of the last answer, unless it has to be read in full."""
    with database.read() as connection:
        stated = json.loads(get_state(connection, _key(subscription)) or "{}")
    if stated.get("digest") != _digest(subscription):
        return None
    if now - datetime.fromisoformat(stated["read_at"]) >= _FULL_EVERY:
        return None
    return Validators(stated["etag"], stated["modified"])


def _key(subscription: Subscription) -> str:
    return f"schedule:{subscription.name}"


def _digest(subscription: Subscription) -> str:
    # The address may be a key to a private calendar: only its digest is kept.
    return blake2b(repr(subscription).encode(), digest_size=16).hexdigest()
