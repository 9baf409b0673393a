"""The grammar of one line of trade setups: tokens in, a setup or a reason out.

    line    = phrase level [targets] [stop] [note]
    phrase  = words of the vocabulary in any order: aggressiveness, kind, direction, side, `zone`, fillers
    level   = number | number dash number
    targets = marker numbers { marker numbers }
    marker  = an arrow | `Target`, `TP1`, `PT` … with or without a colon | `targeting` | a parenthesis
    stop    = (`stop` | `SL`) number

No number is ever guessed. A line is refused, with the reason, when a word before the level is not
in the vocabulary; when a number follows the level without a marker; when a pair of numbers may be
a zone or a level and its target; when a comma may be a decimal, a thousands or a list comma; when
words and arrows contradict each other; when two setups share the line. Numbers stay as written: a
target on the wrong side of its level is recorded, not repaired.

`Above 103.60 (arrow) 104.80` names no kind, but its side, its arrow and its targets agree on one. A phrase
without a level (`Breakdown`) is a heading: the lines below are read as if they began with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ingest_pipeline.domain.extract.setups.tail import Details, Refusal, Tail
from ingest_pipeline.domain.extract.setups.tokens import (
    AGGRESSIVENESS,
    BREAKS,
    DIRECTIONS,
    EMOJI,
    FILLERS,
    KINDS,
    LEADING_WORDS,
    SIDES,
    ZONES,
    Aggressiveness,
    Direction,
    Kind,
    Side,
    Sign,
    Token,
    tokenize,
)

# A zone is narrow and a target near; numbers farther apart were not meant to stand together.
_WIDEST_ZONE = Decimal("0.2")
_FARTHEST_TARGET = Decimal(3)

_DIRECTION_OF: dict[Kind, Direction] = {
    "breakout": "long",
    "breakdown": "short",
    "rejection": "short",
    "bounce": "long",
}
_KIND_OF_SIDE: dict[tuple[str, str], Kind] = {
    ("long", "above"): "breakout",
    ("short", "below"): "breakdown",
}
_KIND_BEYOND: dict[Side, Kind] = {"above": "breakout", "below": "breakdown"}
_KIND_OF_ARROW: dict[Sign, Kind] = {Sign.UP: "breakout", Sign.DOWN: "breakdown"}
_SIDE_OF_KIND: dict[Kind, Side] = {"breakout": "above", "breakdown": "below"}
_BRACKETS = str.maketrans(dict.fromkeys(f"()[]{{}}{EMOJI}", " "))
_ARROWS = frozenset({Sign.UP, Sign.DOWN, Sign.ONWARD})
_NUMERIC = frozenset({Sign.NUMBER, Sign.ODD})
_TWO_THINGS = "says two things at once about one level"
_NO_KIND = "names no kind of setup"


@dataclass(frozen=True, slots=True)
class SetupLine:
    """A setup as one line gives it; a single level has `low == high`."""

    kind: Kind
    direction: Direction
    aggressiveness: Aggressiveness | None
    low: Decimal
    high: Decimal
    targets: tuple[Decimal, ...]
    stop: Decimal | None
    label: str


@dataclass(frozen=True, slots=True)
class _Phrase:
    kind: Kind
    direction: Direction
    aggressiveness: Aggressiveness | None
    zone: bool
    label: str
    by_side: bool


@dataclass(frozen=True, slots=True)
class _Level:
    low: Decimal
    high: Decimal
    joint: str
    end: int


def read_setup(text: str) -> SetupLine | Refusal:
    """Read one cleaned line without its ticker.

    Args:
        text: The line, from its first arrow or word on.

    Returns:
        The setup, or why the line is not one.
    """
    tokens = tokenize(text)
    first = next((i for i, token in enumerate(tokens) if token.sign in _NUMERIC), None)
    if first is None:
        return Refusal("names no level")
    phrase = _read_phrase(tokens[:first], text)
    if isinstance(phrase, Refusal):
        return phrase
    level = _read_level(tokens, first, text)
    if isinstance(level, Refusal):
        return level
    tail = Tail(text, tokens[level.end :], phrase.direction)
    problem = tail.read() or _zone_problem(level, phrase, tail) or _note_problem(tail)
    problem = (
        problem or distance_problem(level.low, level.high, tail.details) or _side_problem(level, phrase, tail)
    )
    if problem:
        return Refusal(problem)
    degrees = tail.degrees | ({phrase.aggressiveness} if phrase.aggressiveness else set())
    if len(degrees) > 1:
        return Refusal(_TWO_THINGS)
    return SetupLine(
        kind=phrase.kind,
        direction=phrase.direction,
        aggressiveness=next(iter(degrees), None),
        low=level.low,
        high=level.high,
        targets=tail.details.targets,
        stop=tail.details.stop,
        label=phrase.label,
    )


def read_below(heading: str, symbols: str, text: str) -> SetupLine | Refusal:
    """Read a line below a heading that names what its setups have in common: `Breakdown`.

    Args:
        heading: The cleaned heading, with its symbols.
        symbols: Those that the line begins with.
        text: The rest of the line.

    Returns:
        The setup, or why the line is not one.
    """
    above, own = tokenize(heading), tokenize(text)
    first = next((i for i, token in enumerate(own) if token.sign in _NUMERIC), len(own))
    words = [token for token in own[:first] if token.sign is Sign.WORD]
    named = {KINDS[token.text] for token in above if token.text in KINDS}
    if named & {"rejection", "bounce"} and _sides(own[:first]) & {"above", "below"}:
        return Refusal("has a side of its level that the heading above it does not go with")
    found = read_setup(f"{symbols} {heading} {text}")
    if (
        isinstance(found, Refusal)
        or found.targets
        or words
        or any(token.text in SIDES for token in above[-1:])
    ):
        return found
    return Refusal("is a number with nothing that makes it a level")


def is_heading(text: str) -> bool:
    """Return whether a cleaned line is the phrase of a setup without a level: `Breakdown`, `Longs:`."""
    tokens = tokenize(text)
    words = [token for token in tokens if token.sign is Sign.WORD]
    if not words or any(token.sign in _NUMERIC for token in tokens) or _wording_problem(words, tokens):
        return False
    named = [token for token in words if token.text in LEADING_WORDS and not token.slip]
    return bool(named) and not _contradicts_itself(words)


def distance_problem(low: Decimal, high: Decimal, details: Details) -> str | None:
    """Return why numbers cannot belong together by their size, or None."""
    if low <= 0:
        return "has a level of 0"
    if high - low > low * _WIDEST_ZONE:
        return f"has zone ends {low} and {high} too far apart for one zone"
    stops = () if details.stop is None else (details.stop,)
    for price in (*details.targets, *stops):
        if not low / _FARTHEST_TARGET <= price <= high * _FARTHEST_TARGET:
            return f"has {price} too far from the level {low} to be meant as a price beside it"
    return None


def _read_phrase(tokens: Sequence[Token], text: str) -> _Phrase | Refusal:
    words = [token for token in tokens if token.sign is Sign.WORD]
    problem = _wording_problem(words, tokens)
    if problem:
        return Refusal(problem)
    kinds = {KINDS[token.text] for token in words if token.text in KINDS}
    directions = {DIRECTIONS[token.text] for token in words if token.text in DIRECTIONS}
    degrees = {AGGRESSIVENESS[token.text] for token in words if token.text in AGGRESSIVENESS}
    sides = _sides(tokens)
    if max(len(kinds), len(directions), len(degrees)) > 1 or {"above", "below"} <= sides:
        return Refusal(_TWO_THINGS)
    degree = next(iter(degrees), None)
    arrow = next((token.sign for token in tokens if token.sign in _KIND_OF_ARROW), None)
    kind = next(iter(kinds), None) or _implied_kind(directions, sides, degree, arrow)
    breaks = any(token.text in BREAKS for token in words)
    by_side = kind is None and not directions
    if by_side:
        kind = next((_KIND_BEYOND[side] for side in sides), None)
    if kind is None or (by_side and arrow is not None and _KIND_OF_ARROW[arrow] != kind):
        return Refusal(_NO_KIND)
    direction = next(iter(directions), _DIRECTION_OF[kind])
    problem = _contradiction(kind, direction, sides)
    if problem:
        return Refusal(problem)
    spoken = text[words[0].start : words[-1].end] if words else ""
    label = " ".join(spoken.translate(_BRACKETS).split())
    zone = any(token.text in ZONES for token in words)
    return _Phrase(kind, direction, degree, zone, label, by_side and not breaks)


def _contradicts_itself(words: Sequence[Token]) -> bool:
    kinds = {KINDS[token.text] for token in words if token.text in KINDS}
    directions = {DIRECTIONS[token.text] for token in words if token.text in DIRECTIONS}
    degrees = {AGGRESSIVENESS[token.text] for token in words if token.text in AGGRESSIVENESS}
    return max(len(kinds), len(directions), len(degrees)) > 1


def _wording_problem(words: Sequence[Token], tokens: Sequence[Token]) -> str | None:
    if any(token.is_target_word or token.is_stop_word for token in words):
        return "names targets or a stop but no level before them"
    unknown = next((token.text for token in words if not _is_known(token.text)), None)
    if unknown is not None:
        return f"has {unknown!r} before the level, which the grammar does not know"
    if words and any(token.sign in _ARROWS and token.start > words[0].start for token in tokens):
        return "has an arrow where the level should be"
    return None


def _sides(tokens: Sequence[Token]) -> set[Side]:
    symbols: dict[Sign, Side] = {Sign.ABOVE: "above", Sign.BELOW: "below"}
    named = {side for token in tokens if token.sign is Sign.WORD and (side := SIDES.get(token.text))}
    return named | {symbols[token.sign] for token in tokens if token.sign in symbols}


def _is_known(word: str) -> bool:
    return any(word in table for table in (KINDS, DIRECTIONS, AGGRESSIVENESS, SIDES, ZONES, BREAKS, FILLERS))


def _implied_kind(
    directions: set[Direction], sides: set[Side], degree: Aggressiveness | None, arrow: Sign | None
) -> Kind | None:
    """Return the kind where it is not named: `Long Over` breaks out, `(arrow) Con 560.00` breaks down."""
    for direction in directions:
        for side in sides:
            if (direction, side) in _KIND_OF_SIDE:
                return _KIND_OF_SIDE[direction, side]
    if degree is not None and arrow is not None and not directions:
        return _KIND_OF_ARROW[arrow]
    return None


def _contradiction(kind: Kind, direction: Direction, sides: set[Side]) -> str | None:
    if kind != "rejection" and direction != _DIRECTION_OF[kind]:
        return f"calls a {kind} {direction}"
    opposite = {"above": "below", "below": "above"}
    expected = _SIDE_OF_KIND.get(kind)
    if expected is not None and opposite[expected] in sides:
        return f"has a {kind} {opposite[expected]} its level"
    return None


def _read_level(tokens: Sequence[Token], first: int, text: str) -> _Level | Refusal:
    start = tokens[first]
    if start.sign is Sign.ODD:
        return Refusal(f"has {start.text!r}, which cannot be read as a price")
    following = tokens[first + 1 : first + 3]
    if [token.sign for token in following[1:]] == [Sign.NUMBER]:
        link, second = following
        joint = _joint(link, text[start.end : second.start], tokens[:first])
        if joint:
            low, high = sorted((start.value, second.value))
            return _Level(low, high, joint, first + 3)
    return _Level(start.value, start.value, "", first + 1)


def _joint(link: Token, between: str, before: Sequence[Token]) -> str:
    """Return how two numbers are joined to a zone, or nothing when they are not."""
    if "," in between:
        return ""
    if link.sign is Sign.DASH:
        return "spaced" if " " in between else "tight"
    named = any(token.text == "between" for token in before)
    if link.text in {"to", "through", "thru"} or (link.text == "and" and named):
        return "spaced"
    return ""


def _zone_problem(level: _Level, phrase: _Phrase, tail: Tail) -> str | None:
    """Refuse a pair of numbers that may as well be a level and its target."""
    if not level.joint or phrase.zone or tail.zone or tail.targets:
        return None
    if level.joint == "tight" and phrase.kind in {"rejection", "bounce"}:
        return None
    return f"has {level.low} and {level.high}, which may be a zone or a level and its target"


def _side_problem(level: _Level, phrase: _Phrase, tail: Tail) -> str | None:
    """Refuse a kind that a side alone gives, unless targets lie beyond the level on that side."""
    if not phrase.by_side:
        return None
    if phrase.direction == "long":
        beyond = bool(tail.targets) and all(target > level.high for target in tail.targets)
    else:
        beyond = bool(tail.targets) and all(target < level.low for target in tail.targets)
    return None if beyond else _NO_KIND


def _note_problem(tail: Tail) -> str | None:
    if tail.note and not tail.targets:
        return f"goes on after the level with {' '.join(tail.note)!r}, which the grammar does not know"
    return None


def names_itself(text: str) -> bool:
    """Return whether a cleaned line says its own kind or direction, whatever heading stands above it."""
    words = {token.text for token in tokenize(text) if token.sign is Sign.WORD}
    return not words.isdisjoint(KINDS.keys() | DIRECTIONS.keys())
