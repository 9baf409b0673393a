"""The bias of trade setups: which lines state one, and the stance that they state.

The stance is the one that is stated outright. `only bullish above 600`, `flips bearish`, `below 590
bearish` and `not bullish` state conditions, not a stance; `bullish above 600, bearish below 590` states
two, which leaves it open. `Bulls in charge` and `downside` state one like `bullish` and `bearish` do.
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
    "rangebound": "neutral",
    "upside": "bullish",
    "downside": "bearish",
}
_CONDITIONS = frozenset(
    {
        *("not", "no", "never", "only", "less", "if", "unless", "until", "flip", "flips", "turn", "turns"),
        *("become", "becomes", "shift", "shifts", "isn't", "isnt", "back", "then", "once", "when"),
        *("above", "over", "below", "under", "limited", "little", "losing", "lost", "fading"),
        *("could", "may", "might", "would"),
    }
)
# A clause that begins with one of these and names a level is the condition of what follows.
_IF = frozenset(
    {"if", "once", "when", "above", "over", "below", "under", "unless", "until", "only", "should"}
)
_QUALIFIERS = frozenset(
    {"only", "if", "once", "when", "risk", "risks", "target", "targets", "limited", "capped"}
)
_IN_CHARGE = re.compile(
    r"\b(?P<who>bulls|bears|buyers|sellers)\s+(?:(?:are|is|remain|stay|still|firmly|fully|clearly)\s+)*"
    r"(?:in\s+(?:the\s+|full\s+|firm\s+)?(?:charge|control|command|lead|driver'?s\s+seat)"
    r"|have\s+(?:the\s+|full\s+)?(?:control|edge|upper\s+hand|advantage)|control|dominate)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"(?:(?:my|today'?s|current|intraday)\s+)?(?P<whole>(?:(?:overall|market|general|daily)\s+)+)?bias\b\s*(?:is\b)?\s*[:=\-\u2013\u2014]*\s*",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"(?:leaning\s+)?(?:bullish|bearish|neutral)\b|(?:long|short|upside|downside)\s+bias\b", re.IGNORECASE
)
_RANGE_BOUND = re.compile(r"\brange[\s-]+bound\b")
_WORDS = re.compile(r"[0-9]+(?:[.,][0-9]+)*|[^\W\d_][\w']*|[,;:.|/()\u2013\u2014-]")
_LEANINGS: dict[str, Stance] = {
    **dict.fromkeys(("long", "up", "upside", "higher", "bull"), "bullish"),
    **dict.fromkeys(("short", "down", "downside", "lower", "bear"), "bearish"),
}
_LEANING = re.compile(
    rf"({'|'.join(_LEANINGS)})\s*(?:(?:bias|above|over|below|under)\b|only\b(?!\s+\w)|[,;.:\u2013\u2014]|\Z)"
)


def is_bias(symbols: str, text: str) -> bool:
    """Return whether a line states a bias: by its warning sign, or by its first words."""
    return WARNING_SIGN in symbols or bool(
        _OPENING.match(text) or _STATED.match(text) or _IN_CHARGE.match(text)
    )


def concerns_market(text: str) -> bool:
    """Return whether a bias is one of the market as a whole: `Overall bias: bullish`."""
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
    plain = _IN_CHARGE.sub(_in_charge, text.lower().replace("\u2019", "'"))
    words = _WORDS.findall(_RANGE_BOUND.sub("rangebound", plain))
    leaning = _LEANING.match(plain)
    if leaning:
        leant = _LEANINGS[leaning[1]]
        return leant if all(_LEANINGS.get(word, leant) == leant for word in words) else None
    stated = {
        stance
        for index, word in enumerate(words)
        if (stance := _STANCES.get(word)) and not _is_conditional(words, index)
    }
    return stated.pop() if len(stated) == 1 else None


def _in_charge(match: re.Match[str]) -> str:
    return "bullish" if match["who"] in {"bulls", "buyers"} else "bearish"


def _is_conditional(words: list[str], index: int) -> bool:
    """Return whether the words around a stance make it depend on something, or deny it."""
    if _CONDITIONS.intersection(_clause(words[max(index - 2, 0) : index])):
        return True
    if words[index + 1 : index + 2] and words[index + 1] in _QUALIFIERS:
        return True
    if words[index - 1 : index] == ["for"] and index > 1 and words[index - 2][0].isdigit():
        return True
    sentence = words[:index]
    for stop in (".", ";", "|"):
        if stop in sentence:
            sentence = sentence[len(sentence) - sentence[::-1].index(stop) :]
    own = _clause(sentence)
    before = _clause(sentence[: len(sentence) - len(own) - 1]) if len(own) < len(sentence) else []
    return any(
        clause and clause[0] in _IF and any(word[0].isdigit() for word in clause) for clause in (own, before)
    )


def _clause(near: list[str]) -> list[str]:
    """Return the words after the last comma, dash or the like."""
    breaks = [index for index, word in enumerate(near) if not word[0].isalnum()]
    return near[breaks[-1] + 1 :] if breaks else near
