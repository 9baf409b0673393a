"""Landing of the spool: frames of messages and deletions go to the raw store together, once a minute.

Frames are on disk before anything else happens to them, and stay until they are both merged and landed: no
end of the process, in any order, loses one. A kill between a landing and the note of it lands frames twice,
which changes nothing when they are read again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from threading import Lock, Thread

from ingest_pipeline.domain.erasures import NOTHING_ERASED, Erasures
from ingest_pipeline.errors import StorageRejected
from ingest_pipeline.ingestion.gateway_events import raw_readings
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.landing.erasure.files import erase_from_spool
from ingest_pipeline.landing.erasure.readings import ChannelRef, kept_readings
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.landing.raw_store import RawStore, write_segment
from ingest_pipeline.landing.spool import Position, Spool

MOST_WAITING_BYTES = 1 << 30
"""What waits in the spool for a store that does not answer; beyond it the oldest is given up."""

_FRAMES_AT_ONCE = 2_000
_PLACE = "landed"
_logger = logging.getLogger(__name__)


class SpoolLanding:
    """The way of a spool's frames into the raw store.

    Args:
        spool: The frames.
        store: The raw store; None to land nothing.
        folder: Where it is noted how far the spool has landed.
        is_monitored: Whether a channel's messages are wanted.
        erasures: Returns what was erased, which does not land.

    Attributes:
        position: How far the spool has landed.
    """

    def __init__(
        self,
        spool: Spool,
        store: RawStore | None,
        folder: Path,
        is_monitored: Callable[[int], bool],
        *,
        erasures: Callable[[], Erasures] = lambda: NOTHING_ERASED,
    ) -> None:
        """Go on where the note says; without one, at the beginning of what the spool still has."""
        self._spool = spool
        self._store = store
        self._place = folder / _PLACE
        self._is_monitored = is_monitored
        self._erasures = erasures
        self._turn = Lock()
        self.position = min(_noted(self._place), spool.durable)

    def land(self) -> None:
        """Land what is durable in the spool; nothing while another thread does.

        Raises:
            StorageRejected: The store or the spool's folder cannot be written; the frames wait in the spool.
            StorageUnavailable: The store does not answer; the frames wait in the spool.
        """
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self._store is None:
                self._move_to(self._spool.durable)
            else:
                self._make_room()
                while self._land_some(self._store):
                    pass
        finally:
            self._turn.release()

    async def land_in_background(self) -> None:
        """See `land`; the thread does not keep a process that ends waiting for the store."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def end(error: Exception | None) -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            failure: Exception | None = None
            try:
                self.land()
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                failure = error
            # The loop may have ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(end, failure)

        Thread(target=run, name="spool-landing", daemon=True).start()
        await done

    def _land_some(self, store: RawStore) -> bool:
        records, position = self._spool.read(self.position, _FRAMES_AT_ONCE)
        if position == self.position:
            return False
        correlation_id = new_correlation_id()
        erasures, read = self._erasures(), raw_readings(records, self._is_monitored)
        kept = kept_readings(erasures, read)
        for channel, readings in kept.items():
            for segment in store.segments({channel: readings}, correlation_id, readings[0].received_at):
                write_segment(segment)
        if any(each is not kept_each for each, kept_each in zip_longest(*map(_flat, (read, kept)))):
            # The segment that is written to may stay for long.
            erase_from_spool(self._place.parent, erasures)
        self._move_to(position)
        return True

    def _make_room(self) -> None:
        while (size := self._spool.bytes_after(self.position)) > MOST_WAITING_BYTES:
            _logger.error(
                "%d MB of frames wait for the raw store: the oldest are given up and are in the table alone",
                size >> 20,
            )
            self._move_to(Position(self.position.segment + 1))

    def _move_to(self, position: Position) -> None:
        if position == self.position:
            return
        draft = self._place.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(b"%d:%d\n" % (position.segment, position.offset))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._place)
        except OSError as error:
            raise StorageRejected(
                f"{self._place} cannot be written ({error.strerror or error}): free space or fix its "
                "permissions"
            ) from error
        self.position = position


def _flat(readings: Mapping[ChannelRef, Sequence[RawReading]]) -> list[RawReading]:
    return [each for some in readings.values() for each in some]


def _noted(place: Path) -> Position:
    try:
        segment, _, offset = place.read_text(encoding="ascii").partition(":")
        return Position(int(segment), int(offset))
    except (OSError, ValueError):
        return Position()
