"""Refetch of messages of which an event had only a part, once no event has come for a while.

A page of history covers every waiting message in its range of ids, so a burst of reactions in a
channel costs one request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby

from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.content.sessions import MessageJourney, extract_for_events
from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import ChannelNotFound, DiscordRejected, IngestError, TokenRejected
from ingest_pipeline.events import Event
from ingest_pipeline.history.page_documents import SOURCE
from ingest_pipeline.ingestion.deleted_words import delete_messages
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, PayloadDocument, correlation_of
from ingest_pipeline.ingestion.gateway_events import windows_of
from ingest_pipeline.ingestion.ingest import ingest_documents, new_correlation_id
from ingest_pipeline.ingestion.raw_landing import answers_of
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.sources.discord.rest import PAGE_LIMIT, DiscordRest, Payload
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.dirty_windows import mark_windows_dirty
from ingest_pipeline.storage.gateway.refetch_queue import (
    PendingRefetch,
    complete_refetches,
    due_refetches,
    postpone_refetches,
)
from ingest_pipeline.storage.messages.deletions import Tombstone, lock_messages
from ingest_pipeline.storage.messages.membership import parents_of

_AT_ONCE = 500
_CONCURRENCY = 4
_PAUSES = Backoff(first_seconds=15, longest_seconds=3600)

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RefetchResult:
    """Discord's answer about some messages of one channel.

    Attributes:
        channel_id: The channel.
        guild_id: Its guild, or None.
        asked_at: When the first request was sent, aware UTC.
        found: Those that are there.
        gone: Those that are deleted, with the time by which each was (aware UTC).
    """

    channel_id: int
    guild_id: int | None
    asked_at: datetime
    found: list[ObservedMessage] = field(default_factory=list)
    gone: dict[int, datetime] = field(default_factory=dict)

    @property
    def message_ids(self) -> list[int]:
        """All of them."""
        return sorted({seen.message_id for seen in self.found} | self.gone.keys())


async def refetch_due(
    services: Services, rest: DiscordRest, sessions: Sequence[Session], rules: ContentRules | None = None
) -> int:
    """Read the messages whose time has come; return how many were read.

    A channel that cannot be read leaves its messages waiting, and the other channels alone.

    Args:
        sessions: All sessions; a message is linked to the earliest that takes it.
        rules: What the messages' content is read by; None to leave it as it is.

    Raises:
        TokenRejected: Discord does not accept the bot any more.
        DatabaseBusy: Another process held the database for too long; what was read is read again.
        DatabaseUnavailable: The database cannot be reached; the same holds.
    """

    def find() -> list[PendingRefetch]:
        with services.database.read() as connection:
            return due_refetches(connection, datetime.now(UTC), limit=_AT_ONCE)

    due = await asyncio.to_thread(find)
    turns = asyncio.Semaphore(_CONCURRENCY)

    async def read_in_turn(waiting: list[PendingRefetch]) -> RefetchResult:
        async with turns:
            return await _read_channel(services, rest, waiting)

    channels = [list(group) for _, group in groupby(due, key=lambda each: each.channel_id)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read_in_turn(waiting)) for waiting in channels]
    except* IngestError as stopped:
        raise stopped.exceptions[0] from None
    results = [result for task in tasks if (result := task.result()).message_ids]
    if results:
        await asyncio.to_thread(_store, services, sessions, results, rules)
    return sum(len(result.message_ids) for result in results)


async def _read_channel(
    services: Services, rest: DiscordRest, waiting: Sequence[PendingRefetch]
) -> RefetchResult:
    """Ask for the messages of one channel; those that are not available are left for later."""
    channel_id = waiting[0].channel_id
    guild_id = next((each.guild_id for each in waiting if each.guild_id), None)
    result = RefetchResult(channel_id, guild_id, datetime.now(UTC))
    try:
        await _ask(rest, channel_id, [each.message_id for each in waiting], result)
    except TokenRejected:
        raise
    except ChannelNotFound:
        # The channel is gone, and with it all that could be read again.
        gone = [each.message_id for each in waiting]
        await asyncio.to_thread(
            services.database.run, lambda connection: complete_refetches(connection, gone, result.asked_at)
        )
    except IngestError as error:
        _logger.info("messages of channel %s are read again later: %s", channel_id, error)
        read = set(result.message_ids)
        left = [each for each in waiting if each.message_id not in read]
        await asyncio.to_thread(_postpone, services, left, result.asked_at, error)
    return result


async def _ask(rest: DiscordRest, channel_id: int, message_ids: list[int], result: RefetchResult) -> None:
    """Ask for messages of one channel, given by ascending id, until each is found or known to be gone."""
    left = message_ids
    while left:
        limit = PAGE_LIMIT if len(left) > 1 else 1
        page = await rest.history(channel_id, after=left[0] - 1, limit=limit)
        there = {int(message["id"]): message for message in page.messages}
        covered = [each for each in left if each <= max(there, default=left[0])]
        for message_id in covered:
            if message_id in there:
                _found(result, message_id, there[message_id], page.requested_at)
            else:
                # Missing from a page proves nothing yet: the page may be empty for want of a permission.
                await _ask_for_one(rest, channel_id, message_id, result)
        left = left[len(covered) :]


async def _ask_for_one(rest: DiscordRest, channel_id: int, message_id: int, result: RefetchResult) -> None:
    payload, asked_at = await rest.message(channel_id, message_id)
    if payload is None:
        result.gone[message_id] = asked_at
    else:
        _found(result, message_id, payload, asked_at)


def _found(result: RefetchResult, message_id: int, payload: Payload, asked_at: datetime) -> None:
    result.found.append(ObservedMessage(message_id, payload, asked_at))


def _store(
    services: Services,
    sessions: Sequence[Session],
    results: Sequence[RefetchResult],
    rules: ContentRules | None,
) -> None:
    """Keep what was read as it came; merge it and forget that it was to be read, in one transaction."""
    correlation_id = new_correlation_id()
    answers = {(each.guild_id, each.channel_id): _answers(each) for each in results}
    services.raw.land(answers, correlation_id)
    policies: dict[int, ChannelPolicy] = {}
    documents = [
        PayloadDocument(
            channel_id=result.channel_id,
            guild_id=result.guild_id,
            messages=result.found,
            policies=policies,
            provenance=Provenance(None, SOURCE, result.asked_at, correlation_id),
            own_journeys=True,
        )
        for result in results
        if result.found
    ]
    touched: dict[int, set[int]] = {}
    for result in results:
        touched.setdefault(result.channel_id, set()).update(result.message_ids)

    def before_merge(connection: Connection) -> None:
        policies.update(services.policies(connection, {result.channel_id for result in results}))
        lock_messages(connection, set(chain.from_iterable(result.message_ids for result in results)))
        delete_messages(services, connection, list(chain.from_iterable(map(_tombstones, results))))
        windows = windows_of(touched, parents_of(connection, touched), sessions, services.grid)
        mark_windows_dirty(connection, windows, now=datetime.now(UTC))
        for result in results:
            complete_refetches(connection, result.message_ids, result.asked_at)

    def after_merge(connection: Connection) -> list[Event]:
        gone = set(chain.from_iterable(result.gone for result in results))
        found = chain.from_iterable(map(_journeys, results))
        return (
            extract_for_events(connection, found, gone, rules, batch=correlation_id, now=datetime.now(UTC))
            if rules
            else []
        )

    ingest_documents(
        services.database,
        documents,
        correlation_id=correlation_id,
        settle=services.settings.settle,
        batch_rows=services.settings.batch_rows,
        before_merge=before_merge,
        after_merge=after_merge,
    )


def _answers(result: RefetchResult) -> list[RawReading]:
    seen = [(each.payload, each.seen_at) for each in result.found]
    return answers_of(seen, result.gone, SOURCE, None)


def _journeys(result: RefetchResult) -> list[MessageJourney]:
    return [
        MessageJourney(seen.message_id, result.channel_id, correlation_of(result.guild_id, seen.message_id))
        for seen in result.found
    ]


def _tombstones(result: RefetchResult) -> list[Tombstone]:
    return [
        Tombstone(
            message_id,
            result.channel_id,
            result.guild_id,
            deleted_at,
            SOURCE,
            correlation_of(result.guild_id, message_id),
        )
        for message_id, deleted_at in result.gone.items()
    ]


def _postpone(
    services: Services, waiting: Sequence[PendingRefetch], asked_at: datetime, error: IngestError
) -> None:
    """Leave messages waiting: longer after each failure, and longest where the bot may not read."""
    if not waiting:
        return
    attempts = max(each.attempts for each in waiting)
    is_refused = isinstance(error, DiscordRejected)
    pause = timedelta(seconds=_PAUSES.longest_seconds if is_refused else _PAUSES.delay(attempts + 1))
    services.database.run(
        lambda connection: postpone_refetches(
            connection,
            [each.message_id for each in waiting],
            asked_at=asked_at,
            due_at=datetime.now(UTC) + pause,
            error=str(error),
        )
    )
