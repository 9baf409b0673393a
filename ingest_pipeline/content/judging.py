"""Verdicts of highlights for many messages: one is made for all that have the same features."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.extract.highlights import (
    HIGHLIGHT_RULE_VERSION,
    HighlightVerdict,
    MessageFeatures,
)
from ingest_pipeline.storage.content.highlights import SessionChannel, SessionRate
from ingest_pipeline.storage.content.tables import HIGHLIGHTS
from ingest_pipeline.storage.engine.columns import as_numpy, column, grouped, positions

Rates = Mapping[SessionChannel, SessionRate]
_NUMBERS = ("reaction_count", "reply_count", "messages_per_minute")


class HighlightScorer(Protocol):
    """The judge of a message: the rule of weights and keywords; a model could replace it.

    Its `repr` contains its settings: when that changes, a session is scored again.
    """

    @property
    def relevant_pattern(self) -> str | None:
        """A pattern for RE2 that finds something in each text that matters; None when all texts may."""
        ...

    def relevant_text(self, text: str) -> str:
        """Return of a text what the verdict depends on, such that texts alike in it are judged alike."""
        ...

    def score(self, features: MessageFeatures) -> HighlightVerdict:
        """Judge one message."""
        ...


def rule_digest(rule: HighlightScorer) -> str:
    """Return a digest of a rule's weights and keywords: eight hexadecimal digits."""
    return blake2b(f"{HIGHLIGHT_RULE_VERSION} {rule!r}".encode(), digest_size=4).hexdigest()


class Judge:
    """Gives messages their rows.

    Args:
        rules: What judges, by channel.
        digests: Of these.
        rates: What is usual.
    """

    def __init__(
        self, rules: Mapping[int, HighlightScorer], digests: Mapping[int, str], rates: Rates
    ) -> None:
        """Nothing is judged yet."""
        self._rules = rules
        self._digests = digests
        self._rates = rates

    def rows(self, features: pa.Table) -> pa.Table:
        """Return the rows of the messages that some signal speaks for, in their order.

        Args:
            features: Live messages, as `highlight_features` returns them.

        Returns:
            A table of the columns of `highlights`.
        """
        if not len(features):
            return HIGHLIGHTS.columns.empty_table()
        texts, words = self._words(features)
        names = ("session_id", "channel_id", *_NUMBERS)
        codes = [_codes(features[name]) for name in names[:2]]
        codes += [as_numpy(features[name].combine_chunks()).astype(np.int64) for name in _NUMBERS]
        firsts, groups = grouped([*codes, words])
        alike = features.select(names).take(positions(firsts))
        signals = zip(*(each.to_pylist() for each in alike.itercolumns()), strict=True)
        said = (texts[word] for word in words[firsts].tolist())
        judged = list(map(self._judged, signals, said))
        return _joined(features["discord_id"], groups, judged)

    def _words(self, features: pa.Table) -> tuple[list[str], np.ndarray]:
        """Return the different relevant texts, and for each message the position of its own among them."""
        numbers = {"": 0}
        found = np.zeros(len(features), np.int64)
        for channel_id in pc.unique(features["channel_id"]).to_pylist():
            rule = self._rules[channel_id]
            is_candidate = pc.equal(features["channel_id"], column([channel_id], pa.int64())[0])
            if rule.relevant_pattern is not None:
                matches = pc.match_substring_regex(features["message_text"], rule.relevant_pattern)
                is_candidate = pc.and_(is_candidate, matches)
            places = as_numpy(pc.indices_nonzero(is_candidate)).astype(np.int64)
            some = features["message_text"].filter(is_candidate).to_pylist()
            found[places] = [numbers.setdefault(rule.relevant_text(text), len(numbers)) for text in some]
        return list(numbers), found

    def _judged(self, signals: tuple[Any, ...], text: str) -> tuple[Any, ...] | None:
        session_id, channel_id, reactions, replies, rate = signals
        usual = self._rates[session_id, channel_id].usual_per_minute if session_id is not None else None
        verdict = self._rules[channel_id].score(MessageFeatures(text, reactions, replies, rate, usual))
        if not verdict.score:
            return None
        reasons = json.dumps(verdict.reasons, ensure_ascii=False)
        digest = self._digests[channel_id]
        return verdict.score, verdict.is_candidate, reasons, HIGHLIGHT_RULE_VERSION, digest


def _codes(values: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each different value, 0 for null."""
    encoded = values.combine_chunks().dictionary_encode()
    codes = as_numpy(encoded.indices).astype(np.int64) + 1
    if values.null_count:
        codes[as_numpy(pc.indices_nonzero(values.is_null())).astype(np.int64)] = 0
    return codes


def _joined(ids: pa.ChunkedArray, groups: np.ndarray, judged: Sequence[tuple[Any, ...] | None]) -> pa.Table:
    rows_of = np.full(len(judged), -1, np.int64)
    rows = [row for row in judged if row]
    rows_of[[at for at, row in enumerate(judged) if row]] = np.arange(len(rows))
    if not rows:
        return HIGHLIGHTS.columns.empty_table()
    own = rows_of[groups]
    takes = own >= 0
    fields = list(HIGHLIGHTS.columns)[1:]
    arrays = [
        column(values, field.type) for values, field in zip(zip(*rows, strict=True), fields, strict=True)
    ]
    verdicts = pa.table(arrays, schema=pa.schema(fields)).take(positions(own[takes]))
    return verdicts.add_column(0, HIGHLIGHTS.columns.field(0), ids.take(positions(np.flatnonzero(takes))))
