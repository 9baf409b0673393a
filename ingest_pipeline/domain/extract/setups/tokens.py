"""Tokens of a trade-setups line: words, numbers and signs, and their vocabulary.

How they combine into a setup is `grammar.py`. A digit that is not plainly part of a price
(`130s`, `10%`, `9:30`, `141,40`) becomes an `ODD` token, which no rule takes for a number.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from functools import lru_cache
from typing import Literal

Kind = Literal["breakout", "breakdown", "rejection", "bounce"]
Direction = Literal["long", "short"]
Aggressiveness = Literal["aggressive", "conservative"]
Side = Literal["above", "below"]

KINDS: dict[str, Kind] = {
    "breakout": "breakout",
    "breakdown": "breakdown",
    "rejection": "rejection",
    "rejections": "rejection",
    "reject": "rejection",
    "rejects": "rejection",
    "rejecting": "rejection",
    "bounce": "bounce",
    "bounces": "bounce",
    "bouncing": "bounce",
}
DIRECTIONS: dict[str, Direction] = {"long": "long", "longs": "long", "short": "short", "shorts": "short"}
AGGRESSIVENESS: dict[str, Aggressiveness] = {
    "aggressive": "aggressive",
    "aggr": "aggressive",
    "agg": "aggressive",
    "conservative": "conservative",
    "conserv": "conservative",
    "cons": "conservative",
    "con": "conservative",
}
SIDES: dict[str, Side | None] = {
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "beneath": "below",
    **dict.fromkeys(("near", "at", "from", "off", "around")),
}
ZONES = frozenset({"zone", "zones", "range", "ranges", "area", "areas", "between"})
# With a side they name the kind: `Break above`; without one they say nothing.
BREAKS = frozenset({"break", "breaks", "breaking"})
FILLERS = frozenset(
    {
        *("entry", "entries", "trigger", "triggers", "setup", "setups", "trade", "trades", "scalp", "scalps"),
        *("level", "levels", "price", "prices", "key", "strong", "potential", "possible"),
        *("support", "supports", "resistance", "resistances", "lookingfor", "watch", "for", "if"),
        *("on", "of", "a", "the"),
    }
)
STOPS = frozenset({"stop", "stops", "sl", "stoploss"})
LIST_OPENERS = frozenset({"targeting", "lookingfor", "for"})
CONJUNCTIONS = frozenset({"and", "then"})
WITHDRAWN = frozenset(
    {"cancel", "cancelled", "canceled", "void", "voided", "invalid", "invalidated", "ignore", "skip"}
)
LEADING_WORDS = frozenset({*KINDS, *DIRECTIONS, *AGGRESSIVENESS})
VOCABULARY = frozenset({*LEADING_WORDS, *SIDES, *ZONES, *BREAKS, *FILLERS, *STOPS, *WITHDRAWN, *CONJUNCTIONS})

_TARGET = re.compile(r"(?:targets?|tgts?|tps?|pts?|t|takeprofits?)[0-9]?")

# What DiscordChatExporter and Discord's own clients write for these emoji where they are not Unicode.
_SHORTCODES = {
    ":x:": "\u274c",
    ":small_red_triangle_down:": "\U0001f53b",
    ":small_red_triangle:": "\U0001f53a",
    ":arrow_up_small:": "\U0001f53c",
    ":arrow_down_small:": "\U0001f53d",
    ":arrow_up:": "\u2b06",
    ":arrow_down:": "\u2b07",
    ":arrow_right:": "\u27a1",
    ":arrows_counterclockwise:": "\U0001f504",
    ":warning:": "\u26a0",
    ":dart:": "\U0001f3af",
    ":arrow_upper_right:": "\u2197",
    ":arrow_lower_right:": "\u2198",
    ":arrow_heading_up:": "\u2934",
    ":arrow_heading_down:": "\u2935",
    ":arrow_double_up:": "\u23eb",
    ":arrow_double_down:": "\u23ec",
    ":chart_with_upwards_trend:": "\U0001f4c8",
    ":chart_with_downwards_trend:": "\U0001f4c9",
    ":arrow_forward:": "\u25b6",
    ":point_right:": "\U0001f449",
    ":octagonal_sign:": "\U0001f6d1",
    ":no_entry:": "\u26d4",
    ":white_check_mark:": "\u2705",
}
# Stands for an emoji that only a server knows: a symbol, but not one that says anything.
EMOJI = "\ufffc"
_SHORTCODE = re.compile(r"<a?:\w{2,32}:[0-9]{15,21}>|:[a-z][a-z0-9_]{0,40}:")
_MENTION = r"(?:@(?:everyone|here)\b|<@[!&]?[0-9]+>)"
_OUTER_MENTIONS = re.compile(rf"^(?:[\s>#*|-]*{_MENTION}\s*)+|(?:\s*{_MENTION}[\s*|]*)+$")
_LONE_MENTIONS = re.compile(r"(?:(?:@[\w.-]+|<[@#][!&]?[0-9]+>)[\s,]*)+")
# Markup inside a number may as well part two: what is left of it is no price.
_BROKEN_NUMBER = re.compile(r"(?<=[0-9.])(?:[*_`]|\|\|)+(?=\.?[0-9])")
_MARKUP = str.maketrans(
    {
        **dict.fromkeys("*_`\u00a0\u2007\u2009\u202f", " "),
        **dict.fromkeys("\\\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff", ""),
    }
)
# One wrong letter in a shorter word may make another word of it.
_LONG_WORD = 8


def _slips(word: str) -> set[str]:
    """Return a word with one letter left out, doubled or swapped; in a long word also with a wrong one."""
    found = {word[:i] + word[i + 1 :] for i in range(1, len(word))}
    found |= {word[:i] + word[i] + word[i:] for i in range(len(word))}
    found |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    if len(word) >= _LONG_WORD:
        letters = "abcdefghijklmnopqrstuvwxyz"
        found |= {word[:i] + letter + word[i + 1 :] for i in range(1, len(word)) for letter in letters}
    return found


_WORD_OF_SLIP = {
    slip: word
    for word in (
        *("breakout", "breakdown", "rejection", "rejections", "bounce", "aggressive", "conservative"),
        *("entries", "trigger", "potential", "resistance", "support", "target", "targets"),
    )
    for slip in _slips(word) - VOCABULARY
}
SLIPS = frozenset(_WORD_OF_SLIP)
"""Words with a slip that is put right."""

_PRICE = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])|[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
_TOKEN = re.compile(
    rf"""
      (?P<skip>https?://\S+|<(?:t:-?[0-9]+(?::[a-z])?|[@#][!&]?[0-9]+)>|[\u2705\u2611\u2714])
    | (?P<odd>
          (?:{_PRICE})(?:[^\W\d_]|%)[\w%]*            # 130s, 5m, 10%, 590C
        | (?:{_PRICE})\.?\^[0-9.,^]*                   # 137.`60`
        | [0-9]+(?::[0-9]+)+                          # 9:30
        | [0-9]+(?:\.[0-9]+){{2,}}                    # 5.29.25
        | (?<![0-9.,])[0-9]+,(?:[0-9]{{1,2}}|[0-9]{{4,}})(?![0-9])   # 141,40
        | (?:[0-9],?){{10,}}[0-9.]*                   # longer than any price
        | [0-9]*\.[0-9]{{9,}}
        | (?:(?![0-9])\d)+                            # digits of other scripts
      )
    | (?P<number>{_PRICE})
    | (?P<word>
          (?:break(?:s|ing)?[\s-]*(?:outs?|downs?)|stop[\s-]?loss|take[\s-]?profits?[0-9]?|looking\s+for)(?!\w)
        | [^\W\d_][\w'\u2019]*(?:-[^\W\d_][\w'\u2019]*)*
      )
    | (?P<up>[\U0001f53c\U0001f53a\U0001f199\U0001f4c8\u2b06\u2191\u2197\u2934\u23eb\u25b2\u25b3])
    | (?P<down>[\U0001f53b\U0001f53d\U0001f4c9\u2b07\u2193\u2198\u2935\u23ec\u25bc\u25bd])
    | (?P<onward>[-=\u2013\u2014]+>|>>+
          |[\u2192\u21d2\u27f6\u2794\u279c\u27a1\u27a4\u25b6\u25b8\U0001f3af\U0001f449])
    | (?P<halt>[\U0001f6d1\u26d4])
    | (?P<mark>[\ufffc\u274c\u274e\u2716\u26a0\u2757\u203c\U0001f6ab\U0001f512\U0001f534\U0001f6a8])
    | (?P<dash>[-\u2010-\u2015\u2212]+)
    | (?P<colon>[:=])
    | (?P<above>>)
    | (?P<below><)
    | (?P<near>[~@\u2248])
    | (?P<opening>[(\[{{])
    | (?P<closing>[)\]}}])
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Sign(Enum):
    """The kind of a token."""

    NUMBER = auto()
    ODD = auto()
    WORD = auto()
    UP = auto()
    DOWN = auto()
    ONWARD = auto()
    DASH = auto()
    COLON = auto()
    ABOVE = auto()
    BELOW = auto()
    NEAR = auto()
    OPENING = auto()
    CLOSING = auto()
    HALT = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a cleaned line.

    Attributes:
        sign: What it is.
        text: As written; for a word in lower case and without the hyphen or space inside
            `break-out`, `stop loss` and the like.
        start: Where it begins in the cleaned line.
        end: Where the next character stands.
        value: The price, for a NUMBER.
        slip: Whether a word is put right: `Agressive`.
    """

    sign: Sign
    text: str
    start: int
    end: int
    value: Decimal = Decimal(0)
    slip: bool = False

    @property
    def is_target_word(self) -> bool:
        """Whether it announces targets: `Target`, `TP1`, `PT`."""
        return self.sign is Sign.WORD and is_target_word(self.text)

    @property
    def is_stop_word(self) -> bool:
        """Whether it announces a stop level."""
        return self.sign is Sign.HALT or (self.sign is Sign.WORD and self.text in STOPS)


def clean(line: str) -> str:
    """Return a line without markup, invisible characters and the mentions at its ends, stripped.

    An emoji of the server, and one whose name stands for nothing here, becomes `EMOJI`.
    """
    if ":" in line:
        line = _SHORTCODE.sub(lambda match: _SHORTCODES.get(match[0], EMOJI), line)
    if "@" in line:
        line = _OUTER_MENTIONS.sub(" ", line)
    return " ".join(_BROKEN_NUMBER.sub("^", line).replace("||", " ").translate(_MARKUP).split())


def is_mention(text: str) -> bool:
    """Return whether a line is nothing but mentions: `@everyone`, `@here @Traders`."""
    return "@" in text and _LONE_MENTIONS.fullmatch(text) is not None


@lru_cache(maxsize=256)
def tokenize(text: str) -> tuple[Token, ...]:
    """Split a cleaned line into tokens; what no rule looks at (commas, links, other symbols) is left out."""
    return tuple(_token(match) for match in _TOKEN.finditer(text) if match.lastgroup != "skip")


def _token(match: re.Match[str]) -> Token:
    sign = Sign[(match.lastgroup or "").upper()]
    text = match[0]
    if sign is Sign.NUMBER:
        return Token(sign, text, match.start(), match.end(), Decimal(text.replace(",", "")))
    if sign is Sign.WORD:
        word = _word(text)
        known = _WORD_OF_SLIP.get(word)
        return Token(sign, known or word, match.start(), match.end(), slip=known is not None)
    return Token(sign, text, match.start(), match.end())


def _word(text: str) -> str:
    word = text.lower()
    joined = re.sub(r"[\s-]+", "", word)
    if joined.startswith("break") and joined.endswith(("out", "outs")):
        return "breakout"
    if joined.startswith("break") and joined.endswith(("down", "downs")):
        return "breakdown"
    return joined if joined.startswith(("stoploss", "takeprofit", "lookingfor")) else word


def is_symbol(character: str) -> bool:
    """Return whether a character is an emoji or another pictorial symbol."""
    return unicodedata.category(character) in {"So", "Sk"} or character in "\u2192\u2191\u20e3"


def is_target_word(text: str) -> bool:
    """Return whether a word announces targets: `Target`, `TP1`, `PT`, whatever the case."""
    return _TARGET.fullmatch(text.lower()) is not None
