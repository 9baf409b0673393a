"""Raw readings without what was erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from ingest_pipeline.domain.erasures import Erasures
from ingest_pipeline.landing.erasure.json_documents import is_erased, names_erased, scrubbed
from ingest_pipeline.landing.raw_reading import RawReading

ChannelRef = tuple[int | None, int]
"""A guild, None for none, and a channel of it."""
READ = "MESSAGE"
"""The event of a message in an answer to a request."""

_ENCODER = msgspec.json.Encoder()


def without_erased(erasures: Erasures, channel: ChannelRef, reading: RawReading) -> RawReading | None:
    """Return a reading without what was erased, None when nothing is left of it; the very one when all is."""
    if not erasures or not (reading.event == READ or reading.event.startswith("MESSAGE_")):
        return reading
    guild_id, channel_id = channel
    is_place = erasures.names_any([channel_id, guild_id or 0])
    if not (is_place or names_erased(erasures, bytes(reading.payload))):
        return reading
    payload = msgspec.json.decode(reading.payload)
    # A deletion has no words.
    if not isinstance(payload, dict) or "author" not in payload:
        return reading
    if is_erased(erasures, payload, channel_id, guild_id):
        return None
    kept = scrubbed(erasures, payload)
    return reading if kept is payload else replace(reading, payload=msgspec.Raw(_ENCODER.encode(kept)))


def kept_readings(
    erasures: Erasures, readings: Mapping[ChannelRef, Sequence[RawReading]]
) -> dict[ChannelRef, list[RawReading]]:
    """Return the readings of each channel without what was erased; channels without any are left out."""
    found = {
        channel: [kept for each in some if (kept := without_erased(erasures, channel, each)) is not None]
        for channel, some in readings.items()
    }
    return {channel: some for channel, some in found.items() if some}
