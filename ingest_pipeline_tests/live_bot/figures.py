"""The figures of a proof, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest_pipeline_tests.live_bot.proof import Outcome, Size
from ingest_pipeline_tests.live_bot.throughput import Lag, Rate

_COLUMNS = (
    ("engine", 9),
    ("scenario", 32),
    ("live", 6),
    ("missing", 7),
    ("double", 6),
    ("stale", 5),
    ("zombie", 6),
    ("verified", 8),
    ("changes", 7),
    ("seconds", 7),
    ("settled", 7),
    ("sessions", 8),
    ("resumes", 7),
)


@dataclass
class Figures:
    """Everything that was found.

    Attributes:
        size: How large each scenario is.
        outcomes: By engine, each scenario that came to its end.
        failures: Engine, scenario and what kept it from its end.
        rates: By engine: bursts taken, and delays under steady traffic.
        ceiling: What discord.py alone takes of the same burst.
    """

    size: Size
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    rates: dict[str, tuple[Rate, Lag]] = field(default_factory=dict)
    ceiling: Rate | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every scenario came to its end and nothing differs."""
        return not self.failures and all(outcome.is_exact for _, outcome in self.outcomes)

    def table(self) -> str:
        """Return the outcomes as a Markdown table."""
        lines = [row([name for name, _ in _COLUMNS]), row(["-" * width for _, width in _COLUMNS])]
        lines += [row(cells(engine, outcome)) for engine, outcome in self.outcomes]
        lines += [f"{engine}, {scenario}: {reason}" for engine, scenario, reason in self.failures]
        return "\n".join(lines)

    def rate_lines(self) -> list[str]:
        """Return what was measured of speed, a line each."""
        lines = []
        if self.ceiling:
            lines.append(
                f"discord.py alone, empty handler: {self.ceiling.per_second:,.0f} events/s, "
                f"{self.ceiling.cpu_seconds:.1f} CPU s"
            )
        for engine, (rate, lag) in self.rates.items():
            lines.append(
                f"{engine}: {rate.per_second:,.0f} events/s sustained over {rate.events:,} until the last is "
                f"committed, {rate.cpu_seconds:.1f} CPU s"
            )
            lines.append(
                f"{engine}: receipt to commit p50 {lag.median_ms:.0f} ms, p99 {lag.p99_ms:.0f} ms over "
                f"{lag.events:,} events at {lag.per_second:.0f} posts/s"
            )
        return lines

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        path.write_text(json.dumps(self._as_dict(), indent=2, default=str) + "\n", encoding="utf-8")

    def _as_dict(self) -> Mapping[str, Any]:
        return {
            "exact": self.is_exact,
            "size": asdict(self.size),
            "outcomes": [{"engine": engine, **asdict(outcome)} for engine, outcome in self.outcomes],
            "failures": [
                {"engine": engine, "scenario": scenario, "reason": reason}
                for engine, scenario, reason in self.failures
            ],
            "ceiling_events_per_second": self.ceiling.per_second if self.ceiling else None,
            "rates": {
                engine: {"events_per_second": rate.per_second, **asdict(rate), "lag": asdict(lag)}
                for engine, (rate, lag) in self.rates.items()
            },
        }


def cells(engine: str, outcome: Outcome) -> list[str]:
    """Return one outcome's cells, in the order of the columns."""
    found = outcome.differences
    changes = sum(count for name, count in outcome.happened.items() if name != "post")
    values: Sequence[object] = (
        engine,
        outcome.scenario,
        found.live,
        found.missing,
        found.double,
        found.stale,
        found.zombie,
        outcome.verification,
        changes,
        f"{outcome.seconds:.0f}",
        f"{outcome.settled_seconds:.1f}",
        outcome.identifies,
        outcome.resumes,
    )
    return [str(value) for value in values]


def row(values: Sequence[str]) -> str:
    """Return a line of the table."""
    padded = [value.ljust(width) for value, (_, width) in zip(values, _COLUMNS, strict=True)]
    return f"| {' | '.join(padded)} |"
