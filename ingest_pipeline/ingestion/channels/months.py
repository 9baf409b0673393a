"""Months of channels: the parts in which a channel is read that no session names.

A key is `channel|YYYY-MM`, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import PartitionsInvalid
from ingest_pipeline.storage.catalogue.guilds import list_monitored
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import stored_bounds

_KEY = re.compile(r"(\d{1,19})\|(\d{4})-(0[1-9]|1[0-2])")


def month_key(channel_id: int, moment: datetime) -> str:
    """Return the key of the month of a channel that a moment, aware UTC, lies in."""
    return f"{channel_id}|{moment:%Y-%m}"


def read_month_key(key: str) -> tuple[int, Window]:
    """Return the channel and the month of a key.

    Raises:
        PartitionsInvalid: It is none.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise PartitionsInvalid(
            f"{key!r} is no month of a channel: write it like 1101802452224856174|2026-09"
        )
    start = datetime(int(match[2]), int(match[3]), 1, tzinfo=UTC)
    return int(match[1]), Window(start, _next_month(start))


def months(channel_id: int, start: datetime, end: datetime) -> Iterator[str]:
    """Yield the keys of a channel's months from a moment to another, both aware UTC and included."""
    month = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month <= end:
        yield month_key(channel_id, month)
        month = _next_month(month)


def known_months(connection: Connection, now: datetime) -> list[str]:
    """Return the months of all channels that messages are stored of or that are monitored, in order.

    They begin with the first stored message, or for a channel without one with the present.
    """
    bounds = stored_bounds(connection)
    monitored = [channel for channel in list_monitored(connection) if channel.holds_messages]
    ids = bounds.keys() | {channel.channel_id for channel in monitored}
    return [
        key
        for channel_id in sorted(ids)
        for key in months(
            channel_id, created_at(bounds[channel_id].oldest) if channel_id in bounds else now, now
        )
    ]


def _next_month(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
