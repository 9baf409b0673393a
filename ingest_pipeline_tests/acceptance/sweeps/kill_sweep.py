"""Kill polls and backfills at as many boundaries as there is time for, and compare after each restart.

    python -m ingest_pipeline_tests.acceptance.sweeps.kill_sweep --kills 500
    python -m ingest_pipeline_tests.acceptance.sweeps.kill_sweep --work poll --engine duckdb --kills 0

Boundaries (`boundaries.py`) are taken evenly from the first and last pass of every place that a run
comes to, with `--every-pass` from all passes; `--kills 0` takes them all. Prints how many kills were
tried and what was found; ends with 1 if anything is not as without a kill.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ingest_pipeline_tests.acceptance.sweeps.sandbox import Ground, prepared
from ingest_pipeline_tests.acceptance.sweeps.sweeps import AT_ONCE, OVER_BEFORE, WORKS, Trials, evenly
from ingest_pipeline_tests.contract.postgres_server import fresh_schema, running_server

ENGINES = ("duckdb", "postgres")


@contextmanager
def grounds(engine: str, number: int) -> Iterator[list[Ground]]:
    """Make deployments on an engine that are gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kill-sweep-")))
        urls: list[str | None] = [None] * number
        if engine == "postgres":
            server = stack.enter_context(running_server(os.environ.get("TEST_POSTGRES_URL")))
            urls = [stack.enter_context(fresh_schema(server)) for _ in urls]
        yield [Ground(folder / str(index), url) for index, url in enumerate(urls)]


def sweep(name: str, engine: str, kills: int, *, every_pass: bool) -> bool:
    """Sweep one work on one engine, print the figures, and return whether all tables were equal."""
    began = time.monotonic()
    with grounds(engine, 1 + AT_ONCE) as (template, *copies):
        trials = Trials(WORKS[name], prepared(template), copies)
        numbers = range(1, trials.passed.number + 1) if every_pass else trials.passed.turns
        made = list(trials.run(evenly(numbers, kills or len(numbers))))
    bad = [trial for trial in made if trial.wrong or trial.found == "between"]
    made = [trial for trial in made if trial.place != OVER_BEFORE]
    found = Counter(trial.found for trial in made)
    print(  # noqa: T201
        f"{name} on {engine}: {len(made)} kills at {len(numbers)} of {trials.passed.number} boundaries, "
        f"{len({trial.place for trial in made})} places; the table was as before in {found['before']} and as "
        f"after in {found['after']}; after the restart equal in {sum(not trial.wrong for trial in made)}; "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    for trial in bad[:10]:
        print(f"    {trial}", flush=True)  # noqa: T201
    return not bad


def main() -> int:
    """Sweep what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", choices=WORKS, nargs="+", default=list(WORKS))
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=list(ENGINES))
    parser.add_argument("--kills", type=int, default=100, help="for each work on each engine; 0 for all")
    parser.add_argument("--every-pass", action="store_true", help="all passes, not the first and last only")
    options = parser.parse_args()
    results = [
        sweep(name, engine, options.kills, every_pass=options.every_pass)
        for name in options.work
        for engine in options.engine
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
