"""Trade setups: the planned trades of one message, line by line.

    A+ Scalp Trade Setups — Thu May 29

    NVDA
    🔻 Aggressive Breakdown Below 141.33 🔻 139.90, 138.40
    🔄 Bounce Zone 138.50-139.00 🔼 142.00, 143.80
    ⚠️ Bias — bearish into open

Each line that says something ends up in exactly one place: a header, a ticker, the kind of the setups
below, a setup, a bias, or the unparsed lines with the reason. Blank lines, rules of dashes, the fences of
code blocks and lone mentions say nothing. A line that begins with its ticker (`1) SPY: Rejection Near
528.8`) counts as what follows the ticker. A line that only adds targets or a stop to the setup right
above it, and a dash line that goes on with the bias right above it, belong to these (`continued_on`).

`grammar.py` has how a setup is read and when it is refused; `headings.py`, `dates.py` and `bias.py` the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from ingest_pipeline.domain.extract.setups import bias as stances
from ingest_pipeline.domain.extract.setups import headings
from ingest_pipeline.domain.extract.setups.dates import names_a_day, read_day
from ingest_pipeline.domain.extract.setups.grammar import (
    SetupLine,
    distance_problem,
    is_heading,
    names_itself,
    read_below,
    read_setup,
)
from ingest_pipeline.domain.extract.setups.headings import Lead
from ingest_pipeline.domain.extract.setups.message import (
    Bias,
    Header,
    SetupMessage,
    TickerLine,
    TradeSetup,
    UnparsedLine,
)
from ingest_pipeline.domain.extract.setups.shapes import CROSSES, read_alike
from ingest_pipeline.domain.extract.setups.tail import (
    NAMES_NO_PRICE,
    Details,
    Refusal,
    read_arrow,
    read_details,
    read_prices,
)
from ingest_pipeline.domain.extract.setups.tokens import Direction, Sign, clean, is_mention, tokenize
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

SETUP_PARSER_VERSION = 3

_CHAT = "is no header, ticker, setup or bias"


def parse_setups(content: str, posted_at: datetime) -> SetupMessage:
    r"""Read one message.

    Args:
        content: The whole content as Discord delivers it.
        posted_at: Aware time of posting, by which a date without a year is completed.

    Returns:
        What it plans, with lines counted from 1 as Discord breaks them, at `\n` alone. Any text can
        be read; one that plans nothing is all unparsed lines.

    Raises:
        BadInput: `posted_at` has no time zone.
    """
    if posted_at.tzinfo is None:
        raise BadInput(f"posted_at {posted_at.isoformat()} has no time zone: pass an aware UTC time")
    reader = _Reader(posted_at.astimezone(UTC))
    for number, line in enumerate(content.split("\n"), start=1):
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
    kind_lines: list[int] = field(default_factory=list)
    ticker: str | None = None
    section_start: int = 0
    above: str = ""
    targets_below: bool = False
    heading: str = ""
    # The last unparsed line, while what is below may yet explain it: a heading, or `Targets:`.
    open_line: UnparsedLine | None = None

    def message(self) -> SetupMessage:
        found = (self.headers, self.ticker_lines, self.setups, self.biases, self.unparsed, self.kind_lines)
        return SetupMessage(*map(tuple, found))  # type: ignore[arg-type]

    def read(self, number: int, line: str) -> None:
        """Read one line into exactly one place; one that says nothing only separates."""
        if alike := read_alike(line):
            self._begin(alike[0])
            self._setup(number, line, alike[1], under_heading=False)
            return
        text = clean(line)
        ruled = headings.is_divider(line)
        if headings.is_blank(line) or is_mention(line) or not (text or ruled):
            self._separate()
        elif ruled:
            self._divide()
        elif "~~" in line:
            struck = headings.take_apart(clean(line.replace("~~", "")))
            self._leave(number, line, "is struck through", struck)
        else:
            self._read_text(number, line, text)

    def _separate(self) -> None:
        self.above = self.above if self.above in {"setup", "targets"} else "blank"

    def _read_text(self, number: int, line: str, text: str) -> None:
        lead = headings.take_apart(text)
        if not lead.with_symbols:
            self._separate()
        elif self._is_header(lead.text):
            self._section(None)
            self._add_header(line, (number,))
        elif self._completes_header(lead.text):
            self._day_line(number, line)
        elif ticker := headings.ticker_header(lead.text):
            self._section(ticker)
            self._add_header(line, (number,))
        elif ticker := headings.ticker_alone(lead.text):
            self._section(ticker)
            self.ticker_lines.append(TickerLine(ticker, number))
            self.above = "ticker"
        elif self._goes_on(text):
            self._continue_bias(number, text)
        else:
            prefix = headings.ticker_prefix(lead)
            if prefix:
                ticker, lead = prefix
                self._begin(ticker)
            self._read_plan(number, line, lead)

    def _begin(self, ticker: str | None) -> None:
        if ticker and ticker != self.ticker:
            self._section(ticker)

    def _read_plan(self, number: int, line: str, lead: Lead) -> None:
        if stances.is_bias(lead.symbols, lead.text):
            self._bias(number, lead)
            return
        details = self._details(lead)
        if details is not None:
            below, problem = self.above == "setup", self._attach(number, details)
            if problem:
                self._leave(number, line, problem)
                self._open_targets(lead, below=below and problem == NAMES_NO_PRICE)
        elif is_heading(lead.with_symbols):
            self._leave(number, line, "names no level")
            self.heading, self.open_line = lead.with_symbols, self.unparsed[-1]
        else:
            self._read_setup(number, line, lead)

    def _details(self, lead: Lead) -> Details | Refusal | None:
        """Read a line of targets or a stop; its numbers alone do below `Targets:`, an arrow below a setup."""
        direction: Direction = self.setups[-1].direction if self.setups else "long"
        if self.above == "targets":
            prices = read_prices(lead.with_symbols)
            if prices:
                return Details(prices, None)
        if self.above in {"setup", "targets"} and (self.targets_below or not self.setups[-1].targets):
            found = read_arrow(lead.with_symbols, direction)
            if found is not None:
                setup = replace(self.setups[-1], targets=found.targets)
                return Refusal("has targets not beyond the level above") if setup.suspect_targets else found
        return read_details(lead.with_symbols, direction)

    def _read_setup(self, number: int, line: str, lead: Lead) -> None:
        tries, symbols = headings.looks_like_setup(lead), lead.symbols
        sided = tries or headings.names_a_side(lead.text)
        setup = read_setup(lead.with_symbols) if sided else Refusal(_CHAT)
        if self.heading and not (isinstance(setup, SetupLine) and names_itself(lead.text)):
            below = read_below(self.heading, lead.symbols, lead.text)
            # What the heading contradicts is no setup, though it reads as one without the heading.
            if tries or isinstance(setup, SetupLine) or isinstance(below, SetupLine):
                setup, symbols = below, self.heading + lead.symbols
        if not tries and self.ticker is None:
            setup = Refusal(_CHAT)
        if isinstance(setup, Refusal):
            heading = lead if not tries or headings.may_begin_with_ticker(lead) else None
            self._leave(number, line, setup.reason if tries else _CHAT, heading)
        elif setup.kind != "rejection" and CROSSES.intersection(symbols):
            self._leave(number, line, f"is crossed out by its emoji, being no rejection but a {setup.kind}")
        else:
            self._setup(number, line, setup, under_heading=symbols is not lead.symbols)

    def _section(self, ticker: str | None) -> None:
        self.ticker = ticker
        self.above, self.heading, self.open_line = "", "", None
        self.section_start = len(self.setups)

    def _day(self) -> date | None:
        return self.headers[-1].trading_day if self.headers else None

    def _leave(self, number: int, line: str, reason: str, heading: Lead | None = None) -> None:
        """Keep a line as unparsed; one that may be a heading ends its section."""
        if heading is not None and headings.ends_section(heading):
            self._section(None)
        self.unparsed.append(UnparsedLine(line, reason, self.ticker, number))
        self.above, self.heading, self.open_line = "unparsed", "", None

    def _divide(self) -> None:
        # A rule under a ticker underlines it; anywhere else it ends the section.
        underline, self.above = self.above == "ticker", "divider"
        if not underline:
            self._section(None)

    def _is_header(self, text: str) -> bool:
        """Return whether a line is a header; below the first one, or below a ticker, it must name a day."""
        above = bool(self.headers or self.ticker or self.setups)
        return headings.is_header(text) and (not above or names_a_day(text))

    def _completes_header(self, text: str) -> bool:
        """Return whether a line is the day of the header above, or the header of the day above."""
        if self.ticker or self.setups:
            return False
        if self.headers and self.headers[-1].trading_day:
            return headings.heads_date(clean(self.headers[-1].text), text)
        return headings.is_date_line(text)

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
        ticker = None if stances.concerns_market(lead.text) else self.ticker
        text = stances.bias_text(lead.text)
        self.biases.append(Bias(ticker, self._day(), text, stances.read_stance(text), number))
        self.above, self.heading = "bias", ""

    def _goes_on(self, text: str) -> bool:
        """Return whether a line continues the bias above: by its dash, or because that is still empty."""
        lead = headings.take_apart(text)
        if self.above != "bias" or lead.symbols or not lead.text:
            return False
        if text.startswith(("\u2013", "\u2014")):
            return True
        return not self.biases[-1].text and not headings.looks_like_setup(lead)

    def _continue_bias(self, number: int, text: str) -> None:
        bias = self.biases[-1]
        whole = f"{bias.text} {text}".strip()
        self.biases[-1] = replace(
            bias,
            text=whole,
            stance=bias.stance or stances.read_stance(whole),
            continued_on=(*bias.continued_on, number),
        )

    def _setup(self, number: int, line: str, found: SetupLine, *, under_heading: bool) -> None:
        if self.ticker is None:
            self._leave(number, line, "stands under no ticker")
            return
        if under_heading:
            self.kind_lines += self._explain()
        else:
            self.heading, self.open_line = "", None
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

    def _explain(self) -> tuple[int, ...]:
        """Take the open line off the unparsed ones, since what stands below explains it."""
        if self.open_line is None:
            return ()
        line, self.open_line = self.open_line, None
        self.unparsed.remove(line)
        return (line.line_number,)

    def _open_targets(self, lead: Lead, *, below: bool) -> None:
        """Take a lone `Targets:` right below a setup as the heading of its targets."""
        words = [token for token in tokenize(lead.text) if token.sign is Sign.WORD]
        if below and not self.setups[-1].targets and len(words) == 1 and words[0].is_target_word:
            self.above, self.open_line = "targets", self.unparsed[-1]

    def _attach(self, number: int, details: Details | Refusal) -> str | None:
        """Add targets or a stop to the setup right above; return why not."""
        if isinstance(details, Refusal):
            return details.reason
        if self.above not in {"setup", "targets"}:
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
            continued_on=(*setup.continued_on, *self._explain(), number),
        )
        return None
