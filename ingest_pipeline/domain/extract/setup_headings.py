"""Headings of trade setups, and the days that they name.

A wrong ticker is worse than a missing setup. So a line that looks like a heading but names no
ticker (`Tsla`, `SPY / QQQ`, `3) Oil`) ends the section above it: setups below it stay without a
ticker instead of being given to the one before.

A date is never made up: where the text allows two days, contradicts itself, or lies absurdly far
from the time of posting, there is no day but a problem that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ingest_pipeline.domain.extract.setup_tokens import (
    LEADING_WORDS,
    VOCABULARY,
    Sign,
    is_symbol,
    is_target_word,
    tokenize,
)

_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = re.compile(
    r"(?<![0-9])(?P<iso_year>20[0-9]{2})[-/](?P<iso_month>[0-9]{1,2})[-/](?P<iso_day>[0-9]{1,2})(?![0-9])"
    rf"|\b{_MONTH.format('month_first')}\s*(?P<day_second>[0-9]{{1,2}})(?:st|nd|rd|th)?\b"
    r"(?:\s*,?\s*(?P<year_a>20[0-9]{2})\b)?"
    rf"|\b(?P<day_first>[0-9]{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('month_second')}(?!\w)"
    r"(?:\s*,?\s*(?P<year_b>20[0-9]{2})\b)?"
    r"|(?<![\w./-])(?P<left>[0-9]{1,2})(?P<mark>[/.-])(?P<right>[0-9]{1,2})"
    r"(?:(?P=mark)(?P<year_c>20[0-9]{2}|[0-9]{2}))?(?![\w/-]|\.[0-9])",
    re.IGNORECASE,
)
_WEEKDAY = re.compile(
    r"\b(?:(mon)|(tues?)|(wed(?:s|nes)?)|(thu(?:rs?)?)|(fri)|(sat(?:ur)?)|(sun))(?:day)?\b", re.IGNORECASE
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# A plan is posted for a day close by; beyond this a date without a year is another year's or a slip.
_FARTHEST = timedelta(days=60)
# Between 5 June and May 6 the one within a week of posting is meant, if only one is.
_CLOSE = timedelta(days=7)
_BULLETS = frozenset("-\u2013\u2014\u2022\u00b7\u2023\u25aa\u25e6#>|+")
_NUMBERING = re.compile(r"[0-9]{1,2}[.)](?=\s|$|[A-Za-z$])|[0-9]\u20e3")
_DIVIDER = re.compile(r"(?=.{3})[-\u2010-\u2015\u2500-\u257f_=*~.\u2022\u00b7\s]+")

_QUOTES = "USD[TC]?|EUR|GBP|JPY|CHF|CAD|AUD|NZD|BTC|ETH|PERP"
_TICKER = (
    r"(?P<mark>[$/]?)(?P<ticker>[A-Za-z]{1,5}[0-9]{0,3}"
    rf"(?:\.[A-Za-z]{{1,2}}|-[A-Za-z]|[/-]?(?:{_QUOTES}))?)(?![A-Za-z0-9])!?"
)
_ALONE = re.compile(
    rf"{_TICKER}\s*[:\-\u2013\u2014.]*\s*"
    r"(?:\([^()]*\)|(?:@\s*)?\$?[0-9][0-9,]*(?:\.[0-9]+)?|levels|setups?|scalps?|plan)?\s*[:\-\u2013\u2014]*",
    re.ASCII,
)
_PREFIX = re.compile(
    rf"{_TICKER}(?P<separator>\s*[:|]\s*|\s+[-\u2013\u2014]+\s*|\s*)(?P<rest>\S.*)", re.ASCII
)
_BIAS_WORDS = frozenset({"bias", "bullish", "bearish", "neutral", "leaning"})
# Words in capitals that are hardly ever meant as a ticker; written `$OPEN`, they are.
_NOT_TICKERS = frozenset(
    re.findall(
        r"[A-Z]+",
        """
        NOTE NOTES EDIT ALERT NEWS INFO PLAN RISK READ SETUP TBA TBD NFA TLDR FYI IMO IDK ASAP BTW PS
        TODAY NOW DAY AM PM EOD EOW ET EST EDT CST PST UTC RTH PRE POST LIVE END NEW
        FED FOMC CPI PPI NFP GDP VWAP EMA SMA RSI ATH HOD LOD PMH PML PDH PDL
        BUY SELL HOLD WAIT EXIT OPEN CLOSE HIGH LOW UP DOWN CALLS PUTS SWING BULL BULLS BEAR BEARS
        A ALL ALSO AND I NO YES OK GO GOOD NICE GM GL GG HI HEY TY THX LFG LETS LOL LMAO OMG WOW WTF
        YOLO FOMO RIP BOOM MOON FREE
        """,
    )
)
_HEADER = re.compile(
    r"(?:(?:today'?s|tomorrow'?s|daily|my|the|updated?)\s+)*(?P<grade>a\+\s*)?"
    r"(?P<kinds>(?:(?:scalp(?:ing)?|trad(?:e|es|ing)|day|swing|options?|test|draft)\s+)*)set-?ups?\b(?P<rest>.*)",
    re.IGNORECASE,
)
_SUBHEADINGS = frozenset({"setups", "notes", "note", "plan", "update", "edit", "edited"})


@dataclass(frozen=True, slots=True)
class DayReading:
    """A mention of the trading day in a text.

    Attributes:
        day: The day, or None.
        problem: Why there is no day; None when there is.
    """

    day: date | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Mention:
    text: str
    year: int | None
    options: frozenset[tuple[int, int]]


def read_day(text: str, posted_at: datetime) -> DayReading:
    """Read the trading day out of a header.

    Args:
        text: The header.
        posted_at: When the message was posted; a date without a year is the nearest to it.

    Returns:
        The day, or why there is none.
    """
    mentions = list(_mentions(text))
    weekdays = _weekdays(text)
    if not mentions:
        return _problem("names a weekday but no date" if weekdays else "names no date")
    if len({(mention.year, mention.options) for mention in mentions}) > 1:
        return _problem("names several dates: " + ", ".join(mention.text for mention in mentions))
    mention = mentions[0]
    posted = posted_at.date()
    days = {day for option in mention.options if (day := _nearest(mention.year, *option, posted))}
    if not days:
        return _problem(f"{mention.text!r} is not a day of the calendar near the time of posting")
    if weekdays:
        return _with_weekday(mention, days, weekdays, posted)
    return _choose(mention, days, posted)


def names_a_day(text: str) -> bool:
    """Return whether a text holds a date, however written."""
    return next(_mentions(text), None) is not None


def without_day(text: str) -> str:
    """Return a text without its dates and weekdays."""
    return _WEEKDAY.sub(" ", _DATE.sub(" ", text))


def _problem(text: str) -> DayReading:
    return DayReading(None, text)


def _weekdays(text: str) -> set[int]:
    return {match.lastindex - 1 for match in _WEEKDAY.finditer(text) if match.lastindex}


def _mentions(text: str) -> Iterator[_Mention]:
    for match in _DATE.finditer(text):
        found = match.groupdict()
        if found["iso_year"]:
            yield _mention(match, found["iso_year"], [(found["iso_month"], found["iso_day"])])
        elif found["left"]:
            # A dot or hyphen without a year is a price or a range far more often than a date.
            if found["mark"] == "/" or found["year_c"]:
                pair = (found["left"], found["right"])
                yield _mention(match, found["year_c"], [pair, pair[::-1]])
        else:
            month = found["month_first"] or found["month_second"]
            number = str(_MONTHS.index(month[:3].lower()) + 1)
            day = found["day_second"] or found["day_first"]
            yield _mention(match, found["year_a"] or found["year_b"], [(number, day)])


def _mention(match: re.Match[str], year: str | None, options: list[tuple[str, str]]) -> _Mention:
    full_year = None if year is None else int(year) % 2000 + 2000
    return _Mention(match[0], full_year, frozenset((int(month), int(day)) for month, day in options))


def _nearest(year: int | None, month: int, day: int, posted: date) -> date | None:
    """Return the day of the year given, or of the year that brings it nearest to the posting."""
    years = [year] if year is not None else [posted.year - 1, posted.year, posted.year + 1]
    days = [found for candidate in years if (found := _calendar_day(candidate, month, day))]
    if year is None:
        days = [found for found in days if abs(found - posted) <= _FARTHEST]
    return min(days, key=lambda found: abs(found - posted), default=None)


def _calendar_day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _with_weekday(mention: _Mention, days: set[date], weekdays: set[int], posted: date) -> DayReading:
    if len(weekdays) > 1:
        return _problem(f"names several weekdays beside {mention.text!r}")
    agreeing = {day for day in days if day.weekday() in weekdays}
    if not agreeing:
        actual = " or ".join(f"{day:%A} {day.isoformat()}" for day in sorted(days))
        return _problem(f"the weekday contradicts {mention.text!r}, which is {actual}")
    return _choose(mention, agreeing, posted)


def _choose(mention: _Mention, days: set[date], posted: date) -> DayReading:
    close = {day for day in days if abs(day - posted) <= _CLOSE}
    for candidates in (days, close):
        if len(candidates) == 1:
            return DayReading(next(iter(candidates)), None)
    return _problem(f"{mention.text!r} may be " + " or ".join(day.isoformat() for day in sorted(days)))


@dataclass(frozen=True, slots=True)
class Lead:
    """A cleaned line, taken apart.

    Attributes:
        symbols: The emoji and arrows it begins with.
        numbered: Whether it begins with a number as in a list.
        text: The rest.
    """

    symbols: str
    numbered: bool
    text: str

    @property
    def with_symbols(self) -> str:
        """The line without bullets and numbering."""
        return f"{self.symbols} {self.text}".strip()


def take_apart(line: str) -> Lead:
    """Split bullets, numbering and leading emoji off a cleaned line."""
    symbols, numbered, position = "", False, 0
    while position < len(line):
        numbering = _NUMBERING.match(line, position)
        if numbering:
            numbered, position = True, numbering.end()
        elif is_symbol(line[position]):
            symbols, position = symbols + line[position], position + 1
        elif line[position].isspace() or line[position] in _BULLETS:
            position += 1
        else:
            break
    return Lead(symbols, numbered, line[position:])


def is_header(text: str) -> bool:
    """Return whether a line announces trade setups: `A+ Scalp Trade Setups`, with or without a date."""
    match = _HEADER.fullmatch(text)
    if match is None or not (match["grade"] or match["kinds"] or names_a_day(text)):
        return False
    rest = re.sub(r"\([^)]*\)", " ", without_day(match["rest"]))
    return len(re.findall(r"\w+", rest)) <= 2


def is_date_line(text: str) -> bool:
    """Return whether a line holds a date and nothing else."""
    return names_a_day(text) and not re.search(r"\w", without_day(text))


def is_divider(line: str) -> bool:
    """Return whether a line, as written, is a rule of dashes or the like."""
    return _DIVIDER.fullmatch(line) is not None


def ticker_alone(text: str) -> str | None:
    """Return the ticker of a line with nothing else than decoration, a price or a note in parentheses."""
    while text and (text[-1].isspace() or is_symbol(text[-1])):
        text = text[:-1]
    match = _ALONE.fullmatch(text)
    return _ticker(match) if match else None


def ticker_prefix(lead: Lead) -> tuple[str, Lead] | None:
    """Return the ticker that a line begins with, and the line without it; None if it begins otherwise."""
    match = _PREFIX.fullmatch(lead.text)
    ticker = _ticker(match) if match else None
    if match is None or ticker is None:
        return None
    rest = match["rest"]
    separated = bool(match["separator"].strip()) and rest[0] not in "$.0123456789"
    if not (separated or _begins_a_setup(rest)):
        return None
    inner = take_apart(rest)
    return ticker, Lead(lead.symbols + inner.symbols, lead.numbered, inner.text)


def looks_like_setup(lead: Lead) -> bool:
    """Return whether a line should be read as a setup: it names a kind, a direction or how aggressive."""
    tokens = tokenize(lead.with_symbols)
    if any(token.sign is Sign.WORD and token.text in LEADING_WORDS for token in tokens):
        return True
    return bool(tokens) and tokens[0].sign in {Sign.UP, Sign.DOWN}


def ends_section(lead: Lead) -> bool:
    """Return whether a line that is nothing known looks like a heading, so that a section ends at it."""
    words = re.findall(r"\w+", lead.text)
    if not words or lead.text.startswith("@"):
        return False
    if words[0].lower() in VOCABULARY | _SUBHEADINGS:
        return False
    return lead.numbered or len(words) <= 3 or may_begin_with_ticker(lead)


def may_begin_with_ticker(lead: Lead) -> bool:
    """Return whether a setup follows an unknown first word, which may be a ticker: `Tesla breakout 290`."""
    first, *others = [*tokenize(lead.text)[:3], None]
    if first is None or first.sign is not Sign.WORD or first.text in VOCABULARY or first.is_target_word:
        return False
    following = next((token for token in others if token and token.sign not in {Sign.COLON, Sign.DASH}), None)
    return following is not None and following.text in LEADING_WORDS


def _ticker(match: re.Match[str]) -> str | None:
    ticker: str = match["ticker"].upper()
    if match["mark"] == "$":
        return ticker
    known = ticker.lower() in VOCABULARY | _BIAS_WORDS or ticker in _NOT_TICKERS or is_target_word(ticker)
    return ticker if match["ticker"].isupper() and not known else None


def _begins_a_setup(rest: str) -> bool:
    if is_symbol(rest[0]):
        return True
    tokens = tokenize(rest)
    return bool(tokens) and tokens[0].start == 0 and tokens[0].text in LEADING_WORDS | _BIAS_WORDS
