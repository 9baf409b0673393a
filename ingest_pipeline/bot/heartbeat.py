"""The bot's life as others see it: its heartbeat and what it is doing.

Reported apart from its parts, so that a bot that cannot reach Discord, or that Discord refuses, is noticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest_pipeline.bot.supervision import connection_event, run_forever
from ingest_pipeline.errors import IngestError
from ingest_pipeline.events import EventType, log_events
from ingest_pipeline.ingestion.batch_events import bot_event
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline.storage.runs.state import Operation, note_beginning, note_heartbeat, note_operations

_logger = logging.getLogger(__name__)
SYNC_GUILDS = "sync:guilds"
SYNC_CHANNELS = "sync:channels"
SYNC_THREADS = "sync:threads"
CATCH_UP_CHANNELS = "catch-up:channels"
READ_MESSAGES = "read:messages"
OPERATIONS = (SYNC_GUILDS, SYNC_CHANNELS, SYNC_THREADS, CATCH_UP_CHANNELS, READ_MESSAGES)


@dataclass(frozen=True, slots=True)
class BotLife:
    """One run of the bot.

    Attributes:
        journey: The correlation id of this run.
        beat_seconds: How often the heart beats.
    """

    services: Services
    journey: str
    beat_seconds: float

    async def begin(self) -> None:
        """Record the start of the bot, which also migrates the database to the newest schema.

        Raises:
            DatabaseBusy: Another process holds the database.
            DatabaseUnavailable: It cannot be reached.
        """
        await self._record(EventType.BOT_STARTED, {"engine": self.services.database.engine})

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Write heartbeats until the block ends, then record the stop and its reason."""
        heart = asyncio.create_task(run_forever("the heartbeat", self._beat))
        data: dict[str, Any] = {}
        try:
            yield
        except IngestError as error:
            data["reason"] = str(error)
            raise
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)
            await self._end(data)

    async def note_failure(self, error: IngestError) -> None:
        """Record that Discord refused the bot or was unreachable; a failure to record it is not an error."""
        try:
            data = {"error": type(error).__name__, "message": str(error)}
            await self._record(connection_event(error), data)
        except IngestError as trouble:
            _logger.warning("the failed connection was not recorded: %s", trouble)

    async def _beat(self) -> None:
        await asyncio.sleep(self.beat_seconds)
        await self._write(lambda connection: note_heartbeat(connection, datetime.now(UTC)))

    async def _end(self, data: Mapping[str, Any]) -> None:
        """Record the stop; losing this record with the database does not fail the stop."""
        try:
            await self._record(EventType.BOT_STOPPED, data)
        except IngestError as error:
            _logger.warning("the end of the bot was not recorded: %s", error)

    async def _record(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        event = bot_event(event_type, self.journey, datetime.now(UTC), data)

        def work(connection: Connection) -> None:
            publish(connection, [event])
            note_heartbeat(connection, event.created_at)
            if event_type is EventType.BOT_STARTED:
                note_beginning(connection, event.created_at)
                note_operations(connection, ())

        await self._write(work)
        log_events([event])

    async def _write(self, work: Callable[[Connection], None]) -> None:
        await asyncio.to_thread(self.services.database.run, work)


class RunningOperations:
    """The running operations; for one event loop.

    Attributes:
        changed: Set when something has begun or ended.
    """

    def __init__(self) -> None:
        """Begin with nothing going on."""
        self._running: dict[object, Operation] = {}
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def running(self, tag: str) -> AsyncIterator[None]:
        """Show an operation as running until the block ends; nothing waits for that."""
        key = object()
        self._running[key] = Operation(tag, datetime.now(UTC))
        self.changed.set()
        try:
            yield
        finally:
            del self._running[key]
            self.changed.set()

    def current(self) -> tuple[Operation, ...]:
        """Return what goes on, the longest first."""
        return tuple(sorted(self._running.values(), key=lambda each: (each.since, each.tag)))
