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
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ingest_pipeline.domain.extract.setup_tail import Details, Tail
from ingest_pipeline.domain.extract.setup_tokens import (
    AGGRESSIVENESS,
    DIRECTIONS,
    FILLERS,
    KINDS,
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
_KIND_OF_ARROW: dict[Sign, Kind] = {Sign.UP: "breakout", Sign.DOWN: "breakdown"}
_SIDE_OF_KIND: dict[Kind, Side] = {"breakout": "above", "breakdown": "below"}
_BRACKETS = str.maketrans(dict.fromkeys("()[]{}", " "))
_ARROWS = frozenset({Sign.UP, Sign.DOWN, Sign.ONWARD})
_NUMERIC = frozenset({Sign.NUMBER, Sign.ODD})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is no setup; reads on after "the line …"."""

    reason: str


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
    problem = problem or distance_problem(level.low, level.high, tail.details)
    if problem:
        return Refusal(problem)
    return SetupLine(
        kind=phrase.kind,
        direction=phrase.direction,
        aggressiveness=phrase.aggressiveness,
        low=level.low,
        high=level.high,
        targets=tail.details.targets,
        stop=tail.details.stop,
        label=phrase.label,
    )


def read_details(text: str, direction: Direction) -> Details | Refusal | None:
    """Read a line that only adds targets or a stop to the setup above it.

    Args:
        text: The cleaned line.
        direction: The direction of that setup.

    Returns:
        What it adds, why it cannot be read, or None for a line that does not begin like one.
    """
    tokens = tokenize(text)
    words = [token for token in tokens if token.sign is Sign.WORD]
    if not words or not (words[0].is_target_word or words[0].is_stop_word):
        return None
    if any(token.sign in _NUMERIC for token in tokens[: tokens.index(words[0])]):
        return None
    tail = Tail(text, tokens, direction)
    problem = tail.read()
    if problem:
        return Refusal(problem)
    return tail.details if tail.targets or tail.stop is not None else Refusal("names no price")


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


def _read_phrase(tokens: list[Token], text: str) -> _Phrase | Refusal:
    words = [token for token in tokens if token.sign is Sign.WORD]
    problem = _wording_problem(words, tokens)
    if problem:
        return Refusal(problem)
    kinds = {KINDS[token.text] for token in words if token.text in KINDS}
    directions = {DIRECTIONS[token.text] for token in words if token.text in DIRECTIONS}
    degrees = {AGGRESSIVENESS[token.text] for token in words if token.text in AGGRESSIVENESS}
    sides = _sides(tokens)
    if max(len(kinds), len(directions), len(degrees)) > 1 or {"above", "below"} <= sides:
        return Refusal("says two things at once about one level")
    degree = next(iter(degrees), None)
    arrow = next((token.sign for token in tokens if token.sign in _KIND_OF_ARROW), None)
    kind = next(iter(kinds), None) or _implied_kind(directions, sides, degree, arrow)
    if kind is None:
        return Refusal("names no kind of setup")
    direction = next(iter(directions), _DIRECTION_OF[kind])
    problem = _contradiction(kind, direction, sides)
    if problem:
        return Refusal(problem)
    label = " ".join(text[words[0].start : words[-1].end].translate(_BRACKETS).split())
    return _Phrase(kind, direction, degree, any(token.text in ZONES for token in words), label)


def _wording_problem(words: list[Token], tokens: list[Token]) -> str | None:
    if any(token.is_target_word or token.is_stop_word for token in words):
        return "names targets or a stop but no level before them"
    unknown = next((token.text for token in words if not _is_known(token.text)), None)
    if unknown is not None:
        return f"has {unknown!r} before the level, which the grammar does not know"
    if words and any(token.sign in _ARROWS and token.start > words[0].start for token in tokens):
        return "has an arrow where the level should be"
    return None


def _sides(tokens: list[Token]) -> set[Side]:
    symbols: dict[Sign, Side] = {Sign.ABOVE: "above", Sign.BELOW: "below"}
    named = {side for token in tokens if token.sign is Sign.WORD and (side := SIDES.get(token.text))}
    return named | {symbols[token.sign] for token in tokens if token.sign in symbols}


def _is_known(word: str) -> bool:
    return any(word in table for table in (KINDS, DIRECTIONS, AGGRESSIVENESS, SIDES, ZONES, FILLERS))


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


def _read_level(tokens: list[Token], first: int, text: str) -> _Level | Refusal:
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


def _joint(link: Token, between: str, before: list[Token]) -> str:
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


def _note_problem(tail: Tail) -> str | None:
    if tail.note and not tail.targets:
        return f"goes on after the level with {' '.join(tail.note)!r}, which the grammar does not know"
    return None
