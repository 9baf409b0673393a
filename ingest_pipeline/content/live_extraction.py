"""Live extraction: content read in the transaction that stores the messages, with events.

For messages that come one by one, at the gateway. A deletion tells of itself; what it withdraws does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ingest_pipeline.content.extraction import ContentReport, extract_for
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.batch_events import message_event
from ingest_pipeline.storage.content.queries import setup_tickers
from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class MessageJourney:
    """A message that came or changed.

    Attributes:
        message_id: The message.
        channel_id: Its channel.
        correlation_id: Its whole journey.
    """

    message_id: int
    channel_id: int
    correlation_id: str


def extract_for_events(
    connection: Connection,
    journeys: Iterable[MessageJourney],
    deleted_ids: Collection[int],
    rules: ContentRules,
    *,
    batch: str,
    now: datetime,
) -> list[Event]:
    """Bring the content of messages in line with them, and tell what was read out of them.

    Args:
        connection: The transaction that merged or deleted them.
        journeys: The messages that came or changed.
        deleted_ids: The messages that were deleted.
        rules: What is read by.
        batch: The correlation id of the batch.

    Returns:
        `message.parsed` for each message of which something was read for the first time or differently than
        before, with what it is in `content` and what it no longer says in `withdrawn`; `setup.created`
        for each that plans trades and did not before, with the number of `setups` for each of its `tickers`.
    """
    known = {each.message_id: each for each in journeys}
    report = extract_for(connection, [*known, *deleted_ids], rules, now=now)
    gone = set(deleted_ids)
    events = [
        _event(EventType.MESSAGE_PARSED, known[discord_id], batch, now, extracted)
        for discord_id, extracted in _extracted(report).items()
        if discord_id in known and discord_id not in gone
    ]
    created = [each for each in report.setups.created if each in known]
    for discord_id, tickers in _tickers(connection, created).items():
        data = {"setups": tickers.total(), "tickers": dict(tickers)}
        events.append(_event(EventType.SETUP_CREATED, known[discord_id], batch, now, data))
    return events


def _event(
    event_type: EventType, journey: MessageJourney, batch: str, now: datetime, data: Mapping[str, Any]
) -> Event:
    event = message_event(
        event_type,
        journey.correlation_id,
        journey.message_id,
        channel_id=journey.channel_id,
        at=now,
        batch=batch,
    )
    return replace(event, data={**event.data, **data})


def _extracted(report: ContentReport) -> dict[int, dict[str, list[str]]]:
    parsed, withdrawn = report.parsed, report.withdrawn
    return {
        discord_id: {
            name: [kind.value for kind in kinds[discord_id]]
            for name, kinds in (("content", parsed), ("withdrawn", withdrawn))
            if discord_id in kinds
        }
        for discord_id in sorted(parsed.keys() | withdrawn.keys())
    }


def _tickers(connection: Connection, discord_ids: list[int]) -> dict[int, Counter[str]]:
    tickers: dict[int, Counter[str]] = {}
    if discord_ids:
        for row in setup_tickers(connection, discord_ids):
            tickers.setdefault(row["discord_id"], Counter())[row["ticker"]] = row["setups"]
    return tickers
