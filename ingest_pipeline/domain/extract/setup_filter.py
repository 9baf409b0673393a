"""The filter for messages about trade setups: a cheap test before parsing, and the verdict after it.

`parse_setups` reads any text, and in a channel of chat it leaves every line unparsed. Lines are worth
keeping only of a message that means to plan trades:

- it has a header, or a setup that could be read; or
- a setup that could be read but for its ticker; or
- it names a ticker, and has a bias or a line that tries to be a setup; targets alone do not.
"""

from __future__ import annotations

import re

from ingest_pipeline.domain.extract.setup_message import SetupMessage, UnparsedLine

# What `parse_setups` says of lines that do not even try to be a setup, and of a whole one without ticker.
_CHAT = frozenset({"is no header, ticker, setup or bias", "is a rule between sections", "is struck through"})
_ONLY_THE_TICKER_IS_MISSING = "stands under no ticker"

# Markup and invisible characters may stand inside a word, as `setup_tokens.clean` allows.
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff]")
_HINTS = re.compile(
    r"set-?up|break|bias|bullish|bearish|neutral|arrow_|triangle|warning:"
    r"|(?<![^\W\d_])(?:reject(?:s|ions?|ing)?|bounc(?:es?|ing)|longs?|shorts?|aggr?|aggressive"
    r"|cons?|conserv|conservative)(?![^\W_])"
    "|[\u26a0\U0001f53c\U0001f53a\U0001f199\U0001f4c8\u2b06\u2191\u23eb\u25b2\u25b3"
    "\U0001f53b\U0001f53d\U0001f4c9\u2b07\u2193\u23ec\u25bc\u25bd]"
)


def may_plan_trades(content: str) -> bool:
    """Tell whether a text is worth parsing; False is certain, and most chat is told by one look."""
    return _HINTS.search(_INVISIBLE.sub("", content).casefold()) is not None


def plans_trades(message: SetupMessage) -> bool:
    """Tell whether a parsed message is about trade setups, so that all its lines are kept."""
    if message.headers or message.setups:
        return True
    if any(line.reason == _ONLY_THE_TICKER_IS_MISSING for line in message.unparsed):
        return True
    return bool(message.tickers) and bool(message.biases or _attempts(message.unparsed))


def _attempts(lines: tuple[UnparsedLine, ...]) -> list[UnparsedLine]:
    return [line for line in lines if line.reason not in _CHAT]
