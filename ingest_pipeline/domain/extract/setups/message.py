"""The parsed trade-setups message that `parse_setups` of `trade_setups.py` returns.

`parse_setups` reads any text, and in a channel of chat it leaves every line unparsed. Lines are worth
keeping only of a message that means to plan trades:

- it has a header, or a setup that could be read; or
- a setup that could be read but for its ticker; or
- it names a ticker, and has a bias or a line that tries to be a setup; targets alone do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ingest_pipeline.domain.extract.setups.bias import Stance
from ingest_pipeline.domain.extract.setups.chat import is_chat
from ingest_pipeline.domain.extract.setups.tokens import Aggressiveness, Direction, Kind

# What `parse_setups` says of lines that do not even try to be a setup, and of a whole one without ticker.
_CHAT = frozenset({"is no header, ticker, setup or bias", "is struck through"})
_ONLY_THE_TICKER_IS_MISSING = "stands under no ticker"

# Markup and invisible characters may stand inside a word, as `setup_tokens.clean` allows.
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff]")
_HINTS = (
    *(
        "setup",
        "set-up",
        "break",
        "bias",
        "bullish",
        "bearish",
        "neutral",
        "bulls",
        "bears",
        "buyers",
        "sellers",
    ),
    *("arrow_", "triangle", "warning:", "chart_with"),
)
# Whole words, looked for only where their beginnings are.
_STEMS = ("reject", "bounc", "long", "short", "agg", "con", "above", "over", "below", "under", "beneath")
_WORD_HINTS = re.compile(
    r"(?<![^\W\d_])(?:reject(?:s|ions?|ing)?|bounc(?:es?|ing)|longs?|shorts?|aggr?|aggressive"
    r"|cons?|conserv|conservative)(?![^\W_])|(?:above|over|below|under|beneath)[\W_]*[0-9]"
)
_SIGN_HINTS = re.compile(
    "[\u26a0\U0001f53c\U0001f53a\U0001f199\U0001f4c8\u2b06\u2191\u2197\u2934\u23eb\u25b2\u25b3"
    "\U0001f53b\U0001f53d\U0001f4c9\u2b07\u2193\u2198\u2935\u23ec\u25bc\u25bd]"
)


@dataclass(frozen=True, slots=True)
class Header:
    """The line that announces setups for a day.

    Attributes:
        text: The line as written, stripped; with its date line, if that stands apart.
        trading_day: The day, or None.
        day_problem: Why there is no day; None when there is.
        line_number: Counted from 1.
        continued_on: The number of the date line, if that stands apart.
    """

    text: str
    trading_day: date | None
    day_problem: str | None
    line_number: int
    continued_on: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TickerLine:
    """A line that holds a ticker alone; the lines below it are this ticker's."""

    ticker: str
    line_number: int


@dataclass(frozen=True, slots=True)
class TradeSetup:
    """One planned trade.

    Prices have at most nine digits before and eight after the point; longer numbers are not read.

    Attributes:
        ticker: In capitals, without `$`.
        trading_day: The day of the header above it, or None.
        kind: Breakout, breakdown, rejection or bounce.
        direction: Long or short.
        aggressiveness: Aggressive, conservative, or None where the line says neither.
        trigger: The level, or None for a zone.
        zone_low: The zone's lower end, or None for a single level.
        zone_high: The zone's upper end, or None for a single level.
        targets: In the order written.
        stop: The stop level, or None.
        label: The words before the level, such as `Aggressive Breakdown Below`.
        line_number: Counted from 1.
        continued_on: Numbers of the lines below that add targets or the stop.
    """

    ticker: str
    trading_day: date | None
    kind: Kind
    direction: Direction
    aggressiveness: Aggressiveness | None
    trigger: Decimal | None
    zone_low: Decimal | None
    zone_high: Decimal | None
    targets: tuple[Decimal, ...]
    stop: Decimal | None
    label: str
    line_number: int
    continued_on: tuple[int, ...] = ()

    @property
    def low(self) -> Decimal:
        """The level, or the zone's lower end."""
        return next(each for each in (self.trigger, self.zone_low) if each is not None)

    @property
    def high(self) -> Decimal:
        """The level, or the zone's upper end."""
        return next(each for each in (self.trigger, self.zone_high) if each is not None)

    @property
    def suspect_targets(self) -> tuple[Decimal, ...]:
        """Targets on the wrong side of the level: recorded as written, but probably slips."""
        if self.direction == "long":
            return tuple(target for target in self.targets if target <= self.low)
        return tuple(target for target in self.targets if target >= self.high)


