"""The steps of the bot's services; `supervision.py` repeats them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingest_pipeline.bot.catch_up import CatchUp
from ingest_pipeline.bot.gateway_ingest import QUIET, SpoolBatch
from ingest_pipeline.bot.gateway_state import GatewayState, StaleGatewayDetector
from ingest_pipeline.bot.heartbeat import CATCH_UP_CHANNELS, READ_MESSAGES
from ingest_pipeline.bot.ingest import SpoolIngester
from ingest_pipeline.bot.message_refetch import refetch_due
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.bot.supervision import GatewayReconnector
from ingest_pipeline.bot.watchlist import BotCatalogue
from ingest_pipeline.domain.sessions.session import live_sessions
from ingest_pipeline.domain.snowflake import DISCORD_EPOCH
from ingest_pipeline.errors import IngestError
from ingest_pipeline.events import EventType, log_events
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.notifications.notifier import Notifier
from ingest_pipeline.sources.discord.gateway import GatewayClient
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.refetch_queue import list_watched, next_refetch_due, record_gap
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline.storage.runs.scan_runs import RunStatus
from ingest_pipeline.storage.runs.state import Operation, get_state, note_operations, set_state

_LAST_RECEIVED = "gateway_heard_until"
_LOOK_AGAIN = timedelta(seconds=60)
_SHOW_SECONDS = 0.5

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BotOptions:
    """Options of the bot.

    Attributes:
        lookback: How long before it stopped hearing messages are read again; also how far back it
            reads in a channel that was never read.
        patterns: What a guild seen for the first time is monitored by.
        quiet: A message that is to be read again waits until nothing has come about it for this time.
        refetch_poll_seconds: How often such messages are looked for, and how long a guild that changes is
            left to change further.
        coverage_read_seconds: How often what was heard is proven by reading it.
        upkeep_seconds: How often sessions and catalogue are read again.
        archive_seconds: How often archived threads are listed.
        retry_seconds: How long after a reading that failed another is made.
        canary_interval_seconds: How often a live channel's newest message is compared with what was heard.
        grace_seconds: How long the gateway may be behind before it counts as stale.
        ready_timeout_seconds: How long discord.py waits for further guilds.
        drain_seconds: How long a stop waits for the last events to be stored.
        beat_seconds: How often the bot notes that it lives.
        landing_seconds: How often frames land in the raw store.
        notify_seconds: How often it is looked for what rules report, besides after each batch.
    """

    lookback: timedelta = timedelta(hours=24)
    patterns: Collection[str] = ()
    quiet: timedelta = QUIET
    refetch_poll_seconds: float = 1.0
    coverage_read_seconds: float = 300.0
    upkeep_seconds: float = 15.0
    archive_seconds: float = 6 * 3600.0
    retry_seconds: float = 30.0
    canary_interval_seconds: float = 30.0
    grace_seconds: float = 15.0
    ready_timeout_seconds: float = 2.0
    drain_seconds: float = 10.0
    beat_seconds: float = 15.0
    landing_seconds: float = 60.0
    notify_seconds: float = 1.0


@dataclass(slots=True)
class BotRuntime:
    """Everything the steps share.

    Attributes:
        options: How the bot behaves.
        catalogue: Guilds and channels.
        ingester: From the spool into the table.
        landing: From the spool into the raw store.
        notifier: What rules report.
        gateway: The state of the connection.
        reconnector: The connection.
        catching_up: How it catches up.
        detector: The hearing of a session.
        detector_session: That session.
        stale_session: The session found stale last.
        archive_listed_at: When archived threads were last listed, on the monotonic clock.
        refetch_due_at: When to look for messages to be read again, aware UTC.
        shown_operations: What was last noted to go on.
        is_landing_failing: Whether the raw store did not take the last frames.
    """

    services: Services
    options: BotOptions
    catalogue: BotCatalogue
    ingester: SpoolIngester
    landing: SpoolLanding
    notifier: Notifier
    gateway: GatewayState
    reconnector: GatewayReconnector[GatewayClient]
    catching_up: CatchUp
    detector: StaleGatewayDetector = field(init=False)
    detector_session: int = 0
    stale_session: int = 0
    archive_listed_at: float = float("-inf")
    refetch_due_at: datetime = DISCORD_EPOCH
    shown_operations: tuple[Operation, ...] = ()
    is_landing_failing: bool = False
    something_happened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin with a hearing that nothing is known of."""
        self.detector = StaleGatewayDetector(self.options.grace_seconds)

    async def catch_up(self) -> None:
        """Wait until there is something to catch up on, or to prove, and do so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.options.coverage_read_seconds):
                await self.gateway.catch_up_wanted.wait()
        self.gateway.catch_up_wanted.clear()
        try:
            await self._record_gaps()
            begun_at = datetime.now(UTC)
            # What was received before must be in the table: an event of a message that is deleted by
            # now, stored after the reading that lacks it, would bring it back.
            await self.ingester.drained()
            await self._look_at_guilds()
            async with self.catalogue.operations.running(CATCH_UP_CHANNELS):
                ended = await self.catching_up.run(begun_at)
        except BaseException:
            self.gateway.catch_up_wanted.set()
            raise
        if any(run.status is RunStatus.FAILED for run in ended):
            retry = self.gateway.catch_up_wanted.set
            asyncio.get_running_loop().call_later(self.options.retry_seconds, retry)

    async def _record_gaps(self) -> None:
        """Write down what may have been missed; until then the time last heard stays where it is."""
        noted = tuple(self.gateway.possible_gaps)
        if not noted:
            return

        def work(connection: Connection) -> None:
            now = datetime.now(UTC)
            last_received_at = _moment(get_state(connection, _LAST_RECEIVED)) or now
            for missed in noted:
                channels = list_watched(connection) if missed.channel_ids is None else missed.channel_ids
                record_gap(connection, set(channels), since=missed.since or last_received_at, now=now)

        await asyncio.to_thread(self.services.database.run, work)
        del self.gateway.possible_gaps[: len(noted)]

    async def _look_at_guilds(self) -> None:
        """Update the catalogue, so that it knows the newest message of each channel."""
        self.gateway.changed_guilds.clear()
        await self._note_threads()
        await self.catalogue.discover(archived=False)
        self._refetch_now()

    async def follow_guilds(self) -> None:
        """Wait until a guild changes in a way that matters, and look at it."""
        await self.gateway.guilds_changed.wait()
        await asyncio.sleep(self.options.refetch_poll_seconds)
        self.gateway.guilds_changed.clear()
        await self._refresh_changed()

    async def _refresh_changed(self) -> None:
        """Look at the guilds that have changed, and ask for a catch-up on what is watched there now."""
        guilds, self.gateway.changed_guilds = self.gateway.changed_guilds, set()
        try:
            await self._note_threads()
            await self.catalogue.refresh(guilds)
        except BaseException:
            self.gateway.changed_guilds |= guilds
            self.gateway.guilds_changed.set()
            raise
        self.gateway.catch_up_wanted.set()
        self._refetch_now()

    async def _note_threads(self) -> None:
        """Store threads as events reported them, before a look at their guild finds newer values."""
        threads, deleted = dict(self.gateway.threads), set(self.gateway.deleted)
        if threads or deleted:
            await self.catalogue.note_threads(list(threads.values()), deleted)
        known = self.gateway.threads.items()
        self.gateway.threads = {key: thread for key, thread in known if threads.get(key) != thread}
        self.gateway.deleted -= deleted

    def _refetch_now(self) -> None:
        """Look for messages that can be read again now that a channel may have become readable."""
        self.refetch_due_at = datetime.now(UTC)

    async def periodic_refresh(self) -> None:
        """Read again what is edited while things run, and remember that the bot hears."""
        await asyncio.sleep(self.options.upkeep_seconds)
        if self.gateway.changed_guilds:
            await self._refresh_changed()
        if await self.catalogue.reload():
            self.gateway.catch_up_wanted.set()
        if time.monotonic() - self.archive_listed_at > self.options.archive_seconds:
            await self.catalogue.discover(archived=True)
            self.archive_listed_at = time.monotonic()
            self.gateway.catch_up_wanted.set()
        await self._remember_last_received()

    async def _remember_last_received(self) -> None:
        client = self.reconnector.client
        if (
            client is None
            or not client.is_connected
            or client.last_frame_at is None
            or self.gateway.possible_gaps
        ):
            return
        last_received_at = client.last_frame_at.isoformat()
        await asyncio.to_thread(
            self.services.database.run,
            lambda connection: set_state(connection, _LAST_RECEIVED, last_received_at),
        )

    def note_batch(self, batch: SpoolBatch) -> None:
        """Note that a batch left messages to be read again."""
        self.something_happened.set()
        if batch.events.partial_updates:
            self.refetch_due_at = min(self.refetch_due_at, batch.committed_at + self.options.quiet)

    async def refetch(self) -> None:
        """Read the messages that are to be read again, once their time has come."""

        def next_due() -> datetime:
            now = datetime.now(UTC)
            with self.services.database.read() as connection:
                return min(next_refetch_due(connection) or now + _LOOK_AGAIN, now + _LOOK_AGAIN)

        await asyncio.sleep(self.options.refetch_poll_seconds)
        if self.refetch_due_at > datetime.now(UTC):
            return
        self.refetch_due_at = datetime.now(UTC) + _LOOK_AGAIN
        rules = self.ingester.rules.get()
        async with self.catalogue.operations.running(READ_MESSAGES):
            await refetch_due(self.services, self.catalogue.rest, self.catalogue.watchlist.sessions, rules)
        self.refetch_due_at = min(self.refetch_due_at, await asyncio.to_thread(next_due))

    async def notify(self) -> None:
        """Send what rules report: right after a batch, and what is due or others have stored."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.options.notify_seconds):
                await self.something_happened.wait()
        self.something_happened.clear()
        await asyncio.to_thread(self.notifier.round)

    async def land_frames(self) -> None:
        """Land what came meanwhile; an event reports a store that fails, once until it answers again."""
        if not self.is_landing_failing:
            await asyncio.sleep(self.options.landing_seconds)
        try:
            await self.landing.land_in_background()
        except IngestError as error:
            if not self.is_landing_failing:
                self.is_landing_failing = True
                waiting = f"frames do not land in the raw store and wait in the spool: {error}"
                self.gateway.record(EventType.SYSTEM_ERROR, {"message": waiting})
            raise
        if self.is_landing_failing:
            self.is_landing_failing = False
            _logger.warning("the raw store answers again; what waited in the spool has landed")

    async def check_gateway(self) -> None:
        """Check whether the gateway still delivers events of the live channels, and reconnect if not."""
        await asyncio.sleep(self.options.canary_interval_seconds)
        client = self.reconnector.client
        now = datetime.now(UTC)
        sessions = live_sessions(self.catalogue.watchlist.sessions, now)
        live = {channel_id for session in sessions for channel_id in session.channel_ids}
        if client is None or not client.is_connected or not live:
            return
        if self.detector_session != self.gateway.sessions_begun:
            self.detector_session = self.gateway.sessions_begun
            self.detector = StaleGatewayDetector(self.options.grace_seconds)
        await self.detector.look(self.catalogue.rest, live, client.newest_ids)
        if self.detector.is_stale(client.newest_ids, time.monotonic()):
            await self._reconnect(client)

    async def _reconnect(self, client: GatewayClient) -> None:
        """Resume the session, which replays what it did not deliver; failing that, begin a new one."""
        self.detector = StaleGatewayDetector(self.options.grace_seconds, known=self.detector.known)
        silent = "the gateway delivers no events: reconnecting"
        _logger.warning(silent)
        self.gateway.record(EventType.SYSTEM_ERROR, {"message": silent})
        self.gateway.record_possible_gap(None, None)
        if self.stale_session == self.gateway.sessions_begun:
            self.reconnector.is_replacing = True
        else:
            self.stale_session = self.gateway.sessions_begun
            await client.reconnect()

    async def show_operations(self) -> None:
        """Note what goes on when that has changed; what begins and ends within a moment is not shown."""
        operations = self.catalogue.operations
        await operations.changed.wait()
        operations.changed.clear()
        running = operations.current()
        if running != self.shown_operations:
            try:
                await asyncio.to_thread(
                    self.services.database.run, lambda connection: note_operations(connection, running)
                )
            except BaseException:
                operations.changed.set()
                raise
            self.shown_operations = running
        await asyncio.sleep(_SHOW_SECONDS)

    async def write_events(self) -> None:
        """Write the events of the bot's life."""
        await self.gateway.has_pending_events.wait()
        await self.flush_events()

    async def flush_events(self) -> None:
        """Write the pending events."""
        self.gateway.has_pending_events.clear()
        pending_events, self.gateway.pending_events = self.gateway.pending_events, []
        if not pending_events:
            return
        try:
            await asyncio.to_thread(
                self.services.database.run, lambda connection: publish(connection, pending_events)
            )
        except Exception:
            # Not when cancelled: the thread goes on, and writing them again would fail.
            self.gateway.pending_events[:0] = pending_events
            self.gateway.has_pending_events.set()
            raise
        log_events(pending_events)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
