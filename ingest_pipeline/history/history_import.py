"""The import of a guild's history: every readable channel and thread, from its first message on.

An import can be cut off at any moment and goes on from its cursors. It may run while the gateway
delivers and while other imports run: what arrives twice is merged into one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ingest_pipeline.domain.guild import Channel, ChannelAccess, monitored_ids
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.history.catalogue_sync import save_view
from ingest_pipeline.history.channel_scan import (
    BATCH_ROWS,
    DEFAULT_CONCURRENCY,
    RunProgress,
    run_scans,
)
from ingest_pipeline.history.page_documents import SOURCE
from ingest_pipeline.history.scan_plans import ImportPlan, plan_import
from ingest_pipeline.ingestion.batch_events import failures_recorded
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.discovery import GuildView, view_guild
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.catalogue.guilds import (
    list_monitor_patterns,
    list_monitored,
)
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.scan_runs import (
    RunStatus,
    ScanRun,
    drop_requests,
    find_import,
    mark_import_completed,
    requested_runs,
)


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """The report of an import or catch-up.

    Attributes:
        guild_id: The guild.
        correlation_id: The journey.
        runs: The reading of each channel, as it ended.
        names: The names of the channels, by id.
        unreadable: Channels that were left out since the bot may not read them.
        total_messages: Messages of the guild found or there already, counted when an import of a whole
            guild is completed; None otherwise.
        seconds: Wall time.
    """

    guild_id: int
    correlation_id: str
    runs: tuple[ScanRun, ...]
    names: dict[int, str]
    unreadable: tuple[Channel, ...] = ()
    total_messages: int | None = None
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every channel was read to its head."""
        return all(run.status is RunStatus.COMPLETED for run in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: ids as strings."""
        return {
            "guild_id": str(self.guild_id),
            "correlation_id": self.correlation_id,
            "complete": self.is_complete,
            "total_messages": self.total_messages,
            "seconds": round(self.seconds, 3),
            "channels": [
                {
                    "channel_id": str(run.channel_id),
                    "name": self.names.get(run.channel_id),
                    "status": run.status.value,
                    "messages_read": run.messages_read,
                    "rows_changed": run.rows_changed,
                    "low": str(run.lower_id),
                    "high": str(run.cursor_id),
                    "error": run.error,
                }
                for run in self.runs
            ],
            "unreadable": [
                {
                    "channel_id": str(channel.channel_id),
                    "name": channel.name,
                    "reading_state": channel.reading_state.value,
                }
                for channel in self.unreadable
            ],
        }


def import_history_now(
    services: Services,
    guild_id: int,
    *,
    channel_ids: Collection[int] = (),
    force: bool = False,
    concurrency: int = DEFAULT_CONCURRENCY,
    progress: RunProgress | None = None,
) -> HistoryReport:
    """Log in, import, log out; see `import_history`.

    What ends the import before a channel is read is recorded as the failure of a batch, as a channel's is.
    """

    async def work() -> HistoryReport:
        async with open_rest(services.settings.discord_bot_token) as rest:
            return await import_history(
                services,
                rest,
                guild_id,
                channel_ids=channel_ids,
                force=force,
                concurrency=concurrency,
                progress=progress,
            )

    with failures_recorded(services.database, new_correlation_id(), SOURCE, channel_ids=sorted(channel_ids)):
        return asyncio.run(work())


async def import_history(
    services: Services,
    rest: DiscordRest,
    guild_id: int,
    *,
    channel_ids: Collection[int] = (),
    force: bool = False,
    concurrency: int = DEFAULT_CONCURRENCY,
    batch_rows: int = BATCH_ROWS,
    progress: RunProgress | None = None,
) -> HistoryReport:
    """Import a guild's history.

    An import that was cut off continues where it stopped; one that was completed reads what came since.

    Args:
        channel_ids: Only these channels, with their threads. Without any: the guild's monitored ones,
            or all that can be read when none are.
        force: Read everything again, from the first message on.
        concurrency: How many channels are read at the same time.
        batch_rows: Messages merged in one transaction.
        progress: Called after each batch with its run as it then is.

    Raises:
        ChannelForbidden: A channel asked for cannot be read, or the bot is not in the guild.
        ChannelNotFound: There is no such channel or guild.
        TokenRejected: Discord does not accept the bot any more.
        DiscordUnavailable: Discord did not answer when it was asked for the channels.
    """
    began = time.monotonic()
    view = await view_guild(rest, guild_id)
    wanted = await asyncio.to_thread(_enter, services, view, channel_ids)
    readable = [channel for channel in wanted if channel.is_readable]

    def plan(connection: Connection) -> ImportPlan:
        return plan_import(
            connection,
            guild_id,
            readable,
            force=force,
            is_whole=not channel_ids,
            overlap=services.settings.overlap,
        )

    planned = await asyncio.to_thread(services.database.run, plan)
    ended = await run_scans(
        services, rest, planned.runs, concurrency=concurrency, batch_rows=batch_rows, progress=progress
    )
    report = HistoryReport(
        guild_id=guild_id,
        correlation_id=planned.correlation_id,
        runs=tuple(ended),
        names={channel.channel_id: channel.name for channel in view.channels},
        unreadable=tuple(each for each in wanted if each.holds_messages and not each.is_readable),
    )
    is_over = not channel_ids and not any(run.status is RunStatus.FAILED for run in ended)
    total = await asyncio.to_thread(_complete_import, services, report) if is_over else None
    return replace(report, total_messages=total, seconds=time.monotonic() - began)


def _enter(services: Services, view: GuildView, channel_ids: Collection[int]) -> list[Channel]:
    """Save the catalogue and choose the channels to import."""

    def work(connection: Connection) -> list[Channel]:
        save_view(connection, view)
        guild_id = view.guild.guild_id
        if channel_ids or not list_monitor_patterns(connection, guild_id):
            return list(view.channels)
        monitored = {channel.channel_id for channel in list_monitored(connection, guild_id)}
        return [channel for channel in view.channels if channel.channel_id in monitored]

    channels = services.database.run(work)
    return _chosen(channels, channel_ids) if channel_ids else channels


def _chosen(channels: Sequence[Channel], channel_ids: Collection[int]) -> list[Channel]:
    """Return the channels asked for, with their threads; for a category, with its channels.

    Raises:
        ChannelNotFound: One is not among the guild's.
        ChannelForbidden: One cannot be read.
    """
    known = {channel.channel_id: channel for channel in channels}
    for channel_id in channel_ids:
        if channel_id not in known:
            raise ChannelNotFound(
                f"channel {channel_id} is not one of the {len(known)} channels of the guild that the "
                "bot can see: check the id, and that the bot is a member of the thread if it is one"
            )
        state = known[channel_id].reading_state
        if state is not ChannelAccess.READABLE:
            raise ChannelForbidden(
                f"the bot may not read the history of #{known[channel_id].name} ({state.value}): "
                "grant it View Channel and Read Message History there"
            )
    wanted = monitored_ids(channels, [str(channel_id) for channel_id in channel_ids])
    return [channel for channel in channels if channel.channel_id in wanted]


def _complete_import(services: Services, report: HistoryReport) -> int | None:
    """Note that a guild's import is over, and return how many messages it found."""

    def work(connection: Connection) -> int | None:
        now = datetime.now(UTC)
        mark_import_completed(connection, report.guild_id, correlation_id=report.correlation_id, now=now)
        found = find_import(connection, report.guild_id)
        return found.total_messages_imported if found else None

    return services.database.run(work)


def read_requested_now(services: Services, *, progress: RunProgress | None = None) -> list[ScanRun]:
    """Log in, read, log out; see `read_requested`."""

    async def work() -> list[ScanRun]:
        async with open_rest(services.settings.discord_bot_token) as rest:
            return await read_requested(services, rest, progress=progress)

    return asyncio.run(work())


async def read_requested(
    services: Services,
    rest: DiscordRest,
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    progress: RunProgress | None = None,
) -> list[ScanRun]:
    """Read every scan run that was asked for, from its cursor, and return them as they ended.

    A request is answered when its run has ended, well or not; one that is cut off is read on later.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
        DatabaseBusy: Another process held the database for too long; nothing is forgotten.
    """
    wanted = await asyncio.to_thread(_wanted, services)
    ended = await run_scans(services, rest, wanted, concurrency=concurrency, progress=progress)
    answered = [run.scan_run_id for run in ended]
    await asyncio.to_thread(services.database.run, partial(drop_requests, scan_run_ids=answered))
    return ended


def _wanted(services: Services) -> Sequence[ScanRun]:
    with services.database.read() as connection:
        return requested_runs(connection)
