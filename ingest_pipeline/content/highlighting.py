"""Scoring of highlights: a batch of messages and every other message whose score they change.

A message changes the score of the one it answers, of those in the same minute of its session and
channel, and, when it moves the usual rate, of the whole session in that channel. So the table is at any
time what scoring everything again would make of it.

The rate is the number of messages in a minute of UTC, the usual one the median over the minutes from the
session's start to its latest message, the silent ones too.

Messages with the same features get one verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ingest_pipeline.domain.extract.highlights import (
    HIGHLIGHT_RULE_VERSION,
    HighlightVerdict,
    MessageFeatures,
)
from ingest_pipeline.storage.content.highlights import (
    MinuteHistogram,
    Places,
    SessionChannel,
    SessionRate,
    answered_ids,
    count_minutes,
    find_places,
    forget_places,
    highlight_features,
    ids_of,
    keep_session_rate,
    mark_highlights,
    neighbour_ids,
    replace_highlights,
    session_rates,
    session_starts,
    stage_messages,
)
from ingest_pipeline.storage.content.rows import HIGHLIGHTS, Changes
from ingest_pipeline.storage.engine.columns import column, values_of
from ingest_pipeline.storage.engine.database import Connection

_MINUTE = timedelta(minutes=1)
# A moved median scores a whole session, which may have millions of messages.
_SCORED_AT_ONCE = 50_000


class HighlightScorer(Protocol):
    """The judge of a message: the rule of weights and keywords; a model could replace it.

    Its `repr` contains its settings: when that changes, a session is scored again.
    """

    def relevant_text(self, text: str) -> str:
        """Return of a text what the verdict depends on, such that texts alike in it are judged alike."""
        ...

    def score(self, features: MessageFeatures) -> HighlightVerdict:
        """Judge one message."""
        ...


Scorers = Callable[[Collection[int]], Mapping[int, HighlightScorer]]
"""Returns what judges the messages of some channels, by channel."""
Rates = Mapping[SessionChannel, SessionRate]


def score_highlights(
    connection: Connection,
    discord_ids: Sequence[int],
    scorers: Scorers,
    *,
    now: datetime,
    scored: set[int] | None = None,
) -> Changes:
    """Score messages and those whose score they change; write rows and flags that differ.

    Args:
        discord_ids: The messages that came, changed or were deleted.
        scorers: What is scored by.
        now: `extracted_at` of rows that are written, aware UTC.
        scored: Messages that were scored since the last one was merged, and are not again; those scored
            here are added.
    """
    done = np.array(sorted(scored or ()), np.int64)
    given = np.unique(np.array(discord_ids, np.int64))
    stage_messages(connection, given)
    answered = np.setdiff1d(answered_ids(connection), done)
    posted = np.setdiff1d(given, done)
    if not len(posted) + len(answered):
        return Changes()
    if len(posted) < len(given):
        stage_messages(connection, posted)
    places = find_places(connection, np.setdiff1d(answered, posted).tolist())
    rules = scorers(places.channel_ids)
    digests = {channel_id: rule_digest(rule) for channel_id, rule in rules.items()}
    rates, shifted = _rates(connection, places, digests)
    targets = [posted, answered, neighbour_ids(connection, places)]
    if shifted:
        targets.append(ids_of(connection, shifted))
    forget_places(connection)
    wanted = np.setdiff1d(np.concatenate(targets), done)
    if scored is not None:
        scored.update(wanted.tolist())
    judge = _Judge(rules, digests, rates)
    changes = Changes()
    for first in range(0, len(wanted), _SCORED_AT_ONCE):
        stage_messages(connection, wanted[first : first + _SCORED_AT_ONCE])
        changes += _score_staged(connection, judge, now)
    return changes


def rule_digest(rule: HighlightScorer) -> str:
    """Return a digest of a rule's weights and keywords: eight hexadecimal digits."""
    return blake2b(f"{HIGHLIGHT_RULE_VERSION} {rule!r}".encode(), digest_size=4).hexdigest()


