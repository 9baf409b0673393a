"""Gaps: the missing ranges, the reason of each, and their repair.

A gap is a range of ids that ought to be in the table and that no complete reading covers. Most
gaps hold nothing that is missing: messages seen live are stored, but only a reading proves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from ingest_pipeline.completeness.expectations import Expectation, Scope, expectations
from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.guild import Channel, ChannelAccess
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.history.catalogue_sync import save_view
from ingest_pipeline.history.channel_scan import DEFAULT_CONCURRENCY, RunProgress, run_scans
from ingest_pipeline.history.scan_plans import IdRange, queue_ranges
from ingest_pipeline.ingestion.channel_import import import_months
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.polling import missing_keys
from ingest_pipeline.ingestion.services import Services, read_by_bot_else_exporter
from ingest_pipeline.sources.discord.discovery import view_guild
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import list_channels
from ingest_pipeline.storage.messages.accepted_gaps import AcceptedGap, accepted_gaps
from ingest_pipeline.storage.messages.coverage import Proof, gaps, proofs, read_without_words
from ingest_pipeline.storage.messages.sessions import find_session
from ingest_pipeline.storage.runs.scan_runs import RunKind, ScanRun, unfinished_runs

_MILLISECOND = timedelta(milliseconds=1)


class GapReason(StrEnum):
    """Why a range is not proven.

    Attributes:
        NEVER_READ: Nothing of the channel has been read completely.
        BEFORE_FIRST: It lies before all that has been read.
        BETWEEN: It lies between two readings.
        AFTER_LAST: It came after the last reading.
        IMPORT_UNFINISHED: An import was cut off before it.
        NO_HISTORY: The bot lacks Read Message History.
        FORBIDDEN: The bot does not see the channel.
        MISSING: The channel is gone.
        WITHOUT_WORDS: It was read by a version that took no words of embeds, forwards, components and polls.
    """

    NEVER_READ = "never_read"
    BEFORE_FIRST = "before_first_reading"
    BETWEEN = "between_readings"
    AFTER_LAST = "after_last_reading"
    IMPORT_UNFINISHED = "import_unfinished"
    NO_HISTORY = "no_permission_for_history"
    FORBIDDEN = "channel_not_visible"
    MISSING = "channel_gone"
    WITHOUT_WORDS = "read_without_words"


_BARRED = {
    ChannelAccess.NO_HISTORY: GapReason.NO_HISTORY,
    ChannelAccess.FORBIDDEN: GapReason.FORBIDDEN,
    ChannelAccess.MISSING: GapReason.MISSING,
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids in `(low, high]` of a channel that ought to be proven and are not.

    Attributes:
        channel_id: The channel or thread.
        guild_id: Its guild, or None for a session's channel that the bot does not know.
        channel_name: Its name, or None likewise.
        low: The id just below.
        high: The last id.
        reason: Why.
        session_id: The session it is expected for, or None for a whole channel.
        accepted: Why it was accepted, or None when it was not.
    """

    channel_id: int
    guild_id: int | None
    channel_name: str | None
    low: int
    high: int
    reason: GapReason
    session_id: str | None = None
    accepted: str | None = None

    @property
    def is_deficit(self) -> bool:
        """Whether anything wanted can still be missing: not when it is accepted or the channel is gone."""
        return self.reason is not GapReason.MISSING and self.accepted is None

    @property
    def start(self) -> datetime:
        """The earliest time a message in it can have been posted, aware UTC."""
        return created_at(self.low + 1)

    @property
    def end(self) -> datetime:
        """The latest time a message in it can have been posted, aware UTC."""
        return created_at(self.high)

    def as_dict(self) -> dict[str, Any]:
        """Return the gap as JSON values: ids as strings, times as ISO 8601 in UTC."""
        return {
            "guild_id": None if self.guild_id is None else str(self.guild_id),
            "channel_id": str(self.channel_id),
            "channel_name": self.channel_name,
            "session_id": self.session_id,
            "low": str(self.low),
            "high": str(self.high),
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "reason": self.reason.value,
            "accepted": self.accepted,
        }


