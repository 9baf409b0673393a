"""Scheduled events of guilds while the bot runs: a subscribed list is read again when one changes."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from ingest_pipeline.bot.gateway_state import GatewayState
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.errors import IngestError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.userconfig.schedules.subscriptions import load_subscriptions

_logger = logging.getLogger(__name__)


async def follow_scheduled_events(services: Services, gateway: GatewayState, pause_seconds: float) -> None:
    """Wait until scheduled events change, and take the subscribed lists of their guilds over.

    Args:
        services: For the settings and the database.
        gateway: Reports changes.
        pause_seconds: How long a guild that changes is left to change further.
    """
    await gateway.events_rescheduled.wait()
    await asyncio.sleep(pause_seconds)
    gateway.events_rescheduled.clear()
    guilds, gateway.rescheduled_guilds = gateway.rescheduled_guilds, set()
    await asyncio.to_thread(_sync, services, guilds)


def _sync(services: Services, guild_ids: set[int]) -> None:
    from ingest_pipeline.domain.sessions.schedule_plan import describe_changes
    from ingest_pipeline.userconfig.schedules.sync import sync_schedule

    try:
        for subscription in load_subscriptions(services.settings):
            if subscription.discord_guild_id in guild_ids:
                synced = sync_schedule(services.database, services.settings, subscription, datetime.now(UTC))
                for line in describe_changes(synced.plan):
                    _logger.info("schedule %s: %s", subscription.name, line)
        read_relinked(services)
    except IngestError as error:
        # The job that reads all subscriptions comes to it again.
        _logger.warning("the scheduled events were not read: %s", error)
