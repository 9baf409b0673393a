"""Raw readings merged again: the same parse, normalization and merge as when they were received.

A reading keeps its source, time and journey, so one that the table has changes nothing, unless it is made
into a row in another way than then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.events import Event
from ingest_pipeline.ingestion.deleted_words import delete_messages
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, PayloadDocument, correlation_of
from ingest_pipeline.ingestion.gateway_events import CREATION, SOURCE, Events, interpret
from ingest_pipeline.ingestion.ingest import IngestReport, OnRowsMerged, ingest_documents
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.erasure.readings import READ, ChannelRef
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.landing.raw_store import ABSENT
from ingest_pipeline.landing.spool import Record
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import (
    Tombstone,
    gateway_readings_among,
    known_among,
    lock_messages,
    skipped_among,
)

BATCH_READINGS = 2_000


class _Named(msgspec.Struct):
    id: Any = None


_NAMED = msgspec.json.Decoder(_Named)


def id_of(reading: RawReading) -> int | None:
    """Return the message that a reading is of; None when it names none, or several."""
    try:
        return parse_snowflake(_NAMED.decode(reading.payload).id)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def batched_readings(readings: Iterable[RawReading]) -> Iterator[list[RawReading]]:
    """Cut readings into batches to be merged one after the other.

    A creation is no news of a message that is known already, so it is never merged together with a reading
    that came before it.
    """
    batch: list[RawReading] = []
    answered: set[int | None] = set()
    for reading in readings:
        message_id = id_of(reading)
        if len(batch) >= BATCH_READINGS or (reading.event == CREATION and message_id in answered):
            yield batch
            batch, answered = [], set()
        if reading.event == READ:
            answered.add(message_id)
        batch.append(reading)
    if batch:
        yield batch


def merge_readings(
    services: Services,
    channel: ChannelRef,
    readings: Sequence[RawReading],
    correlation_id: str,
    on_rows_merged: OnRowsMerged | None = None,
) -> IngestReport:
    """Merge a batch of raw readings of one channel, as `batched_readings` cuts them.

    Args:
        channel: Their guild and channel.
        readings: The batch.
        correlation_id: The journey of reading them again; rows keep their own.
        on_rows_merged: See `ingest_documents`.

    Raises:
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
    """
    events = interpret(_records(readings), lambda _: True)
    gone = [*events.deletions, *_absences(channel, readings)]
    created: dict[int, datetime] = {}
    for messages in events.messages.values():
        for seen in messages:
            if seen.is_creation:
                created.setdefault(seen.message_id, seen.seen_at)
    known: set[int] = set()
    skipped: dict[int, datetime] = {}
    policies: dict[int, ChannelPolicy] = {}
    documents = [
        *_gateway_documents(events, policies, known, skipped, correlation_id),
        *_answer_documents(channel, readings, policies),
    ]

    def before_merge(connection: Connection) -> None:
        lock_messages(connection, events.message_ids | {each.discord_id for each in gone})
        received = gateway_readings_among(connection, created)
        # What the table has of a creation is that very reading: it is no news, and may be read better now.
        others = {each for each, at in created.items() if at not in received.get(each, ())}
        known.update(known_among(connection, others))
        skipped.update(skipped_among(connection, others))
        policies.update(services.policies(connection, {each.channel_id for each in documents}))
        delete_messages(services, connection, gone)

    def after_merge(connection: Connection) -> Sequence[Event]:
        if on_rows_merged and gone:
            on_rows_merged(connection, [each.discord_id for each in gone])
        return ()

    return ingest_documents(
        services.database,
        documents,
        correlation_id=correlation_id,
        settle=services.settings.settle,
        batch_rows=services.settings.batch_rows,
        before_merge=before_merge,
        after_merge=after_merge,
        on_rows_merged=on_rows_merged,
    )


def _records(readings: Iterable[RawReading]) -> Iterator[Record]:
    for reading in readings:
        if reading.source == SOURCE:
            frame = b'{"t":%b,"d":%b}' % (msgspec.json.encode(reading.event), bytes(reading.payload))
            yield Record(reading.received_at, frame)


def _gateway_documents(
    events: Events,
    policies: dict[int, ChannelPolicy],
    known: set[int],
    skipped: dict[int, datetime],
    correlation_id: str,
) -> list[PayloadDocument]:
    return [
        PayloadDocument(
            channel_id=channel_id,
            guild_id=guild_id,
            messages=messages,
            policies=policies,
            provenance=Provenance(None, SOURCE, messages[-1].seen_at, correlation_id),
            own_journeys=True,
            known=known,
            skipped=skipped,
        )
        for (guild_id, channel_id), messages in events.messages.items()
    ]


def _answer_documents(
    channel: ChannelRef, readings: Iterable[RawReading], policies: dict[int, ChannelPolicy]
) -> list[PayloadDocument]:
    guild_id, channel_id = channel
    answers: dict[tuple[str, str | None], list[ObservedMessage]] = {}
    for reading in readings:
        if reading.event == READ:
            payload = msgspec.json.decode(reading.payload)
            seen = ObservedMessage(parse_snowflake(payload.get("id")) or 0, payload, reading.received_at)
            answers.setdefault((reading.source, reading.correlation_id), []).append(seen)
    return [
        PayloadDocument(
            channel_id=channel_id,
            guild_id=guild_id,
            messages=messages,
            policies=policies,
            provenance=Provenance(None, source, messages[0].seen_at, journey or ""),
            own_journeys=journey is None,
        )
        for (source, journey), messages in answers.items()
    ]


def _absences(channel: ChannelRef, readings: Iterable[RawReading]) -> Iterator[Tombstone]:
    guild_id, channel_id = channel
    for reading in readings:
        message_id = id_of(reading) if reading.event == ABSENT else None
        if message_id is not None:
            journey = reading.correlation_id or correlation_of(guild_id, message_id)
            yield Tombstone(message_id, channel_id, guild_id, reading.received_at, reading.source, journey)
