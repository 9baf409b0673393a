"""Measures speed and scale, side by side with what people would use instead.

`./bench.sh` makes the environment and calls this. Results are written as JSON to benchmarks/results,
and docs/benchmarks.md with its pictures is made from them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.inputs import inputs, messages_of, size_name
from benchmarks.jobs import PROJECT
from benchmarks.results import machine, save, versions

SECTIONS = ("bulk", "live", "growth")
_ROUNDS = {"1k": 5, "100k": 3, "1M": 1}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and write the page."""
    options = _parse(arguments)
    sections = SECTIONS if options.what == "all" else (options.what,)
    _say(f"{machine()}\n{versions(None)}")
    for section in sections:
        if section != "page":
            _measure(section, options)
    from benchmarks.page import write_page

    for path in write_page():
        _say(f"wrote {path.relative_to(PROJECT)}")
    return 0


def _measure(section: str, options: argparse.Namespace) -> None:
    began = datetime.now(UTC)
    _say(f"\n== {section} ==")
    measure: Callable[[argparse.Namespace], Iterable[dict[str, Any]]] = {
        "bulk": _bulk,
        "live": _live,
        "growth": _growth,
    }[section]
    records: list[dict[str, Any]] = []
    postgres = _postgres_version()
    try:
        # What was measured before a failure is kept.
        records.extend(measure(options))
    finally:
        if records and not options.only:
            _say(f"wrote {save(section, records, began, postgres).relative_to(PROJECT)}")


def _bulk(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    from benchmarks.bulk import Plan, measure
    from benchmarks.memory import measure as measure_memory

    sizes = [
        (messages_of(size), options.rounds or _ROUNDS.get(size_name(messages_of(size)), 3))
        for size in options.sizes
    ]
    yield from measure(Plan(sizes, options.only, options.folder), _say)
    if options.memory_millions and not options.only:
        yield from measure_memory(options.folder, options.memory_millions, _say)


def _live(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    from benchmarks import gateway, live

    yield {"what": "demo", **live.measure(options.folder, options.minutes * 60, _say)}
    yield {"what": "idle", **live.idle(options.folder, options.minutes * 30)}
    yield from gateway.measure(
        (options.folder / "gateway").absolute(),
        burst=options.burst,
        rounds=options.rounds or 3,
        per_second=50.0,
        seconds=20.0,
        say=_say,
    )


def _growth(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    import pyarrow.parquet as pq

    from benchmarks import catalogue_growth, history_growth, merge_growth

    template = pq.read_table(inputs(options.folder / "inputs", 1_000).first_rows)
    place = options.folder / "growth"
    for record in merge_growth.small_merges(place, template, options.rows, _say):
        yield {"what": "merge", **record}
    for record in merge_growth.file_growth(place, template, options.merges, _say):
        yield {"what": "file", **record}
    yield {"what": "history", **history_growth.measure(place, options.ticks, _say)}
    for record in catalogue_growth.measure(place, 90.0, options.keys, _say):
        yield {"what": "catalogue", **record}


def _postgres_version() -> str:
    from benchmarks.targets import Targets

    with Targets(PROJECT) as targets:
        return targets.version()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bench.sh", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", nargs="?", choices=(*SECTIONS, "all", "page"), default="all", help="what to measure"
    )
    parser.add_argument(
        "--folder", type=Path, default=PROJECT / "data" / "bench", help="for inputs and tables: up to 40 GB"
    )
    parser.add_argument("--sizes", nargs="+", default=list(_ROUNDS), help="messages in a file (bulk)")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (bulk, gateway)")
    parser.add_argument("--only", nargs="+", default=[], help="contenders whose name contains this; no page")
    parser.add_argument(
        "--memory-millions", type=int, default=10, help="millions of messages for the memory test, 0 for none"
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the demo is watched (live)")
    parser.add_argument("--burst", type=int, default=5_000, help="messages of a burst (gateway)")
    parser.add_argument(
        "--rows", nargs="+", type=int, default=[10_000, 1_000_000, 10_000_000], help="rows (growth)"
    )
    parser.add_argument("--merges", type=int, default=2_000, help="small merges into one file (growth)")
    parser.add_argument("--ticks", type=int, default=120, help="ticks of a live session (growth)")
    parser.add_argument("--keys", nargs="+", type=int, default=[1_000, 10_000, 43_000], help="partitions")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
