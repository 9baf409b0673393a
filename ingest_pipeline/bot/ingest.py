"""The ingestion loop of the bot: rounds that empty the spool.

A round that fails leaves its events where they are, and the next one takes them again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from ingest_pipeline.bot.gateway_ingest import (
    BATCH_EVENTS,
    QUIET,
    SpoolBatch,
    SpoolReader,
    ingest_spooled,
)
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.bot.watchlist import Watchlist
from ingest_pipeline.content.rules import CurrentRules
from ingest_pipeline.errors import IngestError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.spool import Position, Record

ROUND_SECONDS = {"duckdb": 0.5, "postgres": 0.05}
"""How long events are collected for a batch: opening the embedded database costs about as much as
merging some hundreds of messages."""

_REFUSED = "refused.jsonl"

_logger = logging.getLogger(__name__)

BatchObserver = Callable[[SpoolBatch], None]


class SpoolIngester:
    """Takes the events of a spool into the table. For one event loop.

    Args:
        reader: The spool.
        folder: Where an event that nothing can be done with is set aside.
        observe: Called after each batch.
        landing: Where frames land; they are forgotten once they have.
        quiet: See `ingest_spooled`.

    Attributes:
        rules: What the messages' content is read by.
    """

    def __init__(
        self,
        services: Services,
        reader: SpoolReader,
        folder: Path,
        watchlist: Watchlist,
        observe: BatchObserver | None = None,
        *,
        landing: SpoolLanding | None = None,
        quiet: timedelta = QUIET,
    ) -> None:
        """Begin at the database's position in the spool, once the first round runs."""
        self.rules = CurrentRules(services.settings)
        self._services = services
        self._reader = reader
        self._folder = folder
        self._watchlist = watchlist
        self._observe = observe
        self._landing = landing
        self._quiet = quiet
        self._position: Position | None = None
        self._limit = BATCH_EVENTS
        self._wake = asyncio.Event()
        self._round = 0
        self._empty_round = 0
        self._advanced = asyncio.Condition()
        self._pause_seconds = ROUND_SECONDS[services.database.engine]

    def wake(self) -> None:
        """Note that there is something in the spool."""
        self._wake.set()

    async def round(self) -> None:
        """Wait for events and take a batch of them into the table.

        Raises:
            DatabaseBusy: Another process held the database for too long; the events stay in the spool.
            DatabaseUnavailable: The database cannot be reached; the events stay in the spool.
            ConfigurationError: The settings of channels are wrong; the events stay in the spool.
        """
        await self._wake.wait()
        self._round += 1
        number, began = self._round, time.monotonic()
        self._wake.clear()
        try:
            batch = await asyncio.to_thread(self._take)
        except BaseException:
            self._wake.set()
            raise
        async with self._advanced:
            if batch is None:
                self._empty_round = number
            self._advanced.notify_all()
        if batch is None:
            return
        self._wake.set()
        if self._observe:
            self._observe(batch)
        if batch.events.received < BATCH_EVENTS:
            await asyncio.sleep(max(self._pause_seconds - (time.monotonic() - began), 0))

    async def drained(self) -> None:
        """Wait until everything received before this call is in the table."""
        target = await asyncio.to_thread(self._reader.spool.flush)
        later = self._round + 1

        def is_done() -> bool:
            # A new segment begins beyond the end of the one before, where no event lies.
            reached = self._position is not None and self._position >= target
            return reached or self._empty_round >= later

        self._wake.set()
        async with self._advanced:
            await self._advanced.wait_for(is_done)

    def _take(self) -> SpoolBatch | None:
        """Process a batch and forget what lies before it."""
        if self._position is None:
            self._position = self._begin()
        try:
            batch = self._process(self._position, self._limit)
        except IngestError:
            raise
        except Exception:
            # It may be one event that cannot be taken: a smaller batch finds out which.
            if self._limit > 1:
                self._limit = max(self._limit // 8, 1)
                raise
            batch = self._without_the_first(self._position)
        if batch is not None:
            self._limit = min(self._limit * 8, BATCH_EVENTS)
            self._position = batch.position
            landed = self._landing.position if self._landing else batch.position
            self._reader.spool.forget(min(batch.position, landed))
        return batch

    def _begin(self) -> Position:
        with self._services.database.read() as connection:
            return self._reader.checkpoint(connection)

    def _process(self, after: Position, limit: int) -> SpoolBatch | None:
        return ingest_spooled(
            self._services,
            self._reader,
            after,
            is_monitored=self._watchlist.wants,
            sessions=self._watchlist.sessions,
            rules=self.rules.get(),
            limit=limit,
            quiet=self._quiet,
        )

    def _without_the_first(self, after: Position) -> SpoolBatch | None:
        """Set an event aside if it alone cannot be processed and the next one can."""
        records, behind = self._reader.spool.read(after, 1)
        # If the next event fails too, the cause is not the event, and both stay in the spool.
        batch = self._process(behind, 1)
        if batch is not None:
            self._set_aside(records[0])
        return batch

    def _set_aside(self, record: Record) -> None:
        path = self._folder / _REFUSED
        with path.open("ab") as file:
            file.write(b"%b %b\n" % (record.received_at.isoformat().encode(), record.event))
        _logger.error(
            "an event received at %s cannot be processed and was set aside in %s: the next reading of its "
            "channel repairs the loss; please report it",
            record.received_at.isoformat(),
            path,
        )
