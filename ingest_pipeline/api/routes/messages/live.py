"""The stream that open pages listen to: one look at the database for all of them.

A page that asks on its own costs each import its share, and two hundred cost two hundred shares. So the table
is looked at once for all that listen: a look at the version each second, a read after each commit.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from ingest_pipeline.api.problems import documented
from ingest_pipeline.api.routes.messages.messages import shown_messages
from ingest_pipeline.errors import IngestError
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.changes import ChangeKind, changes_with_rows, newest_position

router = APIRouter(tags=["health"])

POLL_SECONDS = 1.0
STATUS_SECONDS = 10.0
"""How often the status is sent when nothing is committed: lags grow, and sessions begin and end."""

_MOST_CHANGES = 200
_MOST_MESSAGES = 20
_LONGEST_QUEUE = 64
_FRESH = {ChangeKind.CREATED, ChangeKind.UPDATED}
_logger = logging.getLogger(__name__)


class LiveFeed:
    """Events for all that listen, looked up by one task while there is somebody.

    Args:
        database: What is looked at.
        status: Looks up the status.
    """

    def __init__(self, database: Database, status: Callable[[], BaseModel]) -> None:
        """Look at nothing yet."""
        self._database = database
        self._status = status
        self._listeners: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None
        self._last_status = ""

    async def events(self) -> AsyncIterator[str]:
        """Return server-sent events for one listener: the status first, then what happens."""
        queue: asyncio.Queue[str] = asyncio.Queue(_LONGEST_QUEUE)
        if self._listeners and self._last_status:
            queue.put_nowait(self._last_status)
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def _look(self) -> None:
        """Send events until nobody listens any more."""
        version: Any = None
        position: int | None = None
        sent_at = 0.0
        while self._listeners:
            try:
                present = await asyncio.to_thread(self._database.version)
                is_changed = present != version
                if is_changed:
                    events, position, is_all = await asyncio.to_thread(self._read_changes, position)
                    version = present if is_all else None
                    self._send(events)
                if is_changed or time.monotonic() - sent_at >= STATUS_SECONDS:
                    status = await asyncio.to_thread(self._status)
                    self._last_status = _event("status", status.model_dump_json())
                    sent_at = time.monotonic()
                    self._send(self._last_status)
            except IngestError as error:
                self._send(_event("problem", json.dumps({"detail": str(error)})))
            except Exception:
                # Whoever listens would wait for ever, as the next look is not begun before this one ends.
                _logger.exception("what open pages are sent could not be looked up")
                self._send(
                    _event("problem", json.dumps({"detail": "an unexpected error, which the log describes"}))
                )
            await asyncio.sleep(POLL_SECONDS)

    def _send(self, event: str) -> None:
        if not event:
            return
        for queue in self._listeners:
            if queue.full():
                # Somebody who reads too slowly asks for everything again instead.
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(_event("changes", json.dumps({"is_complete": False})))
            queue.put_nowait(event)

    def _read_changes(self, position: int | None) -> tuple[str, int, bool]:
        """Return the event of what follows a position, the next position, and whether that is all."""
        with self._database.read() as connection:
            newest = newest_position(connection)
            if position is None or newest == position:
                return "", newest, True
            found = changes_with_rows(connection, after=position, limit=_MOST_CHANGES)
            if not found:
                return "", position, False
            fresh = {row["discord_id"]: row for change, row in found if row and change.change in _FRESH}
            shown = [row for row in fresh.values() if row["deleted_at"] is None][-_MOST_MESSAGES:]
            messages = shown_messages(connection, shown)
        is_complete = found[-1][0].position >= newest
        rows = [row for _, row in found if row]
        summary = {
            "is_complete": is_complete and len(fresh) == len(shown),
            "counts": Counter(change.change.value for change, _ in found),
            "session_ids": sorted({row["session_id"] for row in rows if row["session_id"]}),
            "channel_ids": sorted({str(row["channel_id"]) for row in rows}),
            "messages": [message.model_dump(mode="json") for message in messages],
        }
        # After a large import the rest is not worth its reading: pages ask again.
        return _event("changes", json.dumps(summary, ensure_ascii=False)), newest, True


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


@router.get(
    "/live/stream",
    summary="The state of everything as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **documented()},
)
async def live(request: Request) -> StreamingResponse:
    """Send `status` as it changes, and `changes` when messages did; what the page listens to.

    `changes` counts what happened and names the sessions and channels that it happened in; up to 20 of the
    messages are in it as they stand now. It is for looking: a reader that must miss none takes
    `/changes/stream`.
    """
    feed: LiveFeed = request.app.state.live
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(feed.events(), media_type="text/event-stream", headers=headers)
