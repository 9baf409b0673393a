"""Rates and ratios from the records of the bulk section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.bulk import SCENARIOS
from benchmarks.contenders import MERGERS, Contender
from benchmarks.figures import Spread, spread

_OURS = {"duckdb": "ours-duckdb", "sqlite": "ours-duckdb", "postgres": "ours-postgres", None: "ours-reader"}


def reference(contender: Contender) -> str:
    """Return the name of what a contender is held against: this project, doing the same."""
    return f"tables-{contender.engine}" if contender in MERGERS else _OURS[contender.engine]


@dataclass(frozen=True, slots=True)
class Line:
    """What one contender did with one size and scenario.

    Attributes:
        rate: Messages a second, one value for each round.
        ratio: How many times as fast this project was, in the same rounds; 1 for itself.
        cpu_ratio: How many times the CPU time of this project, a server's included, in the same rounds.
        cpu_microseconds: CPU time for each message, a server's included, median.
        peak_mb: Largest resident memory of all rounds, in MB.
        given: Messages it was given.
    """

    rate: Spread
    ratio: Spread
    cpu_ratio: Spread
    cpu_microseconds: float
    peak_mb: float
    given: int


def line(records: Sequence[dict[str, Any]], name: str, size: int, scenario: str, ours: str) -> Line | None:
    """Return a contender's line, or None when it was not measured."""
    mine = _by_round(records, ours, size, scenario)
    theirs = _by_round(records, name, size, scenario)
    if not theirs or not mine:
        return None
    ratios = [_rate(mine[number]) / _rate(record) for number, record in theirs.items() if number in mine]
    cpu_ratios = [_cpu(record) / _cpu(mine[number]) for number, record in theirs.items() if number in mine]
    return Line(
        rate=spread([_rate(record) for record in theirs.values()]),
        ratio=spread(ratios),
        cpu_ratio=spread(cpu_ratios),
        cpu_microseconds=median(_cpu(record) for record in theirs.values()) * 1e6,
        peak_mb=max(record["peak_mb"] for record in theirs.values()),
        given=next(iter(theirs.values()))["given"],
    )


def lines(records: Sequence[dict[str, Any]], name: str, size: int, ours: str) -> dict[str, Line]:
    """Return a contender's lines by scenario."""
    found = {scenario: line(records, name, size, scenario, ours) for scenario in SCENARIOS}
    return {scenario: each for scenario, each in found.items() if each}


def sizes_of(records: Sequence[dict[str, Any]]) -> list[int]:
    """Return the sizes measured, ascending."""
    return sorted({record["size"] for record in records if record.get("scenario") in SCENARIOS})


def _by_round(
    records: Sequence[dict[str, Any]], name: str, size: int, scenario: str
) -> dict[int, dict[str, Any]]:
    return {
        record["round"]: record
        for record in records
        if record["contender"] == name and record["size"] == size and record.get("scenario") == scenario
    }


def _rate(record: dict[str, Any]) -> float:
    return float(record["given"] / record["seconds"])


def _cpu(record: dict[str, Any]) -> float:
    """Return CPU seconds for each message."""
    return float((record["cpu_seconds"] + record.get("server_cpu_seconds", 0.0)) / record["given"])