def usual_rate(counted: MinuteHistogram | None, start: datetime | None) -> float:
    """Return the median number of messages a minute, the silent minutes too.

    Args:
        counted: The minutes with messages; None when there are none.
        start: When the session begins, aware UTC; its first message's minute when it is not known.
    """
    if counted is None:
        return 0.0
    first = counted.first if start is None else min(counted.first, start.replace(second=0, microsecond=0))
    length = (counted.last - first) // _MINUTE + 1
    minutes = {0: length - sum(counted.minutes.values())} | counted.minutes
    return (_ranked(minutes, (length - 1) // 2) + _ranked(minutes, length // 2)) / 2


def _ranked(minutes: Mapping[int, int], rank: int) -> int:
    """Return the number of messages of the minute with that rank, from 0."""
    for messages, count in sorted(minutes.items()):
        rank -= count
        if rank < 0:
            return messages
    raise IndexError(rank)


def _rates(
    connection: Connection, places: Places, digests: Mapping[int, str]
) -> tuple[Rates, set[SessionChannel]]:
    """Return what is usual, and where that is new: all messages are scored again there."""
    session_ids = {session_id for session_id, _ in places.pairs}
    known = session_rates(connection, session_ids) if session_ids else {}
    histograms = count_minutes(connection, places, known)
    starts = session_starts(connection, session_ids) if session_ids else {}
    rates = {
        (session_id, channel_id): SessionRate(
            usual_rate(histograms.get((session_id, channel_id)), starts.get(session_id)), digests[channel_id]
        )
        for session_id, channel_id in places.pairs
    }
    shifted = {pair for pair, rate in rates.items() if known.get(pair) != rate}
    for pair in sorted(shifted):
        keep_session_rate(connection, pair, rates[pair])
    return rates, shifted


class _Judge:
    """Gives messages their rows; a verdict is made once for all messages with the same features.

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

    def rows(self, features: pa.Table) -> Iterator[tuple[Any, ...]]:
        """Yield the row of each live message that some signal speaks for, in their order.

        Args:
            features: As `highlight_features` returns them.
        """
        texts: dict[tuple[int, str], str] = {}
        verdicts: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
        names = ("session_id", "channel_id", "reaction_count", "reply_count", "messages_per_minute")
        signals = zip(*(values_of(features[name]) for name in names), strict=True)
        others = (values_of(features[name]) for name in ("discord_id", "is_live", "message_text"))
        for discord_id, is_live, text, signal in zip(*others, signals, strict=True):
            if not is_live:
                continue
            written = signal[1], text
            relevant = texts.get(written)
            if relevant is None:
                relevant = texts[written] = self._rules[signal[1]].relevant_text(text)
            key = (*signal, relevant)
            if key not in verdicts:
                verdicts[key] = self._judged(signal, relevant)
            row = verdicts[key]
            if row:
                yield (discord_id, *row)

    def _judged(self, signal: tuple[Any, ...], text: str) -> tuple[Any, ...] | None:
        session_id, channel_id, reactions, replies, rate = signal
        usual = self._rates[session_id, channel_id].usual_per_minute if session_id is not None else None
        verdict = self._rules[channel_id].score(MessageFeatures(text, reactions, replies, rate, usual))
        if not verdict.score:
            return None
        reasons = json.dumps(verdict.reasons, ensure_ascii=False)
        digest = self._digests[channel_id]
        return verdict.score, verdict.is_candidate, reasons, HIGHLIGHT_RULE_VERSION, digest


def _score_staged(connection: Connection, judge: _Judge, now: datetime) -> Changes:
    features = highlight_features(connection)
    rows = list(judge.rows(features))
    columns = zip(*rows, strict=True) if rows else [()] * len(HIGHLIGHTS.columns)
    arrays = [column(values, field.type) for values, field in zip(columns, HIGHLIGHTS.columns, strict=True)]
    candidates = {discord_id for discord_id, _, is_candidate, *_ in rows if is_candidate}
    flags = zip(values_of(features["discord_id"]), values_of(features["is_highlight_candidate"]), strict=True)
    wrong = [discord_id for discord_id, flag in flags if flag != (discord_id in candidates)]
    mark_highlights(
        connection,
        candidates=[each for each in wrong if each in candidates],
        others=[each for each in wrong if each not in candidates],
    )
    return replace_highlights(connection, pa.table(arrays, schema=HIGHLIGHTS.columns), now=now)
