"""The parsed trade-setups message that `parse_setups` of `trade_setups.py` returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ingest_pipeline.domain.extract.setup_bias import Stance
from ingest_pipeline.domain.extract.setup_tokens import Aggressiveness, Direction, Kind


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
    """What is expected of a ticker, or of the market.

    Attributes:
        ticker: None where it stands above all tickers or is said of the market.
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
    """A line that is none of the others.

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
    """Everything in one message; each tuple in the order of its lines."""

    headers: tuple[Header, ...]
    ticker_lines: tuple[TickerLine, ...]
    setups: tuple[TradeSetup, ...]
    biases: tuple[Bias, ...]
    unparsed: tuple[UnparsedLine, ...]

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
