"""Goals of the benchmarks, and their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.commands import BASELINE, STEPS
from benchmarks.comparison import line, reference, sizes_of
from benchmarks.contenders import BY_NAME
from benchmarks.inputs import size_name

Records = Sequence[dict[str, Any]]
_FLAT = 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        text: What was aimed at.
        found: What was measured.
        met: Whether that is enough.
    """

    text: str
    found: str
    met: bool


# Contender, scenario, how many times as fast this project is to be.
_RATIOS = (
    ("tables-dlt", "cold", 1.0, "dlt, both fed with the same Arrow tables"),
    ("tables-dlt", "same", 3.0, "dlt, both fed with the same Arrow tables"),
    ("dlt-dicts", "cold", 10.0, "dlt with dictionaries"),
    ("django", "cold", 100.0, "Django, one `update_or_create` a message"),
    ("read-json", "cold", 1.5, "DuckDB's SQL over `read_json`"),
)
_WORDS = {"cold": "cold", "same": "repeated"}


# Step of a command, how many times less CPU it is to take than the earlier build.
_COMMANDS = {
    "duckdb": {"cold": 4.5, "same": 9.0, "setups": 6.0, "csv": 4.0, "parquet": 5.0, "json": 8.0},
    "postgres": {"cold": 2.5, "same": 18.0, "csv": 4.0, "parquet": 5.0, "json": 8.0},
}


def command_goals(records: Records) -> Iterator[Goal]:
    """Yield the goals of the commands, for each engine that was measured."""
    for engine, steps in _COMMANDS.items():
        for step, wanted in steps.items():
            found = {
                (record["round"], record["build"]): record["cpu_seconds"]
                for record in records
                if (record["engine"], record["step"]) == (engine, step)
            }
            ratios = [
                found[number, BASELINE] / cpu
                for (number, build), cpu in found.items()
                if build == "now" and (number, BASELINE) in found
            ]
            if ratios:
                yield Goal(
                    f"≥{wanted:g}× less CPU than {BASELINE}: {STEPS[step]}, {_engine(engine)}",
                    f"{median(ratios):.1f}×",
                    median(ratios) >= wanted,
                )


def bulk_goals(records: Records) -> Iterator[Goal]:
    """Yield the goals of the bulk part, for every size above the smallest."""
    sizes = [size for size in sizes_of(records) if size > 1_000]
    for prefix, scenario, wanted, title in _RATIOS:
        for name, contender in BY_NAME.items():
            if not name.startswith(prefix):
                continue
            ours = reference(contender)
            found = {size: line(records, name, size, scenario, ours) for size in sizes}
            taken = {size: each for size, each in found.items() if each}
            if taken:
                yield Goal(
                    f"≥{wanted:g}× {title}, {_WORDS[scenario]}, {_engine(contender.engine)}",
                    ", ".join(
                        f"{each.ratio.median:.1f}× at {size_name(size)} (CPU {each.cpu_ratio.median:.1f}×)"
                        for size, each in taken.items()
                    ),
                    min(each.ratio.median for each in taken.values()) >= wanted,
                )
    yield from _reading(records)


def _reading(records: Records) -> Iterator[Goal]:
    for size in {record["size"] for record in records if record["contender"] == "simdjson"}:
        if size >= 1_000_000 and (floor := line(records, "simdjson", size, "read", "ours-reader")):
            factor = 1 / floor.ratio.median
            yield Goal(
                f"reading and normalizing {size_name(size)} within 1.5× of a bare simdjson parse",
                f"{factor:.1f}× (CPU {1 / floor.cpu_ratio.median:.1f}×)",
                factor <= 1.5,
            )


def memory_goals(records: Records) -> Iterator[Goal]:
    """Yield the goal of the memory part, for each engine."""
    for engine in ("duckdb", "postgres"):
        piped = [record for record in records if record["contender"] == f"piped-{engine}"]
        if piped:
            found = ", ".join(
                f"{record['peak_mb']:.0f} MB at {size_name(record['size'])}" for record in piped
            )
            yield Goal(
                f"resident memory under 300 MB, {_engine(engine)}",
                found,
                max(record["peak_mb"] for record in piped) < 300,
            )


def demo_goals(records: Records) -> Iterator[Goal]:
    """Yield the goal of the demo."""
    for record in records:
        middle, high = record["overhead_median_seconds"], record["overhead_p95_seconds"]
        yield Goal(
            "posted → queryable: ≤5 s beyond the wait for the tick in the median, ≤10 s at p95",
            f"median {middle:.1f} s, p95 {high:.1f} s",
            middle <= 5 and high <= 10,
        )


# Engine, share of the ceiling, p99 in ms.
_GATEWAY = (("duckdb", 0.3, 800), ("postgres", 0.55, 200))


def gateway_goals(records: Records) -> Iterator[Goal]:
    """Yield the goals of the gateway's path, for each engine."""
    for engine, wanted, most in _GATEWAY:
        mine = [record for record in records if record.get("engine") == engine]
        shares = [record["share"] for record in mine if record["what"] == "burst"]
        if shares:
            yield Goal(
                f"gateway with content: ≥{wanted:.0%} of the ceiling of discord.py, {_engine(engine)}",
                f"{median(shares):.0%}",
                median(shares) >= wanted,
            )
        for record in mine:
            if record["what"] == "lag":
                yield Goal(
                    f"gateway with content: p99 from receipt to commit ≤{most} ms, {_engine(engine)}",
                    f"{record['p99_ms']:.0f} ms",
                    record["p99_ms"] <= most,
                )


def merge_goals(records: Records) -> Iterator[Goal]:
    """Yield the goal of small merges into a growing table, for each engine."""
    for engine in ("duckdb", "postgres"):
        merges = {
            record["rows"]: median(record["seconds"]) for record in records if record["engine"] == engine
        }
        if len(merges) > 1:
            factor = max(merges.values()) / merges[min(merges)]
            yield Goal(
                f"a merge of 30 messages takes the same in a small table and a large one (within 2×), "
                f"{_engine(engine)}",
                f"{factor:.2f}× at most, up to {size_name(max(merges))} rows",
                factor <= _FLAT,
            )


def session_goals(records: Records) -> Iterator[Goal]:
    """Yield the goals of new messages in a growing session, for each engine."""
    for engine, most in (("duckdb", 0.1), ("postgres", 0.02)):
        taken = {
            record["messages"]: median(record["cpu_seconds"])
            for record in records
            if record["engine"] == engine
        }
        if len(taken) > 1:
            factor = max(taken.values()) / taken[min(taken)]
            found = ", ".join(f"{cpu:.3f} s at {size_name(size)}" for size, cpu in taken.items())
            yield Goal(
                f"30 new messages with content, the median moving, ≤{most:g} CPU s, {_engine(engine)}",
                found,
                max(taken.values()) <= most,
            )
            yield Goal(
                f"the same within 2× in a short session and a long one, {_engine(engine)}",
                f"{factor:.2f}× at most",
                factor <= _FLAT,
            )


def _engine(engine: str | None) -> str:
    return "PostgreSQL" if engine == "postgres" else "SQLite" if engine == "sqlite" else "DuckDB"
