"""Chat that uses words of trade setups: recognized by the first word of each line, without parsing.

A message plans trades only with a header, a ticker at the beginning of a line, or a setup that could be
read. Headers have a date or speak of setups, tickers are in capitals or have a `$`, and whatever comes
before the level of a setup is vocabulary, so its line begins with a known word.
"""

from __future__ import annotations

import re

from ingest_pipeline.domain.extract.setups.headings import NOT_TICKERS
from ingest_pipeline.domain.extract.setups.tokens import SLIPS, VOCABULARY, clean

_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff\\\\]")
_SETUPS = ("setup", "set-up")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(
    rf"(?:{'|'.join(_MONTHS)})[a-z]*[\W_]*[0-9]|[0-9](?:st|nd|rd|th)?[\W_]+(?:of[\W_]+)?(?:{'|'.join(_MONTHS)})"
)
_NUMERIC_DATE = re.compile(r"[0-9]/[0-9]|[0-9][.-][0-9]{1,2}[.-][0-9]")
_DIGIT = re.compile(r"[0-9]")
_WORD = re.compile(r"[^\W\d_]+")
# What may stand before the phrase of a setup, or be its beginning: links are passed over.
_BEFORE_SETUPS = VOCABULARY | SLIPS | {"stop", "take", "looking", "t", "http", "https"}
# What may stand before anything, also with a letter behind it: `Ideas - SPY long`, `Ticker: SPY`.
_BEFORE_ANYTHING = frozenset(
    {
        *("trade", "idea", "play", "plan", "option", "scenario"),
        *("edit", "edited", "update", "updated", "correction", "ticker", "symbol"),
    }
)


def is_chat(content: str) -> bool:
    """Return whether a text certainly plans no trades; False says nothing.

    Args:
        content: The whole content as Discord delivers it.
    """
    plain = _INVISIBLE.sub("", content).casefold()
    if "$" in plain or any(map(plain.__contains__, _SETUPS)):
        return False
    has_digit = _DIGIT.search(plain) is not None
    if has_digit and any(map(plain.__contains__, _MONTHS)) and _DATE.search(plain):
        return False
    if has_digit and _NUMERIC_DATE.search(plain):
        return False
    return not any(_may_begin_a_plan(clean(line), has_digit=has_digit) for line in content.split("\n"))


def _may_begin_a_plan(text: str, *, has_digit: bool) -> bool:
    first = _WORD.search(text)
    if first is None:
        return False
    word, following = first[0], text[first.end() : first.end() + 1]
    if word.isupper() and (word not in NOT_TICKERS or following in {".", "/", "-"} or following.isdigit()):
        return True
    folded = word.casefold()
    if folded in _BEFORE_ANYTHING or folded[:-1] in _BEFORE_ANYTHING:
        return True
    return has_digit and folded in _BEFORE_SETUPS
