"""Raw landing: what Discord's REST interface answered is stored before it is merged.

A batch waits for the raw store only while that answers. When it does not, reading goes on: what was read
waits in memory, and is written once the store answers again. What waits beyond `MOST_WAITING_BYTES`, and what
waits when the process ends, is in the table and not in the raw store; both are logged. The gateway's frames
wait in the spool instead (`bot/spool_landing.py`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Condition, Event, Thread

import msgspec

from ingest_pipeline.domain.erasures import NOTHING_ERASED
from ingest_pipeline.domain.messages.details import Payload
from ingest_pipeline.errors import IngestError
from ingest_pipeline.events import Event as LoggedEvent
from ingest_pipeline.events import EventType, log_events
from ingest_pipeline.landing.erasure.readings import READ, ChannelRef, kept_readings
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.landing.raw_store import ABSENT, RawStore, Segment, write_segment
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.erasure_list import read_erasures
from ingest_pipeline.storage.runs.events import publish

MOST_WAITING_BYTES = 64 << 20
ANSWER_SECONDS = 5.0
RETRY_SECONDS = 30.0

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """Segments that are not written yet."""

    segments: list[Segment]
    correlation_id: str
    written: Event = field(default_factory=Event)

    @property
    def size_bytes(self) -> int:
        return sum(len(each.content) for each in self.segments)

    @property
    def readings(self) -> int:
        return sum(each.readings for each in self.segments)


class RawLanding:
    """The way into the raw store, for all threads of a process.

    Args:
        store: The raw store; None to land nothing.
        database: Where a store that does not answer is reported.
        retry_seconds: How long after a failure the store is tried again.
        answer_seconds: How long a batch waits for the store.

    Attributes:
        store: The raw store; None to land nothing.
        lost: How many readings could not be landed.
    """

    def __init__(
        self,
        store: RawStore | None,
        database: Database,
        *,
        retry_seconds: float = RETRY_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Start nothing; the thread that writes begins with the first batch."""
        self.lost = 0
        self.store = store
        self._database = database
        self._retry_seconds = retry_seconds
        self._answer_seconds = answer_seconds
        self._waiting: deque[_Waiting] = deque()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._is_failing = False
        self._erasures = NOTHING_ERASED

    def land(self, readings: Mapping[ChannelRef, Sequence[RawReading]], correlation_id: str) -> None:
        """Write a batch, and wait until it is written if the store answers; never an error.

        Args:
            readings: Those of each channel, in the order they were received.
            correlation_id: The batch's.
        """
        if self.store is None or not any(readings.values()):
            return
        read = self._without_erased(readings)
        if not read:
            return
        job = _Waiting(self.store.segments(read, correlation_id, datetime.now(UTC)), correlation_id)
        with self._changed:
            self._waiting.append(job)
            self._make_room()
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._write_all, name="raw-landing", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            is_failing = self._is_failing
        if not is_failing and not job.written.wait(self._answer_seconds):
            self._note_failure(f"the store does not answer within {self._answer_seconds:g} s", job)

    def _without_erased(
        self, readings: Mapping[ChannelRef, Sequence[RawReading]]
    ) -> dict[ChannelRef, list[RawReading]]:
        try:
            self._erasures = read_erasures(self._database)
        except IngestError as error:
            # The merge will say more.
            _logger.warning("the list of erasures is not read again: %s", error)
        return kept_readings(self._erasures, readings)

    def _make_room(self) -> None:
        """Give up the oldest of what waits when it is too much; the first is being written."""
        size = sum(each.size_bytes for each in self._waiting)
        while size > MOST_WAITING_BYTES and len(self._waiting) > 1:
            given_up = self._waiting[1]
            del self._waiting[1]
            size -= given_up.size_bytes
            self.lost += given_up.readings

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                job = self._waiting[0]
            try:
                for segment in job.segments:
                    write_segment(segment)
            except (IngestError, OSError) as error:
                self._note_failure(str(error), job)
                Event().wait(self._retry_seconds)
                continue
            with self._changed:
                self._waiting.popleft()
                is_over = self._is_failing and not self._waiting
                self._is_failing = self._is_failing and not is_over
            job.written.set()
            if is_over:
                _logger.warning(
                    "the raw store answers again; %d readings were given up since the start", self.lost
                )

    def _note_failure(self, reason: str, job: _Waiting) -> None:
        """Report that the store fails, once until it answers again, and end all waits."""
        with self._changed:
            is_new, self._is_failing = not self._is_failing, True
            readings = sum(each.readings for each in self._waiting)
            for each in self._waiting:
                each.written.set()
        if not is_new:
            return
        failure = LoggedEvent(
            EventType.SYSTEM_ERROR,
            job.correlation_id,
            "landing",
            datetime.now(UTC),
            data={
                "message": f"raw readings are not stored for now and wait in memory: {reason}",
                "waiting": readings,
                "lost": self.lost,
            },
        )
        log_events([failure])
        try:
            self._database.run(lambda connection: publish(connection, [failure]))
        except IngestError as error:
            _logger.warning("the event about the raw store was not stored: %s", error)


def answers_of(
    seen: Sequence[tuple[Payload, datetime]],
    gone: Mapping[int, datetime],
    source: str,
    correlation_id: str | None,
) -> list[RawReading]:
    """Return Discord's answers as raw readings.

    Args:
        seen: Message objects, with when they were asked for, aware UTC.
        gone: By when the messages that Discord does not have were deleted, aware UTC, by id.
        source: Where the answers come from.
        correlation_id: The journey they belong to; None when each message has its own.
    """
    encode = msgspec.json.encode
    found = [RawReading(at, source, READ, msgspec.Raw(encode(each)), correlation_id) for each, at in seen]
    for message_id, deleted_at in gone.items():
        absence = msgspec.Raw(encode({"id": str(message_id)}))
        found.append(RawReading(deleted_at, source, ABSENT, absence, correlation_id))
    return found
