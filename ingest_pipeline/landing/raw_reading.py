"""Raw readings: one message as Discord sent it, as it is landed."""

from __future__ import annotations

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
