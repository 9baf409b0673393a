"""Search queries: words, "phrases", prefix*, AND, OR, NOT, -word and parentheses.

    box AND (tyres OR "soft tyre") -quali
    $SPY brk* NOT puts

Words beside each other must all be there. AND, OR and NOT are written in capitals; OR binds less than AND. A
query of exclusions alone is refused, since it asks for everything else. A query means the same on every
engine, because it is cut into words by the tokenizer that cuts the texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest_pipeline.domain.search.words import SearchableText, fold, tokens
from ingest_pipeline.errors import BadInput

LONGEST_QUERY = 1000
DEEPEST = 20
_LEXEME = re.compile(
    r"""\s*(?:(?P<open>-?\()|(?P<close>\))|(?P<minus>-)?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s()"]+)))"""
)


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase.

    Attributes:
        words: Words that stand beside each other in this order; none where the one mark says it all.
        marks: Marks that the text has as well.
        is_prefix: Whether the last word only begins like this.
        mark_prefix: What one of the text's marks begins with, where the last word of a prefix has a sign.
    """

    words: tuple[str, ...]
    marks: tuple[str, ...] = ()
    is_prefix: bool = False
    mark_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """What matches all of some and none of others; `wanted` is not empty."""

    wanted: tuple[Node, ...]
    excluded: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """What matches at least one of several."""

    options: tuple[Node, ...]


Node = Term | Every | Either


def parse_query(text: str) -> Node:
    """Read a query.

    Raises:
        BadInput: It has no word, only exclusions, or wrong parentheses, or is too long.
    """
    if len(text) > LONGEST_QUERY:
        raise BadInput(f"the query has {len(text)} characters: write {LONGEST_QUERY} at most")
    if text.count('"') % 2:
        raise BadInput(f"the query {text!r} has an open quotation mark: close it, or leave it out")
    reader = _Reader(text)
    node = reader.options(0)
    if reader.lexeme is not None:
        raise BadInput(f"the query {text!r} closes a parenthesis that was not opened")
    return node


class _Reader:
    """A query that is read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lexemes = _lexemes(text)
        self.lexeme = next(self._lexemes, None)

    def options(self, depth: int) -> Node:
        """Read what OR separates."""
        if depth > DEEPEST:
            raise BadInput(f"the query nests deeper than {DEEPEST} parentheses: simplify it")
        options = [self._every(depth)]
        while self._takes("OR"):
            options.append(self._every(depth))
        return options[0] if len(options) == 1 else Either(tuple(options))

    def _every(self, depth: int) -> Node:
        wanted: list[Node] = []
        excluded: list[Node] = []
        while self.lexeme is not None and not self._is_word("OR") and not self.lexeme["close"]:
            if self._takes("AND"):
                continue
            is_excluded = False
            while self._takes("NOT"):
                is_excluded = not is_excluded
            node, is_minus = self._atom(depth)
            if node is not None:
                (excluded if is_excluded != is_minus else wanted).append(node)
        if not wanted:
            what = "only excludes words" if excluded else "has no word"
            raise BadInput(f"the query {self.text!r} {what}: add a word to look for")
        return wanted[0] if len(wanted) == 1 and not excluded else Every(tuple(wanted), tuple(excluded))

    def _atom(self, depth: int) -> tuple[Node | None, bool]:
        lexeme = self.lexeme
        if lexeme is None or lexeme["close"]:
            raise BadInput(f"the query {self.text!r} ends after NOT: add a word")
        self._advance()
        if lexeme["open"]:
            node = self.options(depth + 1)
            if self.lexeme is None or not self.lexeme["close"]:
                raise BadInput(f"the query {self.text!r} has an open parenthesis: close it")
            self._advance()
            return node, lexeme["open"] == "-("
        return _term(lexeme["phrase"] or lexeme["word"] or ""), bool(lexeme["minus"])

    def _is_word(self, word: str) -> bool:
        return self.lexeme is not None and self.lexeme["word"] == word and not self.lexeme["minus"]

    def _takes(self, word: str) -> bool:
        if not self._is_word(word):
            return False
        self._advance()
        return True

    def _advance(self) -> None:
        self.lexeme = next(self._lexemes, None)


def _lexemes(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while (match := _LEXEME.match(text, at)) is not None:
        yield match
        at = match.end()


def _term(text: str) -> Term | None:
    """Return the term of a word or phrase; None for separators alone, such as the `&` in `box & tyres`."""
    is_prefix = text.endswith("*")
    pieces = list(tokens(fold(text.rstrip("*"))))
    words = tuple(word for piece in pieces for word in piece.words)
    if not words:
        return None
    if len(pieces) == 1 and (mark := pieces[0].mark):
        return Term((), () if is_prefix else (mark,), is_prefix, mark if is_prefix else None)
    mark_prefix = pieces.pop().mark if is_prefix else None
    marks = dict.fromkeys(piece.mark for piece in pieces if piece.mark)
    return Term(words, tuple(marks), is_prefix, mark_prefix)


def matches(node: Node, text: SearchableText) -> bool:
    """Return whether a text matches: what every index must answer, word by word."""
    if isinstance(node, Either):
        return any(matches(each, text) for each in node.options)
    if isinstance(node, Every):
        return all(matches(each, text) for each in node.wanted) and not any(
            matches(each, text) for each in node.excluded
        )
    return _has_phrase(node, text.words) and _has_marks(node, text.marks)


def _has_phrase(term: Term, words: tuple[str, ...]) -> bool:
    if not term.words:
        return True
    size = len(term.words)
    return any(_fits(term, words[at : at + size]) for at in range(len(words) - size + 1))


def _fits(term: Term, words: tuple[str, ...]) -> bool:
    if not term.is_prefix:
        return words == term.words
    return words[:-1] == term.words[:-1] and words[-1].startswith(term.words[-1])


def _has_marks(term: Term, marks: tuple[str, ...]) -> bool:
    if term.mark_prefix and not any(each.startswith(term.mark_prefix) for each in marks):
        return False
    return set(term.marks) <= set(marks)


def spans(node: Node, folded: str) -> list[tuple[int, int]]:
    """Return where a folded text has words that a query looks for, in order: what a snippet marks."""
    wanted, marks, prefixes = set[str](), set[str](), list[str]()
    for term in _terms(node):
        wanted.update(term.words[:-1] if term.is_prefix else term.words)
        marks.update(term.marks)
        if term.is_prefix:
            prefixes += term.words[-1:]
    return [
        (token.start, token.end)
        for token in tokens(folded)
        if token.mark in marks
        or any(word in wanted or word.startswith(tuple(prefixes)) for word in token.words)
    ]


def _terms(node: Node) -> Iterator[Term]:
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Either):
        for each in node.options:
            yield from _terms(each)
    else:
        for each in node.wanted:
            yield from _terms(each)
