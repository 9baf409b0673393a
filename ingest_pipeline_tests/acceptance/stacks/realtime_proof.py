"""Proves the real-time half against a simulated Discord, and prints the figures.

  python -m ingest_pipeline_tests.acceptance.stacks.realtime_proof [--engine duckdb] [--only RESUME]

A guild of 20,000 messages in 10 channels is imported while 5,000 more arrive, and are edited, deleted,
pinned, reacted to and given previews at random, under each scenario of `live_bot/scenarios.py`. Then every
field of every row is compared with the server's truth. Bot and imports are processes of their own, with
unmodified discord.py. The exit code is 1 when anything differs or a scenario does not come to rest.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ingest_pipeline_tests.contract.postgres_server import fresh_schema, running_server
from ingest_pipeline_tests.live_bot.figures import Figures, cells, row
from ingest_pipeline_tests.live_bot.progress import Progress, shown
from ingest_pipeline_tests.live_bot.proof import Size, prove
from ingest_pipeline_tests.live_bot.scenarios import Scenario, scenarios
from ingest_pipeline_tests.live_bot.throughput import ceiling, lag, sustained

ENGINES = ("duckdb", "postgres")
_LAG_SECONDS = 20.0


@dataclass(frozen=True)
class Places:
    """Where scenarios run: a fresh folder each, and a schema of its own on a server that is shared."""

    root: Path
    postgres: str | None

    @contextmanager
    def fresh(self, engine: str) -> Iterator[tuple[Path, str | None]]:
        """Yield an empty folder and, on PostgreSQL, the URL of an empty database."""
        with (
            tempfile.TemporaryDirectory(dir=self.root, ignore_cleanup_errors=True) as folder,
            ExitStack() as stack,
        ):
            url = None
            if engine == "postgres":
                url = stack.enter_context(fresh_schema(self.postgres or ""))
            yield Path(folder), url


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for and return the exit code."""
    options = _parse(arguments)
    # However it is ended, it leaves no bot and no import behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    figures = Figures(
        Size(
            history=int(20_000 * options.scale),
            posts=int(5_000 * options.scale),
            seconds=25.0 * options.scale,
            limit_seconds=options.limit,
        )
    )
    began = time.monotonic()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realtime-proof-")))
        server = (
            stack.enter_context(running_server(os.environ.get("TEST_POSTGRES_URL")))
            if "postgres" in options.engine
            else None
        )
        places = Places(root, server)
        if not options.rates_only:
            _prove_all(places, options, figures)
        if not options.no_rates:
            _measure(places, options, figures)
    _conclude(figures, options, time.monotonic() - began)
    return 0 if figures.is_exact else 1


def _prove_all(places: Places, options: argparse.Namespace, figures: Figures) -> None:
    size = figures.size
    _say(f"{size.history:,} messages in {size.channels} channels are imported while {size.posts:,} arrive")
    chosen = [
        (engine, scenario)
        for engine in options.engine
        for scenario in scenarios(outage_seconds=30 * options.scale, kills=max(int(20 * options.scale), 1))
        if options.only.casefold() in scenario.name.casefold()
    ]
    for number, (engine, scenario) in enumerate(chosen, start=1):
        title = f"[{number}/{len(chosen)}] {engine}, {scenario.name}"
        with shown(Progress(title)) as progress:
            _prove(places, engine, scenario, figures, progress)


def _prove(places: Places, engine: str, scenario: Scenario, figures: Figures, progress: Progress) -> None:
    with places.fresh(engine) as (folder, url):
        try:
            outcome = prove(scenario, figures.size, folder, url, progress)
        except (TimeoutError, RuntimeError) as error:
            figures.failures.append((engine, scenario.name, str(error)))
            _say(f"{engine}, {scenario.name}: {error}")
            return
    figures.outcomes.append((engine, outcome))
    _say(row(cells(engine, outcome)))
    for example in outcome.differences.examples:
        _say(f"    {example}")


def _measure(places: Places, options: argparse.Namespace, figures: Figures) -> None:
    burst = options.burst
    _say(f"measuring bursts of {burst:,} messages, and {_LAG_SECONDS:.0f} s of steady traffic")
    with shown(Progress("speed", "discord.py alone")) as progress:
        with places.fresh("duckdb") as (folder, _):
            figures.ceiling = ceiling(burst, folder)
        for engine in options.engine:
            progress.phase = f"{engine}, burst"
            with places.fresh(engine) as (folder, url):
                rate = sustained(burst, folder, url)
            progress.phase = f"{engine}, steady traffic"
            with places.fresh(engine) as (folder, url):
                figures.rates[engine] = rate, lag(options.per_second, _LAG_SECONDS, folder, url)


def _conclude(figures: Figures, options: argparse.Namespace, seconds: float) -> None:
    if figures.outcomes or figures.failures:
        _say(f"\n{figures.table()}")
    for line in figures.rate_lines():
        _say(line)
    _say(
        f"\n{'exact' if figures.is_exact else 'NOT EXACT'}; took {timedelta(seconds=round(seconds))}, "
        f"{os.cpu_count()} cores at a load of {os.getloadavg()[2]:.1f}"
    )
    if options.json:
        figures.write(options.json)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the command is for


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="realtime_proof", description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size and of the times")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds a scenario may take to settle")
    parser.add_argument("--burst", type=int, default=20_000, help="messages of a burst")
    parser.add_argument("--per-second", type=float, default=100.0, help="posts per second of steady traffic")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--rates-only", action="store_true", help="measure speed alone")
    parser.add_argument("--no-rates", action="store_true", help="prove alone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
