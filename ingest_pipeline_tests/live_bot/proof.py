"""One scenario from beginning to end: a guild imported while its members go on talking, then compared."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ingest_pipeline.completeness.verification import verify_now
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.ground_truth import Differences, compare
from ingest_pipeline_tests.live_bot.programs import Program
from ingest_pipeline_tests.live_bot.progress import Progress
from ingest_pipeline_tests.live_bot.scenarios import Scenario
from ingest_pipeline_tests.live_bot.traffic import Traffic
from ingest_pipeline_tests.live_bot.world import World

EXACT = "exact"


@dataclass(frozen=True)
class Size:
    """How large a scenario is.

    Attributes:
        history: Messages there before.
        posts: Messages posted meanwhile.
        channels: Over how many channels.
        seconds: How long the posts take, at least.
        spacing: Time between neighbours of the history.
        limit_seconds: How long settling may take.
    """

    history: int = 20_000
    posts: int = 5_000
    channels: int = 10
    seconds: float = 25.0
    spacing: timedelta = timedelta(minutes=5)
    limit_seconds: float = 240.0


@dataclass(frozen=True)
class Outcome:
    """How a scenario ended.

    Attributes:
        scenario: Its name.
        differences: The table against the truth.
        verification: What the product's own verification finds: `exact`, or what differs.
        lookback_hours: How far before a gap the bot is set to read again.
        happened: What the members did, by name.
        settled_seconds: From the last post until nothing was left to do.
        seconds: In all.
        requests: REST requests of every process.
        identifies: Gateway sessions begun.
        resumes: Gateway sessions resumed.
    """

    scenario: str
    differences: Differences
    verification: str
    lookback_hours: float
    happened: Mapping[str, int]
    settled_seconds: float
    seconds: float
    requests: int
    identifies: int
    resumes: int

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs, and the product says so itself."""
        return self.differences.is_exact and self.verification == EXACT


def prove(
    scenario: Scenario, size: Size, folder: Path, database_url: str | None, progress: Progress | None = None
) -> Outcome:
    """Run one scenario.

    Args:
        scenario: What goes wrong.
        size: How large.
        folder: An empty folder.
        database_url: An empty PostgreSQL database, or None for DuckDB.
        progress: Shows what is being done.

    Raises:
        TimeoutError: It did not settle.
        RuntimeError: An import failed.
    """
    reported = progress or Progress()
    reported.phase = "filling the guild"
    began = time.monotonic()
    with DiscordServer() as server, attached(server):
        program = Program(str(folder), database_url, lookback_hours=scenario.lookback_hours)
        scenario.before(server)
        world = World.build(
            server, program, channels=size.channels, messages=size.history, spacing=size.spacing
        )
        try:
            traffic, settled = _play(world, scenario, size, reported)
            reported.phase = "comparing"
            differences = compare(server, world.services, world.known)
            journal = server.journal
            return Outcome(
                scenario=scenario.name,
                differences=differences,
                verification=_verify(world),
                lookback_hours=scenario.lookback_hours,
                happened=dict(traffic.done),
                settled_seconds=settled,
                seconds=time.monotonic() - began,
                requests=len(journal.requests),
                identifies=sum(record.refused_with is None for record in journal.identifies),
                resumes=sum(record.accepted for record in journal.resumes),
            )
        finally:
            world.close()


def _play(world: World, scenario: Scenario, size: Size, reported: Progress) -> tuple[Traffic, float]:
    seconds = max(size.seconds, scenario.seconds)
    traffic = Traffic(world.server, world.known, size.posts, seconds, world.authors)
    reported.phase = "connecting"
    world.start_bot()
    if scenario.waits_for_bot:
        world.wait_for_bot()
    reported.phase = "importing"
    reported.posted = lambda: f"{traffic.done['post']:,} of {size.posts:,} posted"
    traffic.start()
    for number in range(scenario.imports):
        world.start_import(force=number > 0)
    scenario.trouble(world, traffic)
    traffic.wait()
    world.finish_imports(size.limit_seconds)
    if world.is_import_running():
        # One that lost a channel on the way is taken up again, as people do.
        world.start_import()
        world.finish_imports(size.limit_seconds)
    reported.phase = "settling"
    return traffic, world.settle(size.limit_seconds)


def _verify(world: World) -> str:
    """Ask the product's own verification, and whether it takes the import as completed."""
    report = verify_now(world.services)
    reasons = Counter[str]()
    for verdict in report.verdicts:
        reasons.update(verdict.reasons)
        reasons["unread"] += verdict.error is not None
    reasons["import unfinished"] += world.is_import_running()
    reasons["nothing verified"] += not report.verdicts
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count) or EXACT