def list_gaps(services: Services, scope: Scope | None = None, now: datetime | None = None) -> list[Gap]:
    """Return what is missing, by channel and id, from the ledger alone: Discord is not asked."""
    moment = now or datetime.now(UTC)
    found: list[Gap] = []
    settings = services.settings
    # A live session lags behind by its polls: what the next one or two will read is no gap yet.
    settle = settings.settle + timedelta(seconds=2 * settings.poll_interval_seconds)
    with services.database.read() as connection:
        known = {channel.channel_id: channel for channel in list_channels(connection)}
        imports = unfinished_runs(connection, RunKind.IMPORT)
        for expected in expectations(connection, moment, settle, scope):
            channel_id = expected.channel_id
            missing = gaps(connection, channel_id, expected.low, expected.high)
            if missing:
                diagnose = _Diagnosis(
                    expected, known.get(channel_id), imports.get(channel_id), proofs(connection, channel_id)
                )
                accepted = accepted_gaps(connection, channel_id)
                for low, high in missing:
                    found += _split(diagnose.gap(low, high), accepted)
    return found


def _split(gap: Gap, accepted: Sequence[AcceptedGap]) -> Iterator[Gap]:
    """Cut a gap at the ends of accepted ranges, which are ordered."""
    reached = gap.low
    for each in accepted:
        low, high = max(each.low, reached), min(each.high, gap.high)
        if low < high:
            if reached < low:
                yield replace(gap, low=reached, high=low)
            yield replace(gap, low=low, high=high, accepted=each.reason)
            reached = high
    if reached < gap.high:
        yield replace(gap, low=reached)


def list_without_words(services: Services, scope: Scope | None = None) -> list[Gap]:
    """Return what history was read by a version that left words out, by channel and id.

    No message need be missing there, so these are no gaps; a repair reads them again all the same.
    """
    with services.database.read() as connection:
        known = {channel.channel_id: channel for channel in list_channels(connection)}
        return [
            Gap(
                channel_id=expected.channel_id,
                guild_id=channel.guild_id,
                channel_name=channel.name,
                low=low,
                high=high,
                reason=_BARRED.get(channel.reading_state, GapReason.WITHOUT_WORDS),
                session_id=expected.session_id,
            )
            for expected in expectations(connection, datetime.now(UTC), services.settings.settle, scope)
            if (channel := known.get(expected.channel_id))
            for low, high in read_without_words(connection, expected.channel_id, expected.low, expected.high)
        ]


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
    """Ask Discord what there is, then read what the bot can read of gaps and of what was read without words.

    `list_gaps` and `list_without_words` return what is left afterwards.

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
        lambda: [*list_gaps(services, scope), *list_without_words(services, scope)]
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


def is_repairable(gap: Gap) -> bool:
    """Return whether the bot can read a gap, as far as is known, and is wanted to."""
    return gap.guild_id is not None and gap.reason not in _BARRED.values() and gap.accepted is None


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


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    """The state of a channel with gaps."""

    expected: Expectation
    channel: Channel | None
    unfinished: ScanRun | None
    proofs: Sequence[Proof]

    def gap(self, low: int, high: int) -> Gap:
        """Return the gap `(low, high]` with its reason."""
        return Gap(
            channel_id=self.expected.channel_id,
            guild_id=self.channel.guild_id if self.channel else None,
            channel_name=self.channel.name if self.channel else None,
            low=low,
            high=high,
            reason=self._reason(low, high),
            session_id=self.expected.session_id,
        )

    def _reason(self, low: int, high: int) -> GapReason:
        if self.channel is not None and self.channel.reading_state in _BARRED:
            return _BARRED[self.channel.reading_state]
        if self.unfinished is not None and low >= self.unfinished.cursor_id:
            return GapReason.IMPORT_UNFINISHED
        if not self.proofs:
            return GapReason.NEVER_READ
        if high <= min(proof.low for proof in self.proofs):
            return GapReason.BEFORE_FIRST
        if low >= max(proof.high for proof in self.proofs):
            return GapReason.AFTER_LAST
        return GapReason.BETWEEN
