"""The life of a bot process in the database: its start, its heartbeat, its end and the reason.

Told apart from its parts, so that a bot that cannot reach Discord, or that Discord refuses, is known of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest_pipeline.bot.supervision import connection_event, keep_going
from ingest_pipeline.errors import IngestError
from ingest_pipeline.events import EventType, log_events
from ingest_pipeline.ingestion.message_events import bot_event
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.bot_heartbeat import note_beginning, note_heartbeat
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline.storage.runs.operations import note_operations

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BotLife:
    """One run of the bot.

    Attributes:
        services: The working parts.
        journey: The correlation id of this run.
        beat_seconds: How often the heart beats.
    """

    services: Services
    journey: str
    beat_seconds: float

    async def begin(self) -> None:
        """Say that the bot has begun, which also brings the database to the newest schema.

        Raises:
            DatabaseBusy: Another process holds the database.
            DatabaseUnavailable: It cannot be reached.
        """
        await self._tell(EventType.BOT_STARTED, {"engine": self.services.database.engine})

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Let the heart beat until the block ends, then say that, and why, the bot stopped."""
        heart = asyncio.create_task(keep_going("the heartbeat", self._beat))
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
        """Say that Discord refused the bot or could not be reached; that this is not noted is no error."""
        try:
            data = {"error": type(error).__name__, "message": str(error)}
            await self._tell(connection_event(error), data)
        except IngestError as trouble:
            _logger.warning("that the connection failed was not noted: %s", trouble)

    async def _beat(self) -> None:
        await asyncio.sleep(self.beat_seconds)
        await self._write(lambda connection: note_heartbeat(connection, datetime.now(UTC)))

    async def _end(self, data: Mapping[str, Any]) -> None:
        """Say that it stopped; that this is lost with the database is no reason to end in disorder."""
        try:
            await self._tell(EventType.BOT_STOPPED, data)
        except IngestError as error:
            _logger.warning("the end of the bot was not noted: %s", error)

    async def _tell(self, event_type: EventType, data: Mapping[str, Any]) -> None:
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
