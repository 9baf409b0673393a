"""The tail of a setup, after its level: targets, a stop, a note.

Reads token by token and keeps track of whether a list of targets is open: only then may a number
be taken. Rules and refusals are described in `grammar.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ingest_pipeline.domain.extract.setups.tokens import (
    AGGRESSIVENESS,
    CONJUNCTIONS,
    LIST_OPENERS,
    SIDES,
    WITHDRAWN,
    ZONES,
    Aggressiveness,
    Direction,
    Sign,
    Token,
    tokenize,
)

NAMES_NO_PRICE = "names no price"
# A time, or the length of a candle; in a note it is plainly no price.
_TIME = re.compile(r"[0-9]{1,2}(?::[0-9]{2}|[ap]m|m|min|mins|h|hr)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is no setup; reads on after "the line …"."""

    reason: str


@dataclass(frozen=True, slots=True)
class Details:
    """Targets and stop level, of a setup line or of a line below it."""

    targets: tuple[Decimal, ...]
    stop: Decimal | None


@dataclass(slots=True)
class Tail:
    """The tail after the level, once `read` has parsed it.

    Attributes:
        text: The cleaned line.
        tokens: Those of its tokens that follow the level.
        direction: The setup's direction, which arrows must not contradict.
        targets: The targets, in the order written.
        stop: The stop level.
        note: Words that belong to neither; those in parentheses are left out.
        zone: Whether a word right after the level calls it a zone.
        degrees: How aggressive, where it stands in parentheses or right after the level.
    """

    text: str
    tokens: Sequence[Token]
    direction: Direction
    targets: list[Decimal] = field(default_factory=list)
    stop: Decimal | None = None
    note: list[str] = field(default_factory=list)
    zone: bool = False
    degrees: set[Aggressiveness] = field(default_factory=set)
    _position: int = 0
    _listing: bool = False
    _outer: list[bool] = field(default_factory=list)

    @property
    def details(self) -> Details:
        """Targets and stop as they are so far."""
        return Details(tuple(self.targets), self.stop)

    def read(self) -> str | None:
        """Read all tokens; return the first problem."""
        handlers: dict[Sign, Callable[[Token], str | None]] = {
            Sign.NUMBER: self._number,
            Sign.ODD: self._odd,
            Sign.WORD: self._word,
            Sign.UP: self._arrow,
            Sign.DOWN: self._arrow,
            Sign.ONWARD: self._arrow,
            Sign.OPENING: self._open,
            Sign.CLOSING: self._close,
            Sign.HALT: self._halt,
            Sign.MARK: self._mark,
        }
        while self._position < len(self.tokens):
            token = self.tokens[self._position]
            self._position += 1
            handler = handlers.get(token.sign)
            problem = handler(token) if handler else None
            if problem:
                return problem
        return None

    def _peek(self, ahead: int = 0) -> Token | None:
        index = self._position + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def _next_is(self, sign: Sign, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.sign is sign

    def _number(self, token: Token) -> str | None:
        if not self._listing:
            return f"has {token.text} after the level without a mark that makes it a target"
        if self._next_is(Sign.DASH) and self._next_is(Sign.NUMBER, 1):
            return f"has a target from {token.text} on written as a range"
        if self._may_count(token):
            return f"has a {token.text} that may count the targets or be one"
        self.targets.append(token.value)
        return None

    def _odd(self, token: Token) -> str | None:
        noted = self._outer or (self.targets and not self._listing)
        if noted and _TIME.fullmatch(token.text):
            self._listing = False
            return None
        return f"has {token.text!r}, which cannot be read as a price"

    def _halt(self, _token: Token) -> str | None:
        return self._read_stop() if self._next_is(Sign.NUMBER) else None

    def _mark(self, _token: Token) -> str | None:
        """End the targets at a sign that may make anything of the number behind it."""
        self._listing = self._listing and not self.targets
        return None

    def _arrow(self, token: Token) -> str | None:
        if token.sign is (Sign.DOWN if self.direction == "long" else Sign.UP):
            return f"has an arrow against its direction, {self.direction}"
        self._listing = True
        return None

    def _open(self, token: Token) -> str | None:
        self._outer.append(self._listing)
        if self._next_is(Sign.NUMBER):
            if self.targets:
                return f"has a second list of numbers after {token.text!r}"
            self._listing = True
        return None

    def _close(self, _token: Token) -> str | None:
        if self._outer:
            self._listing = self._outer.pop()
        return None

    def _word(self, token: Token) -> str | None:
        if token.is_target_word:
            self._listing = True
            self._skip_index()
            return None
        if token.is_stop_word:
            return self._read_stop()
        if token.text in LIST_OPENERS and self._next_is(Sign.NUMBER):
            self._listing = True
            return None
        if token.text in CONJUNCTIONS and self._listing and self._next_is(Sign.NUMBER):
            return None
        return self._note(token)

    def _note(self, token: Token) -> str | None:
        if token.text in WITHDRAWN:
            return f"is withdrawn: {token.text!r}"
        if token.text in AGGRESSIVENESS and self._states_degree():
            self.degrees.add(AGGRESSIVENESS[token.text])
            self._listing = False
            return None
        if any(character.isnumeric() for character in token.text):
            return f"has {token.text!r}, which the grammar does not know"
        if not self.targets and token.text in ZONES | {"support", "resistance", "level"}:
            self.zone = self.zone or token.text in ZONES
            return None
        self._listing = False
        if not self._outer:
            self.note.append(token.text)
        return None

    def _states_degree(self) -> bool:
        """Return whether the word just taken opens a parenthesis or the tail: `141.33 (Aggressive)`."""
        return self._position == 1 or self.tokens[self._position - 2].sign is Sign.OPENING

    def _skip_index(self) -> None:
        """Pass over the 1 of `Target 1: 185`."""
        token = self._peek()
        if token and token.sign is Sign.NUMBER and len(token.text) == 1 and self._next_is(Sign.COLON, 1):
            self._position += 1

    def _may_count(self, token: Token) -> bool:
        """Return whether a digit may number the targets: `Target 1 185`, `Targets: 1) 185`."""
        following = self._peek()
        if following is None or len(token.text) > 1:
            return False
        between = self.text[token.end : following.start]
        if following.sign is Sign.CLOSING:
            return not between and not self._outer
        return following.sign is Sign.NUMBER and not set(between) & set(",;/|")

    def _read_stop(self) -> str | None:
        self._listing = False
        while (token := self._peek()) and (token.sign in {Sign.COLON, Sign.NEAR} or token.text in SIDES):
            self._position += 1
        if token is None or token.sign is not Sign.NUMBER:
            return "names a stop without its level"
        if self.stop is not None:
            return "names two stops"
        self._position += 1
        self.stop = token.value
        return None


def read_arrow(text: str, direction: Direction) -> Details | None:
    """Read a line that is an arrow and numbers, the targets of the setup right above it; or None.

    Args:
        text: The cleaned line.
        direction: The direction of that setup.
    """
    tokens = tokenize(text)
    if (
        not tokens
        or tokens[0].sign not in {Sign.UP, Sign.DOWN, Sign.ONWARD}
        or {token.sign for token in tokens[1:]} != {Sign.NUMBER}
    ):
        return None
    tail = Tail(text, tokens, direction)
    return None if tail.read() else tail.details


def read_prices(text: str) -> tuple[Decimal, ...]:
    """Return the prices of a line that holds nothing else, or none."""
    tokens = tokenize(text)
    return tuple(token.value for token in tokens) if {token.sign for token in tokens} == {Sign.NUMBER} else ()


def read_details(text: str, direction: Direction) -> Details | Refusal | None:
    """Read a line that only adds targets or a stop to the setup above it.

    Args:
        text: The cleaned line.
        direction: The direction of that setup.

    Returns:
        What it adds, why it cannot be read, or None for a line that does not begin like one.
    """
    tokens = tokenize(text)
    if [token.sign for token in tokens] != [Sign.HALT, Sign.NUMBER]:
        words = [token for token in tokens if token.sign is Sign.WORD]
        if not words or not (words[0].is_target_word or words[0].is_stop_word):
            return None
        if any(token.sign in {Sign.NUMBER, Sign.ODD} for token in tokens[: tokens.index(words[0])]):
            return None
    tail = Tail(text, tokens, direction)
    problem = tail.read()
    if problem:
        return Refusal(problem)
    return tail.details if tail.targets or tail.stop is not None else Refusal(NAMES_NO_PRICE)
