"""Measurements of speed and scale, side by side with the alternatives.

`./bench.sh` makes the environment and calls this. Results are written as JSON to benchmarks/results,
and docs/benchmarks.md with its pictures is made from them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.inputs import inputs, messages_of, size_name
from benchmarks.jobs import PROJECT
from benchmarks.results import PARTS, machine, save, versions

SECTIONS = {
    "live": ("demo", "idle", "gateway"),
    "growth": ("merges", "sessions", "file", "history", "catalogue"),
}
_ROUNDS = {"1k": 5, "100k": 3, "1M": 1}
Records = Iterable[dict[str, Any]]


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and write the page."""
    options = _parse(arguments)
    _say(f"{machine()}\n{versions(None)}")
    for part in _wanted(options.what):
        _measure(part, options)
    from benchmarks.page import write_page

    for path in write_page():
        _say(f"wrote {path.relative_to(PROJECT)}")
    return 0


def _wanted(what: Sequence[str]) -> list[str]:
    """Return the parts that sections and parts name; `page` is not one, and measures nothing."""
    if "all" in what:
        return list(PARTS)
    named = {part for name in what for part in SECTIONS.get(name, (name,))}
    return [part for part in PARTS if part in named]


def _measure(part: str, options: argparse.Namespace) -> None:
    began = datetime.now(UTC)
    _say(f"\n== {part} ==")
    measure: dict[str, Callable[[argparse.Namespace], Records]] = {
        "commands": _commands,
        "bulk": _bulk,
        "memory": _memory,
        "demo": _demo,
        "idle": _idle,
        "gateway": _gateway,
        "merges": _merges,
        "sessions": _sessions,
        "file": _file,
        "history": _history,
        "catalogue": _catalogue,
    }
    records: list[dict[str, Any]] = []
    postgres = _postgres_version()
    try:
        # What was measured before a failure is kept.
        records.extend(measure[part](options))
    finally:
        if records and not options.only:
            _say(f"wrote {save(part, records, began, postgres).relative_to(PROJECT)}")


def _commands(options: argparse.Namespace) -> Records:
    from benchmarks.commands import measure

    return measure(options.folder / "commands", options.messages, options.rounds or 3, options.engines, _say)


def _bulk(options: argparse.Namespace) -> Records:
    from benchmarks.bulk import Plan, measure

    sizes = [
        (messages_of(size), options.rounds or _ROUNDS.get(size_name(messages_of(size)), 3))
        for size in options.sizes
    ]
    return measure(Plan(sizes, options.only, options.folder), _say)


def _memory(options: argparse.Namespace) -> Records:
    from benchmarks.memory import measure

    return measure(options.folder, options.millions, _say)


def _demo(options: argparse.Namespace) -> Records:
    from benchmarks import live

    return [live.measure(options.folder, options.minutes * 60, _say)]


def _idle(options: argparse.Namespace) -> Records:
    from benchmarks import live

    return [live.idle(options.folder, options.minutes * 30)]


def _gateway(options: argparse.Namespace) -> Records:
    from benchmarks.gateway import measure

    return measure(
        (options.folder / "gateway").absolute(),
        _template(options),
        burst=options.burst,
        rounds=options.rounds or 3,
        per_second=50.0,
        seconds=20.0,
        say=_say,
    )


def _merges(options: argparse.Namespace) -> Records:
    from benchmarks.merge_growth import small_merges

    return small_merges(options.folder / "merges", _template(options), options.rows, _say)


def _sessions(options: argparse.Namespace) -> Records:
    from benchmarks.session_growth import sessions

    return sessions(options.folder / "sessions", _template(options), options.lengths, _say)


def _file(options: argparse.Namespace) -> Records:
    from benchmarks.merge_growth import file_growth

    return file_growth(options.folder / "file", _template(options), options.merges, _say)


def _history(options: argparse.Namespace) -> Records:
    from benchmarks.history_growth import measure

    return [measure(options.folder, options.ticks, _say)]


def _catalogue(options: argparse.Namespace) -> Records:
    from benchmarks.catalogue_growth import measure

    return measure(options.folder / "growth", 90.0, options.keys, _say)


def _template(options: argparse.Namespace) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(inputs(options.folder / "inputs", 1_000).first_rows)


def _postgres_version() -> str:
    from benchmarks.targets import Targets

    with Targets(PROJECT) as targets:
        return targets.version()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bench.sh", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what",
        nargs="*",
        choices=(*SECTIONS, *PARTS, "all", "page"),
        default="all",
        help="sections or parts of them; page only writes the page (default: all)",
    )
    parser.add_argument(
        "--folder", type=Path, default=PROJECT / "data" / "bench", help="for inputs and tables: up to 40 GB"
    )
    parser.add_argument("--messages", type=int, default=100_000, help="in one session (commands)")
    parser.add_argument(
        "--engines", nargs="+", default=["duckdb", "postgres"], help="of the database (commands)"
    )
    parser.add_argument("--sizes", nargs="+", default=list(_ROUNDS), help="messages in a file (bulk)")
    parser.add_argument(
        "--rounds", type=int, help="how often everything is measured (commands, bulk, gateway)"
    )
    parser.add_argument("--only", nargs="+", default=[], help="contenders whose name contains this; no page")
    parser.add_argument(
        "--millions", type=int, nargs="+", default=[1, 10], help="millions of messages (memory)"
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the demo is watched (live)")
    parser.add_argument("--burst", type=int, default=5_000, help="messages of a burst (gateway)")
    parser.add_argument(
        "--rows", nargs="+", type=int, default=[10_000, 1_000_000, 10_000_000], help="rows (growth)"
    )
    parser.add_argument(
        "--lengths", nargs="+", type=int, default=[1_000, 100_000, 1_000_000], help="of sessions (growth)"
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
