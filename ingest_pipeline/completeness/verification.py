"""Verification: the whole table compared with a fresh reading of Discord.

Both set differences are taken for each channel, and the contents compared. The comparison shares the
reading with the import, but neither the ledger nor the merge: a mistake there shows here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from ingest_pipeline.completeness.comparison import Comparison, FreshReading, compare, fresh_reading
from ingest_pipeline.completeness.expectations import Expectation, Scope, expectations
from ingest_pipeline.completeness.gap_repair import refresh_catalogue
from ingest_pipeline.completeness.verdicts import ChannelVerdict, VerificationReport
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.errors import IngestError, TokenRejected
from ingest_pipeline.history.channel_scan import (
    BATCH_ROWS,
    DEFAULT_CONCURRENCY,
    Scanner,
    build_scanner,
)
from ingest_pipeline.history.page_documents import page_document
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.history import Newest, Page, batched, find_newest, read_history
from ingest_pipeline.sources.discord.rest import PAGE_LIMIT, DiscordRest, open_rest
from ingest_pipeline.storage.catalogue.guilds import list_channels
from ingest_pipeline.storage.erasure_list import read_erasures
from ingest_pipeline.storage.messages.accepted_gaps import accepted_gaps
from ingest_pipeline.storage.messages.coverage import gaps
from ingest_pipeline.storage.messages.queries import (
    session_claims,
    shows_starter,
    stored_between,
    stored_bounds,
)

VerifyProgress = Callable[[ChannelVerdict], None]


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
    batch_rows: int = BATCH_ROWS,
    grace_seconds: float = 2.0,
    random: Random | None = None,
    progress: VerifyProgress | None = None,
) -> VerificationReport:
    """Compare what ought to be in the table with what Discord has. Nothing is repaired.

    Args:
        scope: What to look at.
        sample: How many messages of each channel are read, at points drawn at random, in place of all.
        concurrency: How many channels are read at the same time.
        batch_rows: Messages compared at a time, which bounds memory.
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
    scanner = await build_scanner(services, rest, batch_rows=batch_rows)
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
        """Read a number of pages at random points; where they would overlap, fewer."""
        expected = self.expectation
        oldest = await asyncio.to_thread(self._oldest)
        low = min(max(expected.low, oldest - 1), high)
        for start in sorted(random.randint(low, high) for _ in range(count)):
            if start >= low:
                async with aclosing(
                    read_history(self.scanner.rest, expected.channel_id, start, high, newest)
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
        policies = await asyncio.to_thread(self.scanner.services.read_policies, [verdict.channel_id])
        documents = [
            page_document(verdict.channel_id, None, page, policies=policies, correlation_id="")
            for page in pages
        ]
        erasures = await asyncio.to_thread(read_erasures, self.scanner.services.database)
        reading = await asyncio.to_thread(fresh_reading, verdict.channel_id, pages, documents, erasures)
        comparison = await asyncio.to_thread(self._look_up, reading)
        if comparison.reasons:
            wait = pages[-1].requested_at + self.grace - datetime.now(UTC)
            await asyncio.sleep(wait.total_seconds())
            comparison = await asyncio.to_thread(self._look_up, reading)
        verdict.add(comparison)

    def _look_up(self, reading: FreshReading) -> Comparison:
        """Compare a reading with the table as it is now."""
        with self.scanner.services.database.read() as connection:
            stored = {
                discord_id: version
                for low, high in reading.ranges
                for discord_id, version in stored_between(connection, reading.channel_id, low, high).items()
            }
            unproven = gaps(connection, reading.channel_id, reading.low, reading.high)
            accepted = [(each.low, each.high) for each in accepted_gaps(connection, reading.channel_id)]
            claims = session_claims(connection, reading.channel_id)
            has_starter = shows_starter(connection, reading.channel_id)
        return compare(reading, stored, unproven, claims, shows_starter=has_starter, accepted=accepted)
