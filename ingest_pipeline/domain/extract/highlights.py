r"""Highlights: a weighted sum of signals, with a reason for each.

Four signals are each brought to a share between 0 and 1, multiplied by their weight and added:

=============  ==========================================================  =========================
signal         share                                                       counts in full from
=============  ==========================================================  =========================
reactions      reactions / `full_reactions`                                `full_reactions`
replies        replies / `full_replies`                                    `full_replies`
burst          (rate / usual rate - 1) / (`full_burst` - 1)                `full_burst` times
keywords       different keywords / `full_keywords`                        `full_keywords`
=============  ==========================================================  =========================

A share above 1 counts as 1, below 0 as 0. What a signal adds is rounded to thousandths. The rate is
messages per minute around the message, the usual rate the session's median, taken as at least
`quiet_rate` so that two messages in a silent session are no burst; without a session there is no burst
signal. The message is a candidate when the sum reaches `threshold`. Every signal that added something is
named in the reasons with its numbers, so a verdict can be checked by hand.

A burst is the same for all messages of a minute and changes whenever the usual rate does, so it is
judged apart from the other signals.

With the default weights no signal is enough by itself: many reactions (0.4) need one keyword, or
a burst, or replies beside them. Weights and keywords are settings; there is no model in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ingest_pipeline.errors import ConfigurationError

HIGHLIGHT_RULE_VERSION = 2

DEFAULT_KEYWORDS = (
    "crash",
    "collision",
    "contact",
    "red flag",
    "safety car",
    "VSC",
    "puncture",
    "engine failure",
    "retire",
    "retired",
    "penalty",
    "black and white flag",
    "overtake",
    "fastest lap",
    "pole position",
    "wins",
    "what a",
    "unbelievable",
    "incredible",
)
_NUMBERS = (
    "reactions_weight",
    "replies_weight",
    "burst_weight",
    "keywords_weight",
    "full_reactions",
    "full_replies",
    "full_burst",
    "full_keywords",
    "quiet_rate",
    "threshold",
)
LONG_FOLDS = "[\u00df\u1e9e\ufb00-\ufb06\u0130\u0149\u01f0\u1e96-\u1e9a]"
"""Letters that Python's case folding makes ASCII letters of, and RE2's does not: a pattern's class."""
# No part of a keyword and no letter: keywords with it between them are found again.
_BETWEEN = "\x00"
_ONE = 1000  # points of a score of 1
_NO_WORD = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class MessageFeatures:
    """The features of one message that the rule uses.

    Attributes:
        text: The message's text.
        reaction_count: Reactions of all kinds together.
        reply_count: Messages that reply to it.
        messages_per_minute: Rate of its channel around it.
        session_median_per_minute: Median of that rate over the session's minutes; None without a
            session.
    """

    text: str
    reaction_count: int = 0
    reply_count: int = 0
    messages_per_minute: float = 0.0
    session_median_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class HighlightVerdict:
    """The verdict of the rule on one message.

    Attributes:
        is_candidate: Whether the score reaches the rule's threshold.
        score: The weighted sum, in thousandths.
        reasons: One line per signal that added to the score, largest part first, a burst last; kept
            whether or not the message is a candidate.
    """

    is_candidate: bool
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signals:
    """What some signals add to a score.

    Attributes:
        points: Thousandths.
        reasons: One line for each that adds something, largest part first.
    """

    points: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HighlightRule:
    """Weights, full marks, keywords and threshold; see the module's text for what they do.

    Attributes:
        reactions_weight: Weight of the reactions.
        replies_weight: Weight of the replies.
        burst_weight: Weight of the burst.
        keywords_weight: Weight of the keywords.
        full_reactions: Reactions that count in full.
        full_replies: Replies that count in full.
        full_burst: Multiple of the usual rate that counts in full; above 1.
        full_keywords: Different keywords that count in full.
        quiet_rate: Messages per minute below which a session's median is not taken.
        threshold: Score from which a message is a candidate.
        keywords: Words and phrases, matched whole and whatever the case.

    Raises:
        ConfigurationError: A value is out of range, a keyword is blank or repeated, or no message
            could ever reach the threshold.
    """

    reactions_weight: float = 0.4
    replies_weight: float = 0.2
    burst_weight: float = 0.2
    keywords_weight: float = 0.4
    full_reactions: float = 10
    full_replies: float = 5
    full_burst: float = 4
    full_keywords: float = 2
    quiet_rate: float = 2
    threshold: float = 0.5
    keywords: tuple[str, ...] = DEFAULT_KEYWORDS
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)
    _plain_keywords: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    _leading_words: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    _trace: str | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Check every rule and prepare the keywords."""
        for name in _NUMBERS:
            _check_number(name, getattr(self, name))
        for name in ("full_reactions", "full_replies", "full_keywords", "quiet_rate", "threshold"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"highlights: {name} must be above 0, not {getattr(self, name)!r}")
        if self.full_burst <= 1:
            raise ConfigurationError(f"highlights: full_burst must be above 1, not {self.full_burst!r}")
        _check_keywords(self.keywords)
        if self.threshold > self.highest_score:
            raise ConfigurationError(
                f"highlights: threshold {self.threshold!r} is above {self.highest_score:g}, all that these "
                "weights can give, so no message could be a highlight: lower it or raise a weight"
            )
        object.__setattr__(self, "_pattern", _keyword_pattern(self.keywords))
        object.__setattr__(self, "_plain_keywords", tuple(map(_plain, self.keywords)))
        words = dict.fromkeys(plain.split()[0] for plain in self._plain_keywords)
        object.__setattr__(self, "_leading_words", tuple(words))
        if all(word.isascii() for word in words):
            object.__setattr__(self, "_trace", "|".join(["(?i)" + LONG_FOLDS, *map(_escaped, words)]))

    @property
    def highest_score(self) -> float:
        """The score of a message with every signal in full."""
        weights = [self.reactions_weight, self.replies_weight, self.burst_weight]
        weights += [self.keywords_weight] if self.keywords else []
        return sum(round(weight * _ONE) for weight in weights) / _ONE

    @classmethod
    def from_mapping(cls, obj: object) -> HighlightRule:
        """Build a rule from what a settings file holds.

        Args:
            obj: Field names to values; `keywords` is a list. What is absent keeps its default; None
                gives the default rule.

        Raises:
            ConfigurationError: A key is unknown, or a value is refused by the rule.
        """
        if obj is None:
            return cls()
        if not isinstance(obj, Mapping):
            raise ConfigurationError(f"highlights must map names to values, not be {obj!r}")
        known = {item.name for item in fields(cls) if item.init}
        unknown = sorted(str(key) for key in obj if key not in known)
        if unknown:
            raise ConfigurationError(
                f"highlights: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        values: dict[str, Any] = dict(obj)
        if "keywords" in values:
            if not isinstance(values["keywords"], list | tuple):
                raise ConfigurationError(f"highlights: keywords must be a list, not {values['keywords']!r}")
            values["keywords"] = tuple(values["keywords"])
        return cls(**values)

    @property
    def relevant_pattern(self) -> str | None:
        """A pattern for RE2 that finds something in each text with a keyword; None without one."""
        return self._trace

    def relevant_text(self, text: str) -> str:
        """Return of a text what the verdict depends on: its keywords."""
        folded = text.casefold()
        if not any(word in folded for word in self._leading_words):
            return ""
        return _BETWEEN.join(sorted({_plain(match[0]) for match in self._found_in(folded)}))

    @property
    def needed_points(self) -> int:
        """The thousandths that make a candidate."""
        points = round(self.threshold * _ONE)
        return points + 1 if points / _ONE < self.threshold else points

    @property
    def most_burst_points(self) -> int:
        """The most thousandths that a burst adds."""
        return round(self.burst_weight * _ONE)

    def score(self, features: MessageFeatures) -> HighlightVerdict:
        """Judge one message.

        Args:
            features: What is known of the message and of the minutes around it.
        """
        parts = [self.signals(features.text, features.reaction_count, features.reply_count)]
        if features.session_median_per_minute is not None:
            parts.append(self.burst(features.messages_per_minute, features.session_median_per_minute))
        points = sum(part.points for part in parts)
        reasons = tuple(reason for part in parts for reason in part.reasons)
        return HighlightVerdict(points >= self.needed_points, points / _ONE, reasons)

    def signals(self, text: str, reactions: int, replies: int) -> Signals:
        """Judge what speaks for a message besides a burst."""
        of_reactions = self.reactions_weight * _share(reactions / self.full_reactions)
        of_replies = self.replies_weight * _share(replies / self.full_replies)
        parts = (
            (of_reactions, f"{reactions} of {self.full_reactions:g} reactions"),
            (of_replies, f"{replies} of {self.full_replies:g} replies"),
            self._keywords(text),
        )
        return _added(parts)

    def burst(self, rate: float, usual_rate: float) -> Signals:
        """Judge a minute: what its burst adds to the scores of its messages.

        Args:
            rate: Messages in it.
            usual_rate: What is usual; the higher, the less it adds.
        """
        usual = max(usual_rate, self.quiet_rate)
        times = rate / usual
        share = _share((times - 1) / (self.full_burst - 1))
        text = f"{rate:g} messages per minute, {times:.1f} times the usual {usual:g}"
        return _added([(self.burst_weight * share, text)])

    def _found_in(self, folded: str) -> Iterator[re.Match[str]]:
        return self._pattern.finditer(folded) if self._pattern else iter(())

    def _keywords(self, text: str) -> tuple[float, str]:
        if self._pattern is None:
            return 0.0, ""
        hits = {_plain(match[0]) for match in self._found_in(text.casefold())}
        if not hits:
            return 0.0, ""
        known = zip(self.keywords, self._plain_keywords, strict=True)
        named = [keyword for keyword, plain in known if plain in hits]
        share = _share(len(named) / self.full_keywords)
        return self.keywords_weight * share, "keywords " + ", ".join(repr(keyword) for keyword in named)


def _added(parts: Iterable[tuple[float, str]]) -> Signals:
    counted = [(round(points * _ONE), points, text) for points, text in parts]
    counted = sorted((each for each in counted if each[0]), key=lambda each: -each[0])
    reasons = tuple(f"{text} (+{points:.2f})" for _, points, text in counted)
    return Signals(sum(each[0] for each in counted), reasons)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _escaped(word: str) -> str:
    """Return an ASCII word as a pattern for RE2 too."""
    return _NO_WORD.sub(lambda found: f"\\x{ord(found[0]):02x}", word)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _keyword_pattern(keywords: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return one expression for all keywords, longest first so that a phrase beats its first word."""
    if not keywords:
        return None
    phrases = sorted((_plain(keyword) for keyword in keywords), key=len, reverse=True)
    alternatives = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"highlights: {name} must be a number from 0, not {value!r}")


def _check_keywords(keywords: tuple[object, ...]) -> None:
    seen: set[str] = set()
    for keyword in keywords:
        if not isinstance(keyword, str) or not keyword.strip():
            raise ConfigurationError(f"highlights: keyword {keyword!r} must be a text that is not blank")
        if _plain(keyword) in seen:
            raise ConfigurationError(f"highlights: keyword {keyword!r} is listed twice: remove one")
        seen.add(_plain(keyword))
