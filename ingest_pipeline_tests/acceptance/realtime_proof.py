"""Proves the real-time half against a simulated Discord, and prints the figures.

    python -m ingest_pipeline_tests.acceptance.realtime_proof [--engine duckdb] [--only RESUME] [--scale 0.2]

A guild of 20,000 messages in 10 channels is imported while 5,000 more arrive, and are edited, deleted,
pinned, reacted to and given previews at random, under each scenario of `realtime/scenarios.py`. Then the
table is compared with the server's truth. Bot and imports are processes of their own, with unmodified
discord.py. The exit code is 1 when any row differs or a scenario does not come to rest.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ingest_pipeline_tests.contract.postgres_server import fresh_schema, running_server
from ingest_pipeline_tests.realtime.proof import Outcome, Size, prove
from ingest_pipeline_tests.realtime.scenarios import scenarios
from ingest_pipeline_tests.realtime.throughput import ceiling, lag, sustained

ENGINES = ("duckdb", "postgres")
_ROW = "{:9} {:32} {:>6} {:>7} {:>6} {:>5} {:>6} {:>8} {:>7} {:>8} {:>9} {:>7}"
_HEAD = _ROW.format(
    "engine",
    "scenario",
    "live",
    "missing",
    "double",
    "stale",
    "zombie",
    "changes",
    "seconds",
    "settled",
    "sessions",
    "resumes",
)


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
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realtime-proof-")))
        needs_server = "postgres" in options.engine
        server = (
            stack.enter_context(running_server(os.environ.get("TEST_POSTGRES_URL"))) if needs_server else None
        )
        places = Places(root, server)
        exact = _prove_all(places, options) if not options.rates_only else True
        if not options.no_rates:
            _measure(places, options)
    return 0 if exact else 1


def _prove_all(places: Places, options: argparse.Namespace) -> bool:
    size = Size(
        history=int(20_000 * options.scale),
        posts=int(5_000 * options.scale),
        seconds=25.0 * options.scale,
        limit_seconds=options.limit,
    )
    _say(f"{size.history} messages in {size.channels} channels imported while {size.posts} arrive\n{_HEAD}")
    exact = True
    for engine in options.engine:
        for scenario in scenarios(outage_seconds=30 * options.scale, kills=max(int(20 * options.scale), 1)):
            if options.only not in scenario.name:
                continue
            with places.fresh(engine) as (folder, url):
                try:
                    outcome = prove(scenario, size, folder, url)
                except (TimeoutError, RuntimeError) as error:
                    _say(f"{engine:9} {scenario.name:32} {error}")
                    exact = False
                    continue
            _print_outcome(engine, outcome)
            exact = exact and outcome.differences.is_exact
    return exact


def _print_outcome(engine: str, outcome: Outcome) -> None:
    found = outcome.differences
    changes = sum(count for name, count in outcome.happened.items() if name != "post")
    _say(
        _ROW.format(
            engine,
            outcome.scenario,
            found.live,
            found.missing,
            found.double,
            found.stale,
            found.zombie,
            changes,
            f"{outcome.seconds:.0f}",
            f"{outcome.settled_seconds:.1f}",
            outcome.identifies,
            outcome.resumes,
        )
    )
    for example in found.examples:
        _say(f"    {example}")


def _measure(places: Places, options: argparse.Namespace) -> None:
    burst, posts, seconds = options.burst, options.per_second, 20.0
    _say(
        f"\nbursts of {burst} messages, and {seconds:.0f} s of steady traffic; load {os.getloadavg()[0]:.1f}"
    )
    with places.fresh("duckdb") as (folder, _):
        top = ceiling(burst, folder)
    _say(f"discord.py, empty handler: {top.per_second:.0f} events/s, {top.cpu_seconds:.1f} CPU s")
    for engine in options.engine:
        with places.fresh(engine) as (folder, url):
            rate = sustained(burst, folder, url)
        share = f"{rate.per_second / top.per_second:.0%} of the ceiling"
        _say(f"{engine}: {rate.per_second:.0f} events/s stored ({share}), {rate.cpu_seconds:.1f} CPU s")
        with places.fresh(engine) as (folder, url):
            taken = lag(posts, seconds, folder, url)
        _say(
            f"{engine}: receipt to commit p50 {taken.median_ms:.0f} ms, p99 {taken.p99_ms:.0f} ms over "
            f"{taken.events} events at {taken.per_second:.0f} posts/s"
        )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the command is for


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="realtime_proof", description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size and of the times")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a scenario may take to settle")
    parser.add_argument("--burst", type=int, default=20_000, help="messages of a burst")
    parser.add_argument("--per-second", type=float, default=100.0, help="posts per second of steady traffic")
    parser.add_argument("--rates-only", action="store_true")
    parser.add_argument("--no-rates", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    _say(f"\ntook {timedelta(seconds=round(time.monotonic() - began))}")
    sys.exit(code)
