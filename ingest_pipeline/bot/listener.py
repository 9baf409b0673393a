"""The real-time bot, from its start to its stop.

The order of the "Discord Bot Feature" notes, with one change that closes its gap: the environment
is checked, guilds and channels are discovered and the catalogue is updated; then the bot connects,
and only then catches up, so that messages posted meanwhile are received. Each part runs and
fails independently (`supervision.py`); all they share is the spool and the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ingest_pipeline.bot.catch_up import CatchUp
from ingest_pipeline.bot.check import invite_link
from ingest_pipeline.bot.gateway_ingest import SpoolBatch, SpoolReader
from ingest_pipeline.bot.gateway_state import GatewayState
from ingest_pipeline.bot.heartbeat import BotLife
from ingest_pipeline.bot.ingest import BatchObserver, SpoolIngester
from ingest_pipeline.bot.runtime import BotOptions, BotRuntime
from ingest_pipeline.bot.scheduled_events import follow_scheduled_events
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.bot.supervision import (
    CONNECTIONS,
    FIRST_PAUSE_SECONDS,
    BotEnded,
    GatewayReconnector,
    run_forever,
)
from ingest_pipeline.bot.watchlist import BotCatalogue, Watchlist
from ingest_pipeline.domain.backoff import Backoff, FailureCount
from ingest_pipeline.errors import IngestError, IntentMissing, TokenRejected, TransientError
from ingest_pipeline.ingestion.gateway_events import CAPTURED
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.spool import SPOOL_FOLDER, Spool, own_spool
from ingest_pipeline.notifications.notifier import Notifier
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.erasure_list import read_erasures

_logger = logging.getLogger(__name__)


async def run_bot(
    services: Services,
    token: SecretStr,
    stop: asyncio.Event,
    *,
    options: BotOptions | None = None,
    observe: BatchObserver | None = None,
) -> None:
    """Keep up with the watched channels until asked to stop.

    Args:
        stop: Ask by setting it.
        options: How the bot behaves.
        observe: Called after each batch of events.

    Raises:
        BotEnded: Discord does not accept the bot: its token is wrong, or an intent is missing.
        ConfigurationError: Another bot uses the same data folder, or a setting is wrong.
        StorageRejected: The data folder cannot be written.
    """
    chosen = options or BotOptions()
    folder = services.settings.data_dir / SPOOL_FOLDER
    with own_spool(folder) as identity:
        reader = SpoolReader(Spool(folder), identity)
        life = BotLife(services, new_correlation_id(), chosen.beat_seconds)
        await _first(stop, "the database", life.begin)
        async with life.beating(), _logged_in(token, stop, life) as rest:
            if rest is None:
                return
            runtime = _build(life, rest, reader, token=token, folder=folder, options=chosen, observe=observe)
            await _live(runtime, stop)


async def _live(runtime: BotRuntime, stop: asyncio.Event) -> None:
    """Discover, then run every part until asked to stop or until one ends the bot."""
    showing = asyncio.create_task(run_forever("showing what goes on", runtime.show_operations))
    try:
        await _first(stop, "the discovery of guilds", lambda: runtime.catalogue.discover(archived=False))
        if not stop.is_set():
            await _log_watched(runtime)
            await _run_steps(runtime, stop)
    finally:
        await _end([showing])
        await _flush_events(runtime)


async def _log_watched(runtime: BotRuntime) -> None:
    """Log how many channels are watched, and the remedy if there is none."""
    channels = runtime.catalogue.watchlist.channels()
    _logger.info("watching %d channels; connecting", len(channels))
    if not runtime.catalogue.present:
        link = invite_link(int((await runtime.catalogue.rest.application())["id"]))
        _logger.warning("the bot is in no guild: invite it with %s", link)
    elif not channels:
        _logger.warning(
            "no channel is watched: name some with `ingest guilds monitor GUILD PATTERN`, or add a session"
        )


async def _run_steps(runtime: BotRuntime, stop: asyncio.Event) -> None:
    connection_pauses = runtime.reconnector.failures or FailureCount(CONNECTIONS)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "ingestion": runtime.ingester.round,
        "raw landing": runtime.land_frames,
        "notifying": runtime.notify,
        "catching up": runtime.catch_up,
        "following guilds": runtime.follow_guilds,
        "following scheduled events": lambda: follow_scheduled_events(
            runtime.services, runtime.gateway, runtime.options.refetch_poll_seconds
        ),
        "upkeep": runtime.periodic_refresh,
        "reading again": runtime.refetch,
        "checking the gateway": runtime.check_gateway,
        "writing events": runtime.write_events,
    }
    runtime.ingester.wake()
    connection = asyncio.create_task(
        run_forever("the gateway connection", runtime.reconnector.live_once, connection_pauses)
    )
    others = [asyncio.create_task(run_forever(name, step)) for name, step in steps.items()]
    asked = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([asked, connection, *others], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {asked}:
            task.result()
    finally:
        # The connection goes first: what it received last is forced to disk and can still be stored.
        await _end([asked, connection])
        try:
            async with asyncio.timeout(runtime.options.drain_seconds):
                await runtime.ingester.drained()
        except TimeoutError:
            _logger.warning("the last events stay in the spool; the next start takes them")
        await _end(others)
        await _land_the_rest(runtime)


async def _land_the_rest(runtime: BotRuntime) -> None:
    """Land the last frames if the raw store answers soon; otherwise the next start does."""
    try:
        async with asyncio.timeout(runtime.options.drain_seconds):
            await runtime.landing.land_in_background()
    except (TimeoutError, IngestError) as error:
        _logger.warning("the last frames land at the next start: %s", error or "the raw store is slow")


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _build(
    life: BotLife,
    rest: DiscordRest,
    reader: SpoolReader,
    *,
    token: SecretStr,
    folder: Path,
    options: BotOptions,
    observe: BatchObserver | None,
) -> BotRuntime:
    from ingest_pipeline.sources.discord.gateway import GatewayClient

    services, watchlist = life.services, Watchlist()

    def observed(batch: SpoolBatch) -> None:
        runtime.note_batch(batch)
        if batch.events.channels_to_rescan:
            gateway.catch_up_wanted.set()
        if observe:
            observe(batch)

    def connect() -> GatewayClient:
        return GatewayClient(
            reader.spool, CAPTURED, gateway, ready_timeout_seconds=options.ready_timeout_seconds
        )

    landing = SpoolLanding(
        reader.spool,
        services.raw.store,
        folder,
        watchlist.has_wanted,
        erasures=partial(read_erasures, services.database),
    )
    ingester = SpoolIngester(
        services, reader, folder, watchlist, observed, landing=landing, quiet=options.quiet
    )
    gateway = GatewayState(watchlist, ingester, life.journey)
    reconnector = GatewayReconnector(
        connect,
        token.get_secret_value().strip(),
        failures=FailureCount(CONNECTIONS),
        report=gateway.connection_failed,
    )
    runtime = BotRuntime(
        services=services,
        options=options,
        catalogue=BotCatalogue(services, rest, watchlist, options.patterns),
        ingester=ingester,
        landing=landing,
        notifier=Notifier(services),
        gateway=gateway,
        reconnector=reconnector,
        catching_up=CatchUp(services, rest, watchlist, options.lookback),
    )
    return runtime


async def _first(
    stop: asyncio.Event,
    what: str,
    step: Callable[[], Awaitable[object]],
    report: Callable[[IngestError], Awaitable[None]] | None = None,
) -> None:
    """Do what comes before everything else, again after a transient failure, until asked to stop."""
    pauses, reported = FailureCount(Backoff(FIRST_PAUSE_SECONDS, 60.0, jitter=0.5)), ""
    while not stop.is_set():
        try:
            await step()
        except (TokenRejected, IntentMissing) as error:
            if report:
                await report(error)
            raise BotEnded(str(error)) from error
        except TransientError as error:
            if report and str(error) != reported:
                reported = str(error)
                await report(error)
            pause = pauses.next_pause()
            _logger.warning("%s is unavailable, trying again in %.1f s: %s", what, pause, error)
            try:
                async with asyncio.timeout(pause):
                    await stop.wait()
            except TimeoutError:
                continue
        else:
            return


@asynccontextmanager
async def _logged_in(
    token: SecretStr, stop: asyncio.Event, life: BotLife
) -> AsyncIterator[DiscordRest | None]:
    """Log in to the REST API; None when asked to stop before that succeeded."""
    opened: list[DiscordRest] = []
    async with AsyncExitStack() as stack:

        async def log_in() -> None:
            opened.append(await stack.enter_async_context(open_rest(token)))

        await _first(stop, "Discord", log_in, life.note_failure)
        yield opened[0] if opened else None


async def _flush_events(runtime: BotRuntime) -> None:
    """Write the last pending events; losing them with the database does not fail the stop."""
    try:
        await runtime.flush_events()
    except IngestError as error:
        _logger.warning("the last events of the bot's life were not recorded: %s", error)
