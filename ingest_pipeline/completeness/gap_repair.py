"""Repair of gaps: with the bot, and with the exporter what the bot cannot read; see `gap_listing.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

from ingest_pipeline.completeness.expectations import Scope
from ingest_pipeline.completeness.gap_listing import Gap, is_repairable, list_gaps, list_read_in_part
from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.history.catalogue_sync import save_view
from ingest_pipeline.history.channel_scan import DEFAULT_CONCURRENCY, RunProgress, run_scans
from ingest_pipeline.history.scan_plans import IdRange, queue_ranges
from ingest_pipeline.ingestion.channels.by_month import import_months
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.polling import missing_keys
from ingest_pipeline.ingestion.services import Services, read_by_bot_else_exporter
from ingest_pipeline.sources.discord.discovery import view_guild
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.messages.sessions import find_session
from ingest_pipeline.storage.runs.scan_runs import RunKind, ScanRun

_MILLISECOND = timedelta(milliseconds=1)


def repair_now(
    services: Services, scope: Scope | None = None, progress: Callable[[str], None] | None = None
) -> list[Gap]:
    """Mend what the bot can read, then with the exporter the sessions that it cannot; return what is left.

    Args:
        scope: What to look at.
        progress: Called with what is being read.

    Raises:
        ConfigurationError: There is neither a bot's nor an account's token.
        TokenRejected: Discord does not accept the bot.
        IngestError: As for `backfill_session`.
    """

    def report_run(run: ScanRun) -> None:
        if progress:
            progress(f"channel {run.channel_id}, {run.messages_read:,} messages")

    async def by_bot(rest: DiscordRest) -> list[Gap]:
        await repair_gaps(services, rest, scope, progress=report_run)
        return list_gaps(services, scope)

    def by_exporter(left: list[Gap] | None) -> list[Gap]:
        wanted = (
            list_gaps(services, scope) if left is None else [gap for gap in left if not is_repairable(gap)]
        )
        repair_session_gaps(services, wanted, progress)
        return list_gaps(services, scope)

    return read_by_bot_else_exporter(
        services, "repair", by_bot, by_exporter, lambda left: all(each.accepted for each in left)
    )


async def repair_gaps(
    services: Services,
    rest: DiscordRest,
    scope: Scope | None = None,
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    progress: RunProgress | None = None,
) -> list[ScanRun]:
    """Ask Discord what there is, then read what the bot can read of gaps and of what was read in part.

    Args:
        scope: What to look at.
        concurrency: How many ranges are read at the same time.
        progress: Called after each batch with its run as it then is.

    Returns:
        The run of each gap as it ended.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
    """
    await refresh_catalogue(services, rest)
    found = await asyncio.to_thread(
        lambda: [*list_gaps(services, scope), *chain(*list_read_in_part(services, scope).values())]
    )
    wanted = [gap for gap in found if is_repairable(gap)]
    ranges = [
        IdRange(gap.channel_id, gap.guild_id, gap.low, gap.high) for gap in wanted if gap.guild_id is not None
    ]
    runs = await asyncio.to_thread(
        services.database.run,
        lambda connection: queue_ranges(connection, RunKind.REPAIR, ranges, new_correlation_id()),
    )
    return await run_scans(services, rest, runs, concurrency=concurrency, progress=progress)


def repair_session_gaps(
    services: Services, found: Sequence[Gap], progress: Callable[[str], None] | None = None
) -> None:
    """Read the gaps of channels that the bot does not know with the exporter: by session, or else by month.

    Raises:
        IngestError: As for `backfill_session`.
    """
    now = datetime.now(UTC)
    for gap in found:
        if gap.session_id is None and gap.guild_id is None and gap.accepted is None:
            window = Window(gap.start, gap.end + _MILLISECOND)
            import_months(
                services, gap.channel_id, window, progress, on_rows_merged=reading_content(services)
            )
    for session_id in sorted({gap.session_id for gap in found if gap.session_id and gap.accepted is None}):
        with services.database.read() as connection:
            session = find_session(connection, session_id)
            keys = missing_keys(connection, session, services.grid, now, services.settings.overlap)
        backfill_session(
            services, session_id, keys=keys, progress=progress, on_rows_merged=reading_content(services)
        )


async def refresh_catalogue(services: Services, rest: DiscordRest) -> None:
    """Synchronise guilds and channels with Discord, archived threads included.

    A guild that the bot is not in any more is left as it was.
    """
    for payload in await rest.guilds():
        try:
            view = await view_guild(rest, int(payload["id"]))
        except (ChannelForbidden, ChannelNotFound):
            continue
        await asyncio.to_thread(services.database.run, partial(save_view, view=view))
