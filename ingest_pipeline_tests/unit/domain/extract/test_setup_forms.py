"""A set of invented messages of every shape: how much of them is read, and that nothing is read wrongly."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import yaml

from ingest_pipeline.domain.extract.setups.message import Bias, TradeSetup
from ingest_pipeline.domain.extract.setups.trade_setups import parse_setups
from ingest_pipeline_tests.exports import REAL

POSTED = datetime(2026, 5, 15, 12, 30, tzinfo=UTC)
MESSAGES: list[dict[str, Any]] = yaml.safe_load(
    (REAL.parent / "setups" / "messages.yaml").read_text(encoding="utf-8")
)


def written(setup: TradeSetup) -> str:
    """Return a setup as the set writes it."""
    level = price(setup.low) if setup.low == setup.high else f"{price(setup.low)}-{price(setup.high)}"
    words = [setup.ticker, setup.aggressiveness, setup.direction, setup.kind, level]
    targets = f" -> {', '.join(map(price, setup.targets))}" if setup.targets else ""
    stop = "" if setup.stop is None else f"; stop {price(setup.stop)}"
    return " ".join(word for word in words if word) + targets + stop


def stated(bias: Bias) -> str:
    """Return a bias as the set writes it."""
    return f"{bias.ticker or 'market'} {bias.stance or 'open'}"


def price(value: Decimal) -> str:
    """Return a price as it was written, but for what stands before the point."""
    return f"{value:f}"


def compared(message: dict[str, Any]) -> tuple[Counter[str], Counter[str], str]:
    """Return what was expected and what was found, and how the two differ in words."""
    found = parse_setups(message["content"], POSTED)
    day = message.get("day", date(2026, 5, 15))
    expected = Counter([*message["setups"], *message["biases"]])
    read = Counter([*map(written, found.setups), *map(stated, found.biases)])
    problems = [f"missed {each}" for each in (expected - read).elements()]
    problems += [f"made up {each}" for each in (read - expected).elements()]
    if found.trading_day != day:
        problems.append(f"day {found.trading_day} instead of {day}")
    if len(found.unparsed) != message["unparsed"]:
        problems.append(f"{len(found.unparsed)} lines unparsed instead of {message['unparsed']}")
    if problems:
        problems += [f"line {line.line_number} {line.reason}: {line.text}" for line in found.unparsed]
    return expected, read, "\n  ".join([message["name"], *problems]) if problems else ""


def test_nearly_everything_is_read_and_nothing_wrongly() -> None:
    """Of what a careful reader takes from the set, 98 % and more is found; all that is found is right."""
    results = [compared(message) for message in MESSAGES]
    right = sum((expected & read).total() for expected, read, _ in results)
    recall = right / sum(expected.total() for expected, _, _ in results)
    precision = right / sum(read.total() for _, read, _ in results)
    misses = [miss for _, _, miss in results if miss]
    sys.stdout.write(f"{len(results)} messages: recall {recall:.2%}, precision {precision:.2%}\n")
    sys.stdout.write("\n".join(misses))
    assert len(results) >= 60
    assert precision == 1.0, misses
    assert recall >= 0.98, misses
