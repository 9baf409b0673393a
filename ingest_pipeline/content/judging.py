"""Verdicts of highlights for many messages: one is made for all that have the same features.

A usual rate decides on some messages alone: those whose other signals fall short of the threshold by no more
than a burst can add. For these the highest usual rate is kept with which they are candidates, so that a new
one finds those whose verdict it changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.extract.highlights import HIGHLIGHT_RULE_VERSION, Signals
from ingest_pipeline.storage.content.highlights import SessionChannel, SessionRate
from ingest_pipeline.storage.content.rows import Row
from ingest_pipeline.storage.content.tables import HIGHLIGHT_SIGNALS
from ingest_pipeline.storage.engine.columns import as_numpy, column, grouped, in_one_piece, positions

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

    @property
    def needed_points(self) -> int:
        """The thousandths that make a candidate; above 0."""
        ...

    @property
    def most_burst_points(self) -> int:
        """The most thousandths that a burst adds."""
        ...

    def signals(self, text: str, reactions: int, replies: int) -> Signals:
        """Judge what speaks for a message besides a burst."""
        ...

    def burst(self, rate: float, usual_rate: float) -> Signals:
        """Judge a minute by its messages and what is usual: the higher that, the less, 0 from the rate on."""
        ...


def rule_digest(rule: HighlightScorer) -> str:
    """Return a digest of a rule's weights and keywords: eight hexadecimal digits."""
    return blake2b(f"{HIGHLIGHT_RULE_VERSION} {rule!r}".encode(), digest_size=4).hexdigest()


def burst_rows(
    rule: HighlightScorer, pair: SessionChannel, usual_rate: float, rates: Iterable[int]
) -> list[Row]:
    """Return what bursts add in a session's channel, as rows of `session_bursts`.

    Args:
        usual_rate: Messages a minute.
        rates: The numbers of messages of minutes.
    """
    digest, needed = rule_digest(rule), rule.needed_points
    bursts = ((rate, rule.burst(rate, usual_rate)) for rate in sorted(rates) if rate > usual_rate)
    return [
        (*pair, rate, burst.points, needed, _as_json(burst), HIGHLIGHT_RULE_VERSION, digest)
        for rate, burst in bursts
        if burst.points
    ]


def flips_at(rule: HighlightScorer, rate: int, missing: int) -> float | None:
    """Return the highest usual rate with which a minute's burst adds enough.

    A usual rate is a median of whole numbers, so it has halves.

    Args:
        rate: Messages in the minute.
        missing: The thousandths that are missing.

    Returns:
        None when it never decides.
    """
    if missing <= 0 or rule.burst(rate, 0).points < missing:
        return None
    enough, too_high = 0, 2 * rate
    while too_high - enough > 1:
        middle = (enough + too_high) // 2
        if rule.burst(rate, middle / 2).points >= missing:
            enough = middle
        else:
            too_high = middle
    return enough / 2


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

    def rows(self, features: pa.Table) -> tuple[pa.Table, np.ndarray]:
        """Return the rows of the messages that have any, and which messages are candidates.

        Args:
            features: Live messages, as `highlight_features` returns them.

        Returns:
            A table of the columns of `highlight_signals`, in the order of the messages; and ids, int64,
            ascending.
        """
        if not len(features):
            return pa.Table.from_batches([], HIGHLIGHT_SIGNALS.columns), np.empty(0, np.int64)
        texts, words = self._words(features)
        names = ("session_id", "channel_id", *_NUMBERS)
        codes = [_codes(features[name]) for name in names[:2]]
        codes += [as_numpy(features[name]).astype(np.int64) for name in _NUMBERS]
        firsts, groups = grouped([*codes, words])
        alike = features.select(names).take(positions(firsts))
        signals = zip(*(each.to_pylist() for each in alike.itercolumns()), strict=True)
        said = (texts[word] for word in words[firsts].tolist())
        judged = list(map(self._judged, signals, said))
        are_candidates = np.array([is_candidate for is_candidate, _ in judged], bool)[groups]
        ids = as_numpy(features["discord_id"])
        return _joined(features["discord_id"], groups, [row for _, row in judged]), ids[are_candidates]

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

    def _judged(self, features: tuple[Any, ...], text: str) -> tuple[bool, Row | None]:
        session_id, channel_id, reactions, replies, rate = features
        rule = self._rules[channel_id]
        signals = rule.signals(text, reactions, replies)
        missing = rule.needed_points - signals.points
        flip = None if session_id is None else flips_at(rule, rate, missing)
        is_candidate = missing <= 0
        if flip is not None:
            is_candidate = self._rates[session_id, channel_id].usual_per_minute <= flip
        if not signals.points and flip is None:
            return is_candidate, None
        digest = self._digests[channel_id]
        reasons = _as_json(signals)
        return is_candidate, (
            session_id,
            channel_id,
            signals.points,
            missing,
            flip,
            reasons,
            HIGHLIGHT_RULE_VERSION,
            digest,
        )


def _as_json(signals: Signals) -> str:
    return json.dumps(signals.reasons, ensure_ascii=False)


def _codes(values: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each different value, 0 for null."""
    encoded = in_one_piece(values).dictionary_encode()
    codes = as_numpy(encoded.indices).astype(np.int64) + 1
    if values.null_count:
        codes[as_numpy(pc.indices_nonzero(values.is_null())).astype(np.int64)] = 0
    return codes


def _joined(ids: pa.ChunkedArray, groups: np.ndarray, judged: Sequence[Row | None]) -> pa.Table:
    rows_of = np.full(len(judged), -1, np.int64)
    rows = [row for row in judged if row]
    rows_of[[at for at, row in enumerate(judged) if row]] = np.arange(len(rows))
    if not rows:
        return pa.Table.from_batches([], HIGHLIGHT_SIGNALS.columns)
    own = rows_of[groups]
    takes = own >= 0
    fields = list(HIGHLIGHT_SIGNALS.columns)[1:]
    arrays = [
        column(values, field.type) for values, field in zip(zip(*rows, strict=True), fields, strict=True)
    ]
    verdicts = pa.table(arrays, schema=pa.schema(fields)).take(positions(own[takes]))
    return verdicts.add_column(
        0, HIGHLIGHT_SIGNALS.columns.field(0), ids.take(positions(np.flatnonzero(takes)))
    )
