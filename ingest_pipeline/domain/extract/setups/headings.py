"""Headings of trade setups: headers, tickers, rules.

A wrong ticker is worse than a missing setup. So a line that looks like a heading but names no
ticker (`Tsla`, `SPY / QQQ`, `3) Oil`) ends the section above it: setups below it stay without a
ticker instead of being given to the one before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest_pipeline.domain.extract.setups.dates import names_a_day, without_day
from ingest_pipeline.domain.extract.setups.tokens import (
    LEADING_WORDS,
    VOCABULARY,
    Sign,
    is_symbol,
    is_target_word,
    tokenize,
)

_BULLETS = frozenset("-\u2013\u2014\u2022\u00b7\u2023\u25aa\u25e6#>|+=")
_NUMBERING = re.compile(
    r"[0-9]{1,2}[.)](?=\s|$|[A-Za-z$])|[0-9]\u20e3|\([0-9]{1,2}\)(?=\s)|#[0-9]{1,2}[.):]?(?=\s)"
    r"|[0-9]{1,2}\s?[-\u2013\u2014:](?=\s+\$?[A-Z])"
)
# What numbers or corrects a setup, where one follows: `Setup 1:`, `Plan B -`, `EDIT:`.
_LABEL = re.compile(
    r"(?:(?:setup|trade|idea|play|plan|option|scenario)\s*(?:#?[0-9]{1,2}|[a-z])|edit(?:ed)?|updated?|correction)"
    r"\s*[:\u2013\u2014-]\s*(?=.*(?:break|reject|bounc|long|short|above|over|below|under|bias|bullish|bearish))",
    re.IGNORECASE,
)
_DIVIDER = re.compile(
    r"(?:(?=.{3})|(?=[\u2014\u2015\u2500-\u257f\u25ac\u2796]{2}))"
    r"[-\u2010-\u2015\u2500-\u257f\u25ac\u2796\u23af_=*~.\u2022\u00b7\s]+"
)
_BLANK = re.compile(r"[>\s]*(?:```[a-z]*|_\s+_)\s*")

_QUOTES = "USD[TC]?|EUR|GBP|JPY|CHF|CAD|AUD|NZD|BTC|ETH|PERP"
_TICKER = (
    r"(?P<mark>[$/]?)(?P<ticker>[A-Za-z]{1,5}[0-9]{0,3}"
    rf"(?:\.[A-Za-z]{{1,2}}|-[A-Za-z]|[/-]?(?:{_QUOTES}))?)(?![A-Za-z0-9])!?"
)
_ALONE = re.compile(
    rf"(?:(?:[Tt]icker|TICKER|[Ss]ymbol|SYMBOL)\s*:\s*)?[\[(]?{_TICKER}[\])]?\s*[:\-\u2013\u2014.=|]*\s*"
    r"(?:\([^()]*\)|(?:@\s*)?\$?[0-9][0-9,]*(?:\.[0-9]+)?|levels|setups?|scalps?|plan)?\s*[:\-\u2013\u2014=|]*",
    re.ASCII,
)
_PREFIX = re.compile(
    rf"{_TICKER}(?P<separator>\s*[:|]\s*|\s+[-\u2013\u2014]+\s*|,?\s*)(?P<rest>\S.*)", re.ASCII
)
_TARGET_SIGNS = frozenset({Sign.UP, Sign.DOWN, Sign.ONWARD, Sign.OPENING})
_BIAS_WORDS = frozenset({"bias", "bullish", "bearish", "neutral", "leaning"})
# Words in capitals that are hardly ever meant as a ticker; written `$OPEN`, they are.
NOT_TICKERS = frozenset(
    re.findall(
        r"[A-Z]+",
        """
        NOTE NOTES EDIT ALERT NEWS INFO PLAN RISK READ SETUP TBA TBD NFA TLDR FYI IMO IDK ASAP BTW PS
        TODAY NOW DAY AM PM EOD EOW ET EST EDT CST PST UTC RTH PRE POST LIVE END NEW
        FED FOMC CPI PPI NFP GDP VWAP EMA SMA RSI ATH HOD LOD PMH PML PDH PDL
        BUY SELL HOLD WAIT EXIT OPEN CLOSE HIGH LOW UP DOWN CALLS PUTS SWING BULL BULLS BEAR BEARS
        A ALL ALSO AND I NO YES OK GO GOOD NICE GM GL GG HI HEY TY THX LFG LETS LOL LMAO OMG WOW WTF
        YOLO FOMO RIP BOOM MOON FREE IDEAS CHART RULES LOTTO TREND CHOP MACRO
        """,
    )
)
_HEADER = re.compile(
    r"(?:(?:today'?s|tomorrow'?s|daily|weekly|morning|pre-?market|my|the|updated?)\s+)*"
    r"(?P<grade>a(?:\+|[\s-]?plus)\s*)?"
    r"(?P<kinds>(?:(?:scalp(?:ing)?|trad(?:e|es|ing)|day|swing|options?|test|draft|key|price|game)\s+)*)"
    r"(?:(?P<setups>set-?ups?)|plans?|ideas|plays|levels|scalps|trades|watch\s?list)\b(?P<rest>.*)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b[0-9]{1,2}(?::[0-9]{2}(?:\s*[ap]\.?m\b\.?)?|\s*[ap]\.?m\b\.?)(?:\s*(?:e[sd]?t|utc|gmt)\b)?",
    re.IGNORECASE,
)
# Words of the chat between setups; a name is hardly ever made of them.
_CHAT_WORDS = frozenset(
    {
        *("be", "luck", "good", "great", "nice", "patient", "patience", "careful", "stay", "safe", "lets"),
        *("guys", "gm", "gn", "thanks", "please", "no", "not", "is", "are", "we", "it", "this", "that"),
        *("to", "you", "me", "your", "volume", "chasing"),
    }
)
_SIDED = re.compile(r"\b(?:above|over|below|under|beneath)[\s:$@=~(-]*[0-9.]", re.IGNORECASE)
_SUBHEADINGS = frozenset(
    {
        *("setups", "notes", "note", "plan", "update", "edit", "edited"),
        *("upside", "downside", "bulls", "bears"),
    }
)


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
        elif label := _LABEL.match(line, position):
            position = label.end()
        else:
            break
    return Lead(symbols, numbered, line[position:])


def is_header(text: str) -> bool:
    """Return whether a line announces trade setups: `A+ Scalp Trade Setups`, `Trade Plan for May 15`.

    `Setups` needs a grade, a kind or a date beside it; any other word for them needs a date.
    """
    dated = names_a_day(text)
    body = without_day(text).lstrip(" ,:|()-\u2013\u2014") if dated else text
    match = _HEADER.fullmatch(body)
    if match is None or not (dated or (match["setups"] and (match["grade"] or match["kinds"]))):
        return False
    rest = _TIME.sub(" ", re.sub(r"\([^)]*\)", " ", without_day(match["rest"])))
    return len(re.findall(r"\w+", rest)) <= 2


def ticker_header(text: str) -> str | None:
    """Return the ticker of a header that begins with it: `NVDA Setups, May 15`."""
    match = _PREFIX.fullmatch(text)
    return _ticker(match) if match and names_a_day(text) and is_header(match["rest"]) else None


def is_date_line(text: str) -> bool:
    """Return whether a line holds a date and nothing else."""
    return names_a_day(text) and not re.search(r"\w", without_day(text))


def heads_date(above: str, text: str) -> bool:
    """Return whether a line is the header of the date that stands alone in the cleaned line above it."""
    return is_date_line(take_apart(above).text) and is_header(text)


def is_divider(line: str) -> bool:
    """Return whether a line, as written, is a rule of dashes or the like."""
    return _DIVIDER.fullmatch(line) is not None


def is_blank(line: str) -> bool:
    """Return whether a line, as written, shows nothing: the fence of a code block, or `_ _`."""
    return _BLANK.fullmatch(line) is not None


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
    separated = bool(match["separator"].strip(" ,")) and rest[0] not in "$.0123456789"
    if not (separated or _begins_a_setup(rest)):
        return None
    inner = take_apart(rest)
    return ticker, Lead(lead.symbols + inner.symbols, lead.numbered, inner.text)


def looks_like_setup(lead: Lead) -> bool:
    """Return whether a line should be read as a setup: it names a kind, a direction or how aggressive."""
    tokens = tokenize(lead.with_symbols)
    leading = [token for token in tokens if token.sign is Sign.WORD and token.text in LEADING_WORDS]
    if any(not token.slip for token in leading):
        return True
    if leading and any(token.sign in {Sign.UP, Sign.DOWN} for token in tokens):
        return True
    return bool(tokens) and tokens[0].sign in {Sign.UP, Sign.DOWN}


def names_a_side(text: str) -> bool:
    """Return whether a cleaned line names a level by its side alone: `Above 103.60`."""
    return _SIDED.search(text) is not None


def ends_section(lead: Lead) -> bool:
    """Return whether a line that is nothing known looks like a heading, so that a section ends at it."""
    words = re.findall(r"\w+", lead.text)
    if not words or lead.text.startswith("@"):
        return False
    if words[0].lower() in VOCABULARY | _SUBHEADINGS:
        return False
    is_chat = not lead.text.isupper() and _CHAT_WORDS.intersection(word.lower() for word in words)
    return lead.numbered or (len(words) <= 3 and not is_chat) or may_begin_with_ticker(lead)


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
    known = ticker.lower() in VOCABULARY | _BIAS_WORDS or ticker in NOT_TICKERS or is_target_word(ticker)
    return ticker if match["ticker"].isupper() and not known else None


def _begins_a_setup(rest: str) -> bool:
    if is_symbol(rest[0]):
        return True
    tokens = tokenize(rest)
    if not tokens or tokens[0].start != 0:
        return False
    return tokens[0].text in LEADING_WORDS | _BIAS_WORDS or (
        _SIDED.match(rest) is not None
        and any(token.sign in _TARGET_SIGNS or token.is_target_word for token in tokens)
    )
