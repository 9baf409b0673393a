"""Trade setups: the planned trades of one message, line by line.

    A+ Scalp Trade Setups — Thu May 29

    NVDA
    🔻 Aggressive Breakdown Below 141.33 🔻 139.90, 138.40
    🔄 Bounce Zone 138.50-139.00 🔼 142.00, 143.80
    ⚠️ Bias — bearish into open

Each line that is not blank ends up in exactly one place: a header, a ticker, a setup, a bias, or the
unparsed lines with the reason. A line that begins with its ticker (`1) SPY: Rejection Near 528.8`)
counts as what follows the ticker. A line that only adds targets or a stop to the setup right above
it, and a dash line that goes on with the bias right above it, belong to these (`continued_on`).

How one setup is read, and when it is refused, stands in `setup_grammar.py`; headings in
`setup_headings.py`, the day in `setup_dates.py`, the stance in `setup_bias.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from ingest_pipeline.domain.extract import setup_headings, setup_message
from ingest_pipeline.domain.extract.setup_grammar import (
    Refusal,
    SetupLine,
    distance_problem,
    read_details,
    read_setup,
)
from ingest_pipeline.domain.extract.setup_headings import Lead, names_a_day, read_day
from ingest_pipeline.domain.extract.setup_message import (
    Bias,
    Header,
    SetupMessage,
    TickerLine,
    TradeSetup,
    UnparsedLine,
)
from ingest_pipeline.domain.extract.setup_tail import Details
from ingest_pipeline.domain.extract.setup_tokens import Direction, clean
from ingest_pipeline.errors import BadInput

__all__ = [
    "SETUP_PARSER_VERSION",
    "Bias",
    "Header",
    "SetupMessage",
    "TickerLine",
    "TradeSetup",
    "UnparsedLine",
    "parse_setups",
]

SETUP_PARSER_VERSION = 2

# A cross leads rejections; before any other setup it says that the setup failed or no longer holds.
_CROSSES = frozenset("\u274c\u274e\u2716\U0001f6ab")


def parse_setups(content: str, posted_at: datetime) -> SetupMessage:
    """Read one message.

    Args:
        content: The whole content as Discord delivers it.
        posted_at: Aware time of posting, by which a date without a year is completed.

    Returns:
        What it plans, with lines counted from 1 as `str.splitlines` splits them. Any text can be
        read; one that plans nothing is all unparsed lines.

    Raises:
        BadInput: `posted_at` has no time zone.
    """
    if posted_at.tzinfo is None:
        raise BadInput(f"posted_at {posted_at.isoformat()} has no time zone: pass an aware UTC time")
    reader = _Reader(posted_at.astimezone(UTC))
    for number, line in enumerate(content.splitlines(), start=1):
        reader.read(number, line.strip())
    return reader.message()


@dataclass(slots=True)
class _Reader:
    """Walks through the lines, knowing the header, the ticker and what the line above was."""

    posted_at: datetime
    headers: list[Header] = field(default_factory=list)
    ticker_lines: list[TickerLine] = field(default_factory=list)
    setups: list[TradeSetup] = field(default_factory=list)
    biases: list[Bias] = field(default_factory=list)
    unparsed: list[UnparsedLine] = field(default_factory=list)
    ticker: str | None = None
    section_start: int = 0
    above: str = ""
    targets_below: bool = False

    def message(self) -> SetupMessage:
        return SetupMessage(
            tuple(self.headers),
            tuple(self.ticker_lines),
            tuple(self.setups),
            tuple(self.biases),
            tuple(self.unparsed),
        )

    def read(self, number: int, line: str) -> None:
        """Read one line into exactly one place; a blank one only separates."""
        if not line:
            self.above = "setup" if self.above == "setup" else "blank"
        elif setup_headings.is_divider(line):
            self._divide(number, line)
        elif "~~" in line:
            self._leave(
                number, line, "is struck through", setup_headings.take_apart(clean(line.replace("~~", "")))
            )
        else:
            self._read_text(number, line, clean(line))

    def _read_text(self, number: int, line: str, text: str) -> None:
        lead = setup_headings.take_apart(text)
        if self._is_header(lead.text):
            self._section(None)
            self._add_header(line, (number,))
        elif setup_headings.is_date_line(lead.text) and self._awaits_day():
            self._day_line(number, line)
        elif ticker := setup_headings.ticker_alone(lead.text):
            self._section(ticker)
            self.ticker_lines.append(TickerLine(ticker, number))
            self.above = "ticker"
        elif self._goes_on(text):
            self._continue_bias(number, text)
        else:
            prefix = setup_headings.ticker_prefix(lead)
            if prefix:
                ticker, lead = prefix
                if ticker != self.ticker:
                    self._section(ticker)
            self._read_plan(number, line, lead)

    def _read_plan(self, number: int, line: str, lead: Lead) -> None:
        if setup_message.is_bias(lead.symbols, lead.text):
            self._bias(number, lead)
            return
        details = read_details(lead.with_symbols, self._direction_above())
        if details is not None:
            problem = self._attach(number, details)
            if problem:
                self._leave(number, line, problem)
        elif setup_headings.looks_like_setup(lead):
            setup = read_setup(lead.with_symbols)
            if isinstance(setup, Refusal):
                heading = lead if setup_headings.may_begin_with_ticker(lead) else None
                self._leave(number, line, setup.reason, heading)
            elif setup.kind != "rejection" and _CROSSES.intersection(lead.symbols):
                self._leave(
                    number, line, f"is crossed out by its emoji, being no rejection but a {setup.kind}"
                )
            else:
                self._setup(number, line, setup)
        else:
            self._leave(number, line, "is no header, ticker, setup or bias", lead)

    def _section(self, ticker: str | None) -> None:
        self.ticker = ticker
        self.above = ""
        self.section_start = len(self.setups)

    def _day(self) -> date | None:
        return self.headers[-1].trading_day if self.headers else None

    def _direction_above(self) -> Direction:
        return self.setups[-1].direction if self.setups else "long"

    def _leave(self, number: int, line: str, reason: str, heading: Lead | None = None) -> None:
        """Keep a line as unparsed; one that may be a heading ends its section."""
        if heading is not None and setup_headings.ends_section(heading):
            self._section(None)
        self.unparsed.append(UnparsedLine(line, reason, self.ticker, number))
        self.above = "unparsed"

    def _divide(self, number: int, line: str) -> None:
        # A rule under a ticker underlines it; anywhere else it ends the section.
        underline, self.above = self.above == "ticker", "divider"
        if not underline:
            self._section(None)
        self.unparsed.append(UnparsedLine(line, "is a rule between sections", self.ticker, number))

    def _is_header(self, text: str) -> bool:
        """Return whether a line is a header; below the first one, or below a ticker, it must name a day."""
        above = bool(self.headers or self.ticker or self.setups)
        return setup_headings.is_header(text) and (not above or names_a_day(text))

    def _awaits_day(self) -> bool:
        return not self.ticker and not self.setups and not (self.headers and self.headers[-1].trading_day)

    def _day_line(self, number: int, line: str) -> None:
        above = self.headers.pop() if self.headers else None
        if above is None:
            self._add_header(line, (number,))
        else:
            self._add_header(f"{above.text}\n{line}", (above.line_number, *above.continued_on, number))

    def _add_header(self, text: str, numbers: tuple[int, ...]) -> None:
        reading = read_day(clean(text), self.posted_at)
        self.headers.append(Header(text, reading.day, reading.problem, numbers[0], numbers[1:]))
        self.above = "header"

    def _bias(self, number: int, lead: Lead) -> None:
        ticker = None if setup_message.concerns_market(lead.text) else self.ticker
        text = setup_message.bias_text(lead.text)
        self.biases.append(Bias(ticker, self._day(), text, setup_message.read_stance(text), number))
        self.above = "bias"

    def _goes_on(self, text: str) -> bool:
        """Return whether a line continues the bias above: by its dash, or because that is still empty."""
        lead = setup_headings.take_apart(text)
        if self.above != "bias" or lead.symbols or not lead.text:
            return False
        if text.startswith(("\u2013", "\u2014")):
            return True
        return not self.biases[-1].text and not setup_headings.looks_like_setup(lead)

    def _continue_bias(self, number: int, text: str) -> None:
        bias = self.biases[-1]
        whole = f"{bias.text} {text}".strip()
        self.biases[-1] = replace(
            bias,
            text=whole,
            stance=bias.stance or setup_message.read_stance(whole),
            continued_on=(*bias.continued_on, number),
        )

    def _setup(self, number: int, line: str, found: SetupLine) -> None:
        if self.ticker is None:
            self._leave(number, line, "stands under no ticker")
            return
        single = found.low == found.high
        self.setups.append(
            TradeSetup(
                ticker=self.ticker,
                trading_day=self._day(),
                kind=found.kind,
                direction=found.direction,
                aggressiveness=found.aggressiveness,
                trigger=found.low if single else None,
                zone_low=None if single else found.low,
                zone_high=None if single else found.high,
                targets=found.targets,
                stop=found.stop,
                label=found.label,
                line_number=number,
            )
        )
        self.above, self.targets_below = "setup", False

    def _attach(self, number: int, details: Details | Refusal) -> str | None:
        """Add targets or a stop to the setup right above; return why not."""
        if isinstance(details, Refusal):
            return details.reason
        if self.above != "setup":
            return "has targets or a stop but no setup right above it"
        *others, setup = self.setups[self.section_start :]
        repeated = bool(details.targets and setup.targets) and not self.targets_below
        if repeated or None not in {details.stop, setup.stop}:
            return "repeats what the setup above it has"
        if details.targets and any(not other.targets for other in others):
            return "has targets that may belong to several setups above it"
        problem = distance_problem(setup.low, setup.high, details)
        if problem:
            return problem
        self.targets_below = self.targets_below or bool(details.targets)
        self.setups[-1] = replace(
            setup,
            targets=setup.targets + details.targets,
            stop=setup.stop if details.stop is None else details.stop,
            continued_on=(*setup.continued_on, number),
        )
        return None
