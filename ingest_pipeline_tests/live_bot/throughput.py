"""How many events a second the bot takes, how long each takes, and what discord.py alone could do.

The simulated Discord, the bot and the database share the machine; so do whatever else runs there.
Compare the numbers of one run with each other.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.programs import Program
from ingest_pipeline_tests.live_bot.traffic import Traffic
from ingest_pipeline_tests.live_bot.world import BOT, World

_EMPTY = "ingest_pipeline_tests.live_bot.programs:empty_client"
_CHANNELS = 10
_LIMIT_SECONDS = 240.0


@dataclass(frozen=True)
class Rate:
    """How fast a burst was taken.

    Attributes:
        events: Messages in the burst.
        seconds: From the first post until the last was stored, or handled.
        cpu_seconds: Of the client's process, its start included.
    """

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Events per second of wall time."""
        return self.events / self.seconds


@dataclass(frozen=True)
class Lag:
    """How long events took from their receipt to the commit, under steady traffic.

    Attributes:
        per_second: Posts per second.
        events: How many events of any kind.
        median_ms: Half took no longer.
        p99_ms: 99 of 100 took no longer.
    """

    per_second: float
    events: int
    median_ms: float
    p99_ms: float


def ceiling(events: int, folder: Path) -> Rate:
    """Post a burst to discord.py with a handler that does nothing."""
    return _burst(events, Program(str(folder), count=events), _EMPTY)


def sustained(
    events: int, folder: Path, database_url: str | None, prepare: Callable[[World], None] | None = None
) -> Rate:
    """Post a burst to the bot, and wait until all of it is in the table.

    Args:
        prepare: Called before the bot starts, to fill the table.
    """
    return _burst(events, Program(str(folder), database_url, coverage_read_seconds=1000.0), BOT, prepare)


def lag(
    per_second: float,
    seconds: float,
    folder: Path,
    database_url: str | None,
    prepare: Callable[[World], None] | None = None,
) -> Lag:
    """Measure the time from receipt to commit under steady traffic, edits and deletions included.

    Args:
        prepare: As for `sustained`.
    """
    lags = folder / "lags.txt"
    program = Program(str(folder), database_url, coverage_read_seconds=60.0, lags=str(lags))
    with DiscordServer() as server, attached(server):
        world = _world(server, program)
        try:
            if prepare:
                prepare(world)
            world.start_bot()
            world.wait_for_bot()
            world.settle(_LIMIT_SECONDS)
            lags.write_text("", encoding="ascii")
            traffic = Traffic(server, world.known, int(per_second * seconds), seconds, world.authors)
            traffic.start()
            traffic.wait()
            world.settle(_LIMIT_SECONDS)
            world.stop_bot()
        finally:
            world.close()
    taken = [float(value) for value in lags.read_text(encoding="ascii").split()]
    cuts = quantiles(taken, n=100)
    return Lag(per_second, len(taken), cuts[49], cuts[98])


def _burst(
    events: int, program: Program, entry_point: str, prepare: Callable[[World], None] | None = None
) -> Rate:
    before = _children_cpu()
    with DiscordServer() as server, attached(server):
        world = _world(server, program)
        try:
            if prepare:
                prepare(world)
            stored = _stored(world) if entry_point == BOT else 0
            world.start_bot(entry_point)
            world.wait_for_bot()
            if entry_point == BOT:
                world.settle(_LIMIT_SECONDS)
            began = time.monotonic()
            channels = list(world.known)
            for number in range(events):
                server.messages.post(channels[number % len(channels)], f"live {number}")
            if entry_point == BOT:
                _wait_until_stored(world, stored + events)
                seconds = time.monotonic() - began
                world.stop_bot()
            else:
                world.wait_for_end(_LIMIT_SECONDS)
                seconds = time.monotonic() - began
        finally:
            world.close()
    return Rate(events, seconds, _children_cpu() - before)


def _wait_until_stored(world: World, events: int) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while _stored(world) < events:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{_stored(world)} of {events} messages are stored after {_LIMIT_SECONDS:.0f} s"
            )
        time.sleep(0.2)


def _stored(world: World) -> int:
    with world.services.database.read() as connection:
        row = connection.fetch_one("count_rows", {"table": "messages"})
    return int(row["n"]) if row else 0


def _world(server: DiscordServer, program: Program) -> World:
    return World.build(server, program, channels=_CHANNELS, messages=0, spacing=timedelta(seconds=1))


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
