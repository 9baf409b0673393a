"""The bias of a ticker: the sentence as written, and whether it is bullish, bearish or neutral.

The stance is the one that is stated outright. `only bullish above 600`, `flips bearish`, `below 590
bearish` and `not bullish` state conditions, not a stance; `bullish above 600, bearish below 590` states
two, which leaves it open.
"""

from __future__ import annotations

import re
from typing import Literal

Stance = Literal["bullish", "bearish", "neutral"]

WARNING_SIGN = "\u26a0"

_STANCES: dict[str, Stance] = {
    "bullish": "bullish",
    "bearish": "bearish",
    "neutral": "neutral",
    "mixed": "neutral",
    "sideways": "neutral",
    "choppy": "neutral",
}
_CONDITIONS = frozenset(
    {
        *("not", "no", "never", "only", "less", "if", "unless", "until", "flip", "flips", "turn", "turns"),
        *("become", "becomes", "shift", "shifts", "isn't", "isnt", "back", "then", "once", "when"),
        *("above", "over", "below", "under"),
    }
)
_OPENING = re.compile(
    r"(?P<whole>(?:(?:overall|market|general|daily)\s+)+)?bias\b\s*(?:is\b)?\s*[:=\-\u2013\u2014]*\s*",
    re.IGNORECASE,
)
_STATED = re.compile(r"(?:leaning\s+)?(?:bullish|bearish|neutral)\b|(?:long|short)\s+bias\b", re.IGNORECASE)
_WORDS = re.compile(r"[0-9]+(?:[.,][0-9]+)*|[^\W\d_][\w']*|[,;:.|/()\u2013\u2014-]")
_LEANING = re.compile(
    r"(long|short)\s*(?:(?:bias|above|over|below|under|only)\b|[,;.:\u2013\u2014]|\Z)", re.IGNORECASE
)


def is_bias(symbols: str, text: str) -> bool:
    """Tell whether a line states a bias: by its warning sign, or by its first words."""
    return WARNING_SIGN in symbols or bool(_OPENING.match(text) or _STATED.match(text))


def concerns_market(text: str) -> bool:
    """Tell whether a bias is said of the market as a whole: `Overall bias: bullish`."""
    match = _OPENING.match(text)
    return match is not None and match["whole"] is not None


def bias_text(text: str) -> str:
    """Return a bias line without the word that announces it."""
    return _OPENING.sub("", text, count=1) if _OPENING.match(text) else text


def read_stance(text: str) -> Stance | None:
    """Return the stance a bias states outright, or None.

    Args:
        text: The bias without its announcing word.
    """
    leaning = _LEANING.match(text)
    if leaning:
        return "bullish" if leaning[1].lower() == "long" else "bearish"
    words = _WORDS.findall(text.lower().replace("\u2019", "'"))
    stated = {
        stance
        for index, word in enumerate(words)
        if (stance := _STANCES.get(word))
        and not _CONDITIONS.intersection(_clause(words[max(index - 2, 0) : index]))
    }
    return stated.pop() if len(stated) == 1 else None


def _clause(near: list[str]) -> list[str]:
    """Return the words after the last comma, dash or the like."""
    breaks = [index for index, word in enumerate(near) if not word[0].isalnum()]
    return near[breaks[-1] + 1 :] if breaks else near
