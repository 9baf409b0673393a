"""The gateway section: events a second compared with discord.py itself, and receipt to commit."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa

from benchmarks.session_growth import fill
from benchmarks.targets import Targets
from ingest_pipeline_tests.live_bot.throughput import ceiling, lag, sustained
from ingest_pipeline_tests.live_bot.world import World

ENGINES = ("duckdb", "postgres")
_STORED = 100_000


def measure(
    folder: Path,
    template: pa.Table,
    *,
    burst: int,
    rounds: int,
    per_second: float,
    seconds: float,
    say: Callable[[str], None],
) -> Iterator[dict[str, object]]:
    """Yield one record for each burst and each range of steady traffic.

    In every round the ceiling (discord.py with a handler that does nothing) is measured beside the bot
    on either engine; server, bot and database share the machine. The posts are of a session that has 100,000
    messages already, and their content is extracted.

    Args:
        folder: For spools and databases.
        template: Rows whose content the stored messages have.
        burst: Messages of a burst.
        rounds: How often.
        per_second: Posts a second of the steady traffic.
        seconds: How long that lasts.
        say: Told what happens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prepare = partial(_prepare, template=template)
    with Targets(folder) as targets:
        for number in range(rounds):
            with _place(folder) as place:
                top = ceiling(burst, Path(place))
            say(f"  discord.py, empty handler: {top.per_second:.0f} events/s")
            yield {"what": "ceiling", "round": number, "per_second": top.per_second}
            for engine in ENGINES:
                url = targets.lasting(f"burst_{number}") if engine == "postgres" else None
                with _place(folder) as place:
                    rate = sustained(burst, Path(place), url, prepare)
                say(f"  {engine}: {rate.per_second:.0f} events/s stored")
                yield {
                    "what": "burst",
                    "engine": engine,
                    "round": number,
                    "per_second": rate.per_second,
                    "share": rate.per_second / top.per_second,
                    "load": os.getloadavg()[0],
                }
        for engine in ENGINES:
            url = targets.lasting("steady") if engine == "postgres" else None
            with _place(folder) as place:
                taken = lag(per_second, seconds, Path(place), url, prepare)
            say(f"  {engine}: p50 {taken.median_ms:.0f} ms, p99 {taken.p99_ms:.0f} ms")
            yield {
                "what": "lag",
                "engine": engine,
                "posts_per_second": per_second,
                "events": taken.events,
                "p50_ms": taken.median_ms,
                "p99_ms": taken.p99_ms,
                "load": os.getloadavg()[0],
            }


def _prepare(world: World, template: pa.Table) -> None:
    fill(world.services, template, _STORED, datetime.now(UTC) - timedelta(days=4), list(world.known))


def _place(folder: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gateway-", dir=folder, ignore_cleanup_errors=True)