@dataclass(frozen=True, slots=True)
class Bias:
    """The bias of a ticker, or of the market.

    Attributes:
        ticker: None where it stands above all tickers or is about the market.
        trading_day: The day of the header above it, or None.
        text: The sentence, without the word `Bias` that announces it.
        stance: Bullish, bearish or neutral where the text says so outright, else None.
        line_number: Counted from 1.
        continued_on: Numbers of the lines below that go on with it.
    """

    ticker: str | None
    trading_day: date | None
    text: str
    stance: Stance | None
    line_number: int
    continued_on: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class UnparsedLine:
    """A line that is not one of the others.

    Attributes:
        text: As written, stripped.
        reason: Why; reads on after "the line …".
        ticker: The ticker it stands under, if any.
        line_number: Counted from 1.
    """

    text: str
    reason: str
    ticker: str | None
    line_number: int


@dataclass(frozen=True, slots=True)
class SetupMessage:
    """Everything in one message; each tuple in the order of its lines.

    Attributes:
        kind_lines: Numbers of the lines that name the kind of the setups below them: `Breakdown`.
    """

    headers: tuple[Header, ...]
    ticker_lines: tuple[TickerLine, ...]
    setups: tuple[TradeSetup, ...]
    biases: tuple[Bias, ...]
    unparsed: tuple[UnparsedLine, ...]
    kind_lines: tuple[int, ...] = ()

    @property
    def trading_day(self) -> date | None:
        """The day of the first header, or None."""
        return self.headers[0].trading_day if self.headers else None

    @property
    def day_problem(self) -> str | None:
        """Why the message has no trading day; None when it has one."""
        return self.headers[0].day_problem if self.headers else "has no header"

    @property
    def tickers(self) -> tuple[str, ...]:
        """Every ticker named, once, in order of appearance."""
        lines = [(line.line_number, line.ticker) for line in self.ticker_lines]
        lines += [(setup.line_number, setup.ticker) for setup in self.setups]
        lines += [(bias.line_number, bias.ticker) for bias in self.biases if bias.ticker]
        lines += [(line.line_number, line.ticker) for line in self.unparsed if line.ticker]
        return tuple(dict.fromkeys(ticker for _, ticker in sorted(lines)))


def may_plan_trades(content: str) -> bool:
    """Return whether a text is worth parsing; False is certain; chat is recognized by a look at each line."""
    return _has_hint(content) and not is_chat(content)


def _has_hint(content: str) -> bool:
    ascii_only = content.isascii()
    text = content.lower() if ascii_only else _INVISIBLE.sub("", content).casefold()
    if any(map(text.__contains__, _HINTS)):
        return True
    if any(map(text.__contains__, _STEMS)) and _WORD_HINTS.search(text):
        return True
    return not ascii_only and _SIGN_HINTS.search(text) is not None


def plans_trades(message: SetupMessage) -> bool:
    """Return whether a parsed message is about trade setups, so that all its lines are kept."""
    if message.headers or message.setups:
        return True
    if any(line.reason == _ONLY_THE_TICKER_IS_MISSING for line in message.unparsed):
        return True
    return bool(message.tickers) and bool(message.biases or _attempts(message.unparsed))


def _attempts(lines: tuple[UnparsedLine, ...]) -> list[UnparsedLine]:
    return [line for line in lines if line.reason not in _CHAT]
