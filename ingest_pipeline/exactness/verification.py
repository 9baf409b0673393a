"""The proof of the whole: what the table holds, compared with a fresh reading of Discord.

Both set differences are taken for each channel, and the contents compared. The comparison shares the
reading with the import, but neither the ledger nor the merge: a mistake there shows here.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from ingest_pipeline.capture.discord_rest import PAGE_LIMIT, DiscordRest, open_rest
from ingest_pipeline.capture.history import Newest, Page, batched, find_newest, read_history
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.errors import IngestError, TokenRejected
from ingest_pipeline.exactness.comparison import (
    DEFICITS,
    Difference,
    FreshReading,
    compare,
    fresh_reading,
)
from ingest_pipeline.exactness.expectations import Expectation, Scope, expectations
from ingest_pipeline.exactness.gap_repair import refresh_catalogue
from ingest_pipeline.history.history_import import DEFAULT_CONCURRENCY
from ingest_pipeline.history.scanner import SOURCE, Scanner, build_scanner, page_document
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.catalogue import list_channels
from ingest_pipeline.storage.ledger import gaps
from ingest_pipeline.storage.readings import stored_between, stored_bounds

VerifyProgress = Callable[["ChannelVerdict"], None]

_LISTED = 1_000


@dataclass(slots=True)
class ChannelVerdict:
    """How the table stands to Discord in one channel.

    Attributes:
        channel_id: The channel or thread.
        name: Its name, or None when the bot does not know it.
        session_id: The session it was verified for, or None for the whole channel.
        low: The id just below what was to be verified.
        high: The last id of it.
        is_sampled: Whether only some stretches were read.
        on_discord: Messages read that ought to be in the table.
        in_table: Live messages that the table holds between the same ids.
        skipped: Messages read that the channel's policy leaves out.
        differences: The first of the differences by id, a thousand at most.
        reasons: How many differences there are of each reason, all counted.
        error: Why the channel could not be read to its end, or None.
        source: How it was read: `history` by the bot, `export` by the exporter.
    """

    channel_id: int
    name: str | None
    session_id: str | None
    low: int
    high: int
    is_sampled: bool = False
    on_discord: int = 0
    in_table: int = 0
    skipped: int = 0
    differences: list[Difference] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    source: str = SOURCE

    @property
    def is_exact(self) -> bool:
        """Whether all that was to be read was read, and nothing differs."""
        return self.error is None and not self.reasons

    @property
    def has_deficit(self) -> bool:
        """Whether something that Discord has is missing in the table, or may be."""
        return self.error is not None or any(self.reasons[each.value] for each in DEFICITS)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values: ids as strings."""
        return {
            "channel_id": str(self.channel_id),
            "name": self.name,
            "session_id": self.session_id,
            "low": str(self.low),
            "high": str(self.high),
            "exact": self.is_exact,
            "sampled": self.is_sampled,
            "on_discord": self.on_discord,
            "in_table": self.in_table,
            "skipped": self.skipped,
            "reasons": dict(self.reasons),
            "differences": [
                {"discord_id": str(each.discord_id), "reason": each.reason.value} for each in self.differences
            ],
            "differences_truncated": len(self.differences) < sum(self.reasons.values()),
            "error": self.error,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """How the table stands to Discord.

    Attributes:
        verdicts: One for each channel and session looked at.
        seconds: Wall time.
    """

    verdicts: tuple[ChannelVerdict, ...]
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs and everything could be read."""
        return all(verdict.is_exact for verdict in self.verdicts)

    @property
    def has_deficit(self) -> bool:
        """Whether something that Discord has is missing, or may be."""
        return any(verdict.has_deficit for verdict in self.verdicts)

    @property
    def is_sampled(self) -> bool:
        """Whether some channel was read in part only."""
        return any(verdict.is_sampled for verdict in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "exact": self.is_exact,
            "sampled": self.is_sampled,
            "on_discord": sum(verdict.on_discord for verdict in self.verdicts),
            "in_table": sum(verdict.in_table for verdict in self.verdicts),
            "seconds": round(self.seconds, 3),
            "channels": [verdict.as_dict() for verdict in self.verdicts],
        }


def verify_now(
    services: Services,
    scope: Scope | None = None,
    *,
    sample: int | None = None,
    progress: VerifyProgress | None = None,
) -> VerificationReport:
    """Log in, verify, log out; see `verify`."""

    async def work() -> VerificationReport:
        async with open_rest(services.settings.discord_bot_token) as rest:
            return await verify(services, rest, scope, sample=sample, progress=progress)

    return asyncio.run(work())


async def verify(
    services: Services,
    rest: DiscordRest,
    scope: Scope | None = None,
    *,
    sample: int | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    grace_seconds: float = 2.0,
    random: Random | None = None,
    progress: VerifyProgress | None = None,
) -> VerificationReport:
    """Compare what ought to be in the table with what Discord has. Nothing is repaired.

    Args:
        services: The working parts.
        rest: Discord.
        scope: What to look at.
        sample: Read about so many messages of each channel, at places drawn at random, in place of all.
        concurrency: How many channels are read at the same time.
        grace_seconds: What differs is looked up once more in the table after this time, in which a
            running bot can finish what it has received.
        random: Draws the places of samples.
        progress: Called with each verdict.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
        DatabaseBusy: Another process held the database for too long.
    """
    began = time.monotonic()
    await refresh_catalogue(services, rest)
    expected, known = await asyncio.to_thread(_expected, services, scope)
    scanner = await build_scanner(services, rest)
    grace = timedelta(seconds=grace_seconds)
    source = random or Random()  # noqa: S311 - draws samples
    turns = asyncio.Semaphore(concurrency)

    async def verify_in_turn(expectation: Expectation) -> ChannelVerdict:
        async with turns:
            job = _Job(scanner, expectation, known.get(expectation.channel_id), grace)
            verdict = await job.run(sample, source)
        if progress:
            progress(verdict)
        return verdict

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(verify_in_turn(each)) for each in expected]
    except* IngestError as stopped:
        raise stopped.exceptions[0] from None
    return VerificationReport(tuple(task.result() for task in tasks), time.monotonic() - began)


def _expected(services: Services, scope: Scope | None) -> tuple[list[Expectation], dict[int, Channel]]:
    with services.database.read() as connection:
        known = {channel.channel_id: channel for channel in list_channels(connection)}
        return expectations(connection, datetime.now(UTC), services.settings.settle, scope), known


@dataclass(frozen=True, slots=True)
class _Job:
    """The verification of one channel."""

    scanner: Scanner
    expectation: Expectation
    channel: Channel | None
    grace: timedelta

    async def run(self, sample: int | None, random: Random) -> ChannelVerdict:
        """Read the channel, or a sample of it, and compare."""
        expected = self.expectation
        name = self.channel.name if self.channel else None
        verdict = ChannelVerdict(
            expected.channel_id, name, expected.session_id, expected.low, expected.high, sample is not None
        )
        try:
            newest = await find_newest(self.scanner.rest, expected.channel_id)
            if expected.session_id is None:
                # A whole channel is verified up to the present, not to what was known of it.
                verdict.high = max(newest.message_id, expected.high)
            if sample is None:
                pages: AsyncIterator[Page] = read_history(
                    self.scanner.rest, expected.channel_id, expected.low, verdict.high, newest
                )
            else:
                pages = self._sample(verdict.high, newest, -(-sample // PAGE_LIMIT), random)
            async for batch in batched(pages, self.scanner.batch_rows):
                await self._judge(verdict, batch)
        except TokenRejected:
            raise
        except IngestError as error:
            verdict.error = str(error)
        return verdict

    async def _sample(self, high: int, newest: Newest, count: int, random: Random) -> AsyncIterator[Page]:
        """Read so many pages at random places; where they would overlap, fewer."""
        expected = self.expectation
        oldest = await asyncio.to_thread(self._oldest)
        low = min(max(expected.low, oldest - 1), high)
        for place in sorted(random.randint(low, high) for _ in range(count)):
            if place >= low:
                async with aclosing(
                    read_history(self.scanner.rest, expected.channel_id, place, high, newest)
                ) as pages:
                    async for page in pages:
                        yield page
                        low = page.high
                        break

    def _oldest(self) -> int:
        """Return an id at or below the channel's first message, as far as is known."""
        with self.scanner.services.database.read() as connection:
            bounds = stored_bounds(connection).get(self.expectation.channel_id)
        return min(self.expectation.channel_id, bounds.oldest) if bounds else self.expectation.channel_id

    async def _judge(self, verdict: ChannelVerdict, pages: Sequence[Page]) -> None:
        guild_id = self.channel.guild_id if self.channel else None
        policies = await asyncio.to_thread(self.scanner.services.read_policies, [verdict.channel_id])
        documents = [
            page_document(verdict.channel_id, guild_id, page, policies=policies, correlation_id="")
            for page in pages
        ]
        reading = await asyncio.to_thread(fresh_reading, verdict.channel_id, pages, documents)
        differences, count = await asyncio.to_thread(self._look_up, reading)
        if differences:
            wait = pages[-1].requested_at + self.grace - datetime.now(UTC)
            await asyncio.sleep(max(wait.total_seconds(), 0))
            differences, count = await asyncio.to_thread(self._look_up, reading)
        verdict.on_discord += len(reading.rows)
        verdict.in_table += count
        verdict.skipped += reading.skipped
        verdict.reasons.update(each.reason.value for each in differences)
        verdict.differences += differences[: _LISTED - len(verdict.differences)]

    def _look_up(self, reading: FreshReading) -> tuple[list[Difference], int]:
        """Return the differences to the table as it is now, and its live messages between the same ids."""
        with self.scanner.services.database.read() as connection:
            stored = {
                discord_id: version
                for low, high in reading.stretches
                for discord_id, version in stored_between(connection, reading.channel_id, low, high).items()
            }
            unproven = gaps(connection, reading.channel_id, reading.low, reading.high)
        live = sum(version.deleted_at is None for version in stored.values())
        return compare(reading, stored, unproven), live
