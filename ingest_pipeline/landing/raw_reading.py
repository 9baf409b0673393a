"""Raw readings: one message as Discord sent it, as it is landed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec


@dataclass(frozen=True, slots=True)
class RawReading:
    """What was read of one message, or the deletion of some.

    Attributes:
        received_at: When an event was received or an answer asked for, aware UTC; of a message that is gone,
            by when it was deleted.
        source: `gateway` or `history`.
        event: The gateway's name of the event, `MESSAGE` or `ABSENT`.
        payload: The event's or the message's JSON.
        correlation_id: The journey it belongs to; None when each message has its own.
    """

    received_at: datetime
    source: str
    event: str
    payload: msgspec.Raw
    correlation_id: str | None = None


class _Line(msgspec.Struct):
    # The time as text: decoders round a seventh digit, each in its own way.
    received_at: str
    source: str
    event: str
    payload: msgspec.Raw
    correlation_id: str | None = None


_DECODER = msgspec.json.Decoder(_Line)


def decoded_reading(line: bytes) -> RawReading:
    """Return the reading of a line.

    Raises:
        msgspec.DecodeError: It is not JSON, or not a reading.
        ValueError: Its time cannot be read.
    """
    found = _DECODER.decode(line)
    received_at = datetime.fromisoformat(found.received_at)
    return RawReading(received_at, found.source, found.event, found.payload, found.correlation_id)


_Heap = list[tuple[datetime, int, RawReading, Iterator[RawReading]]]


def in_order(runs: Iterable[tuple[datetime, Iterator[RawReading]]]) -> Iterator[RawReading]:
    """Merge runs of readings by when they were received; a run's own order stays.

    A run is not asked for anything before its beginning is reached, so only those that overlap are open.

    Args:
        runs: When each begins, aware UTC, and its readings; in the order of their beginnings.
    """
    heap: _Heap = []
    for number, (begins, readings) in enumerate(runs):
        yield from _received_before(heap, begins)
        if (first := next(readings, None)) is not None:
            heapq.heappush(heap, (first.received_at, number, first, readings))
    yield from _received_before(heap, None)


def _received_before(heap: _Heap, moment: datetime | None) -> Iterator[RawReading]:
    while heap and (moment is None or heap[0][0] < moment):
        _, number, reading, readings = heap[0]
        if (following := next(readings, None)) is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following.received_at, number, following, readings))
        yield reading
