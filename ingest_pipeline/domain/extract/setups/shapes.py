"""Setups in lines that are worded alike: the grammar reads a wording once, and its prices every time.

Who plans trades words them alike day by day, so nearly all lines of setups are a wording seen before with
other prices. How a line is read depends on its prices only by their distances from one another, as long as
these are plain: of three digits or more, which no date, list number or time of day has, and apart from
letters and signs. So a wording is read with prices put in that show where each one ends up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from ingest_pipeline.domain.extract.setups import bias as setup_bias
from ingest_pipeline.domain.extract.setups import headings as setup_headings
from ingest_pipeline.domain.extract.setups.grammar import (
    SetupLine,
    distance_problem,
    is_heading,
    names_itself,
    read_setup,
)
from ingest_pipeline.domain.extract.setups.headings import Lead
from ingest_pipeline.domain.extract.setups.tail import Details, read_arrow, read_details, read_prices
from ingest_pipeline.domain.extract.setups.tokens import Aggressiveness, Direction, Kind, clean, tokenize

# A cross leads rejections; any other setup it declares failed.
CROSSES = frozenset("\u274c\u274e\u2716\U0001f6ab")
_PRICE = re.compile(r"(?<![^\s\u2013-])([0-9]{3,6}(?:\.[0-9]{1,4})?)(?![^\s,\u2013-]|,\S)")
_DIGIT = re.compile(r"\d")
_MOST_WORDINGS = 4_096
# Prices that are no others' and not far apart.
_LOWEST_MARK = 1_001


@dataclass(frozen=True, slots=True)
class _Wording:
    """How a line is read; prices by their place in the line."""

    ticker: str | None
    kind: Kind
    direction: Direction
    aggressiveness: Aggressiveness | None
    level: tuple[int, ...]
    targets: tuple[int, ...]
    stop: int | None
    label: str


_Key = tuple[str, tuple[bool, ...]]
# False for a wording seen once: most lines of chat are never seen again.
_wordings: dict[_Key, _Wording | bool | None] = {}


def read_alike(line: str) -> tuple[str | None, SetupLine] | None:
    """Read a line of a wording that was seen before and is a setup whatever stands above it.

    Args:
        line: As written, stripped.

    Returns:
        The ticker that the line begins with, if any, and the setup; None for any other line.
    """
    parts = _PRICE.split(line)
    prices = parts[1::2]
    if not prices:
        return None
    key = "#".join(parts[::2]), tuple("." in price for price in prices)
    wording = _wordings.get(key)
    if wording is None or isinstance(wording, bool):
        _look(key, parts)
        return None
    return _filled(wording, [Decimal(price) for price in prices])


def _look(key: _Key, parts: list[str]) -> None:
    if key not in _wordings:
        if len(_wordings) >= _MOST_WORDINGS:
            _wordings.clear()
        _wordings[key] = False
    elif _wordings[key] is False:
        _wordings[key] = None if _DIGIT.search(key[0]) else _wording(parts)


def _filled(wording: _Wording, prices: list[Decimal]) -> tuple[str | None, SetupLine] | None:
    level = [prices[place] for place in wording.level]
    low, high = min(level), max(level)
    targets = tuple(prices[place] for place in wording.targets)
    stop = None if wording.stop is None else prices[wording.stop]
    if distance_problem(low, high, Details(targets, stop)):
        return None
    return wording.ticker, SetupLine(
        wording.kind,
        wording.direction,
        wording.aggressiveness,
        low,
        high,
        targets,
        stop,
        wording.label,
    )


def _wording(parts: list[str]) -> _Wording | None:
    """Return how lines of a wording are read; None where that may depend on what stands above them."""
    marks = [f"{_LOWEST_MARK + n}{'.5' if '.' in price else ''}" for n, price in enumerate(parts[1::2])]
    marked = [*parts]
    marked[1::2] = marks
    line = "".join(marked)
    text = clean(line)
    lead = setup_headings.take_apart(text)
    if "~~" in line or text.startswith(("\u2013", "\u2014")) or not _is_plan(line, lead):
        return None
    prefix = setup_headings.ticker_prefix(lead)
    ticker, lead = prefix or (None, lead)
    found = read_setup(lead.with_symbols) if _may_be_setup(lead) else None
    if not isinstance(found, SetupLine) or (found.kind != "rejection" and CROSSES.intersection(lead.symbols)):
        return None
    places = {Decimal(mark): place for place, mark in enumerate(marks)}
    return _Wording(
        ticker,
        found.kind,
        found.direction,
        found.aggressiveness,
        tuple(dict.fromkeys((places[found.low], places[found.high]))),
        tuple(places[target] for target in found.targets),
        None if found.stop is None else places[found.stop],
        found.label,
    )


def _is_plan(line: str, lead: Lead) -> bool:
    """Return whether a line is neither a rule, a header nor a ticker."""
    return not (
        setup_headings.is_divider(line)
        or setup_headings.is_blank(line)
        or setup_headings.is_header(lead.text)
        or setup_headings.is_date_line(lead.text)
        or setup_headings.ticker_header(lead.text)
        or setup_headings.ticker_alone(lead.text)
    )


def _may_be_setup(lead: Lead) -> bool:
    """Return whether a line tries to be a setup by words of its own, and is no bias and no targets."""
    text = lead.with_symbols
    phrase, _, _ = lead.text.partition(str(_LOWEST_MARK))
    return (
        bool(tokenize(text))
        and setup_headings.looks_like_setup(lead)
        and names_itself(phrase)
        and not setup_bias.is_bias(lead.symbols, lead.text)
        and not is_heading(text)
        and not read_prices(text)
        and read_arrow(text, "long") is None
        and read_details(text, "long") is None
    )
