"""Words of a text as search sees them: one tokenizer for every index and for what is searched for.

PostgreSQL and SQLite cut texts into words in ways of their own: `$SPY`, `C++`, `a/b`, `18-25` and custom
emoji become other words in each, or none. So the texts are cut here, and the engines only keep the words.

- Letters and digits make words; whatever else stands between them separates. `pit-stop` is two words, and is
  found by `pit stop` and `pit-stop` alike.
- Case, accents and compatibility forms make no difference: `Pérez`, `PEREZ` and `ﬁ` are `perez` and `fi`.
- A word with a sign that gives it another meaning is a *mark* too: `$SPY`, `#box`, `@ann`, `C++`, `F#` and
  the emoji `:checkered_flag:` or `<:checkered_flag:1>`. `spy` finds `$SPY`, `$spy` does not find `spy`.
- Each emoji character, and each character of a script that puts no blanks between words, is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_WORD = 64
"""Characters of a word that count; longer words are cut, in the index as in the query."""

_UNBLANKED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKEN = re.compile(
    rf"""
    <(?P<mention>[@#][!&]?\d+|/[^<>]{{1,64}}:\d+|t:-?\d+(?::\w)?)>   # a mention, a command or a time
    | <a?:(?P<custom>\w+):\d+>
    | :(?P<emoji>[\w+-]*[^\W\d][\w+-]*):
    | (?P<unblanked>[{_UNBLANKED}])
    | (?P<sign>[$\#@])?(?P<word>[^\W_{_UNBLANKED}]+)(?P<plus>\+\+|\#(?![\w\#]))?
    | (?P<symbol>[^\x00-\xa8\w\s])
    """,
    re.VERBOSE,
)
_PIECES = re.compile(r"[^\W_]+")
_SPECIAL = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
    "ħ": "h",
    "\u0131": "i",
    "ŋ": "n",
}


class _Folding(dict[int, str]):
    """Characters without case and accents, made when they are first met."""

    def __missing__(self, point: int) -> str:
        decomposed = unicodedata.normalize("NFKD", chr(point))
        bare = "".join(each for each in decomposed if not unicodedata.combining(each)).casefold()
        folded = "".join(_SPECIAL.get(each, each) for each in bare)
        # Selectors of an emoji's look and joiners belong to no word.
        self[point] = "" if unicodedata.category(chr(point)) in {"Cf", "Mn", "Me"} else folded
        return self[point]


_FOLDED = _Folding()


def fold(text: str) -> str:
    """Return a text without differences of case, accents and compatibility forms."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text.

    Attributes:
        words: Its words, in order, folded.
        mark: The word with its sign, folded, or None.
        start: Where it begins in the folded text.
        end: Where it ends there.
    """

    words: tuple[str, ...]
    mark: str | None
    start: int
    end: int


def tokens(folded: str) -> Iterator[Token]:
    """Cut a folded text into its pieces; mentions and times are none, since they are ids and numbers."""
    for match in _TOKEN.finditer(folded):
        kind = match.lastgroup
        if match["mention"]:
            continue
        name = match["custom"] or match["emoji"]
        if name:
            yield _token(match, tuple(_PIECES.findall(name)), f":{name}:")
        elif match["word"]:
            sign, plus = match["sign"] or "", match["plus"] or ""
            word = match["word"]
            yield _token(match, (word,), f"{sign}{word}{plus}" if sign or plus else None)
        elif kind == "unblanked" or _is_symbol(match[0]):
            yield _token(match, (match[0],), None)


def _token(match: re.Match[str], words: tuple[str, ...], mark: str | None) -> Token:
    cut = tuple(word[:LONGEST_WORD] for word in words)
    return Token(cut, mark[: LONGEST_WORD + 3] if mark else None, match.start(), match.end())


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Cn", "Co", "Sk"}


@dataclass(frozen=True, slots=True)
class SearchableText:
    """A text as it is indexed.

    Attributes:
        words: Its words in order.
        marks: Its marks, each once, in the order of their first.
    """

    words: tuple[str, ...]
    marks: tuple[str, ...]


def searchable(text: str) -> SearchableText:
    """Return the words and marks of a text."""
    words: list[str] = []
    marks: dict[str, None] = {}
    for token in tokens(fold(text)):
        words += token.words
        if token.mark:
            marks[token.mark] = None
    return SearchableText(tuple(words), tuple(marks))


def offsets(text: str) -> tuple[str, list[int]]:
    """Return a text folded, and for each of its characters, and its end, where that was in the text."""
    if text.isascii():
        return text.lower(), list(range(len(text) + 1))
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        made = _FOLDED[ord(character)]
        folded.append(made)
        places += [place] * len(made)
    return "".join(folded), [*places, len(text)]
