"""Running operations of the bot, by tag; a step of the bot writes them to the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from ingest_pipeline.storage.runs.operations import Operation

SYNC_GUILDS = "sync:guilds"
SYNC_CHANNELS = "sync:channels"
SYNC_THREADS = "sync:threads"
CATCH_UP_CHANNELS = "catch-up:channels"
READ_MESSAGES = "read:messages"
OPERATIONS = (SYNC_GUILDS, SYNC_CHANNELS, SYNC_THREADS, CATCH_UP_CHANNELS, READ_MESSAGES)


class RunningOperations:
    """What goes on; for one event loop.

    Attributes:
        changed: Set when something has begun or ended.
    """

    def __init__(self) -> None:
        """Begin with nothing going on."""
        self._running: dict[object, Operation] = {}
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def running(self, tag: str) -> AsyncIterator[None]:
        """Let an operation be shown as long as the block goes on, however it ends; nothing waits for that."""
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
