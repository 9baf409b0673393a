"""Scoring of highlights: a batch of messages and every other message whose score they change.

A message changes the score of the one it answers, and the burst of its minute in its session and channel: of
the others in it those are scored again that a burst may make candidates. When it moves the usual rate, what
bursts add is written anew, a row for each number of messages of a minute, and the messages are flagged whose
verdict that changes. So the view `highlights` and the flags are at any time what scoring everything again
would make of them.

The rate is the number of messages in a minute of UTC, the usual one the median over the minutes from the
session's start to its latest message, the silent ones too.

Messages with the same features get one verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ingest_pipeline.content.judging import HighlightScorer, Judge, Rates, burst_rows, rule_digest
from ingest_pipeline.storage.content.changes import Changes, unique_ids
from ingest_pipeline.storage.content.highlights import (
    MinuteHistogram,
    Places,
    SessionChannel,
    SessionRate,
    answered_ids,
    count_minutes,
    find_places,
    flipped_ids,
    forget_places,
    highlight_features,
    ids_of,
    keep_session_rates,
    mark_highlights,
    neighbour_ids,
    replace_bursts,
    replace_signals,
    session_rates,
    stage_messages,
)
from ingest_pipeline.storage.content.rows import Row
from ingest_pipeline.storage.engine.columns import as_flags
from ingest_pipeline.storage.engine.database import Connection

_MINUTE = timedelta(minutes=1)
# Another rule scores a whole session, which may have millions of messages.
_SCORED_AT_ONCE = 50_000


Scorers = Callable[[Collection[int]], Mapping[int, HighlightScorer]]
"""Returns what judges the messages of some channels, by channel."""


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
    rates = _Rates.of(connection, places, digests)
    most = max((rule.most_burst_points for rule in rules.values()), default=0)
    every = any(rule.needed_points <= most for rule in rules.values())
    targets = [posted, answered, neighbour_ids(connection, places, most, every=every)]
    if anew := rates.judged_anew():
        targets.append(ids_of(connection, anew))
    forget_places(connection)
    wanted = np.setdiff1d(np.concatenate(targets), done)
    if scored is not None:
        scored.update(wanted.tolist())
    judge = Judge(rules, digests, rates.now)
    changes = Changes()
    for first in range(0, len(wanted), _SCORED_AT_ONCE):
        stage_messages(connection, wanted[first : first + _SCORED_AT_ONCE])
        changes += _score_staged(connection, judge, now)
    return changes + rates.keep(connection, rules, now)


def usual_rate(counted: MinuteHistogram, start: datetime | None) -> float:
    """Return the median number of messages a minute, the silent minutes too.

    Args:
        counted: The minutes with messages.
        start: When the session begins, aware UTC; its first message's minute when it is not known.
    """
    if counted.first is None or counted.last is None:
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


@dataclass(frozen=True, slots=True)
class _Rates:
    """What is usual where messages are scored.

    Attributes:
        before: As it is stored.
        now: As it is with these messages.
    """

    before: Rates
    now: Rates

    @classmethod
    def of(cls, connection: Connection, places: Places, digests: Mapping[int, str]) -> _Rates:
        session_ids = {session_id for session_id, _ in places.pairs}
        known, starts = session_rates(connection, session_ids) if session_ids else ({}, {})
        before = {pair: known[pair] for pair in places.pairs if pair in known}
        counted = {pair: rate.histogram for pair, rate in before.items()}
        now = {
            (session_id, channel_id): SessionRate(
                usual_rate(histogram, starts.get(session_id)), digests[channel_id], histogram
            )
            for (session_id, channel_id), histogram in count_minutes(connection, places, counted).items()
        }
        return cls(before, now)

    def judged_anew(self) -> set[SessionChannel]:
        """Return where all messages are scored: what was never scored, or by another rule."""
        return {
            pair
            for pair, rate in self.now.items()
            if pair not in self.before or self.before[pair].rule_digest != rate.rule_digest
        }

    def keep(self, connection: Connection, rules: Mapping[int, HighlightScorer], now: datetime) -> Changes:
        """Write what is new, and the flags of messages whose verdict that changes."""
        changed = {pair: rate for pair, rate in self.now.items() if self.before.get(pair) != rate}
        if not changed:
            return Changes()
        keep_session_rates(connection, changed, now=now)
        anew = self.judged_anew()
        moved = {
            pair
            for pair, rate in changed.items()
            if pair in anew or self.before[pair].usual_per_minute != rate.usual_per_minute
        }
        rows: list[Row] = []
        judged: set[tuple[str, int, int]] = set()
        for pair, rate in changed.items():
            rates = set(rate.histogram.minutes)
            if pair not in moved:
                rates -= self.before[pair].histogram.minutes.keys()
                judged.update((*pair, number) for number in rates)
            rows += burst_rows(rules[pair[1]], pair, rate.usual_per_minute, rates)
        replace_bursts(connection, rows, everywhere=moved, judged=judged, now=now)
        flips = (self._flip(connection, pair) for pair in sorted(moved - anew))
        return sum(flips, Changes())

    def _flip(self, connection: Connection, pair: SessionChannel) -> Changes:
        before, usual = self.before[pair].usual_per_minute, self.now[pair].usual_per_minute
        flipped = flipped_ids(connection, pair, before, usual)
        candidates, others = (flipped, []) if usual < before else ([], flipped)
        mark_highlights(connection, candidates=candidates, others=others)
        return Changes(changed=tuple(flipped))


def _score_staged(connection: Connection, judge: Judge, now: datetime) -> Changes:
    features = highlight_features(connection)
    is_live = as_flags(features["is_live"])
    wanted, candidates = judge.rows(features if is_live.all() else features.filter(features["is_live"]))
    flagged = unique_ids(features, "is_highlight_candidate")
    mark_highlights(
        connection,
        candidates=np.setdiff1d(candidates, flagged, assume_unique=True).tolist(),
        others=np.setdiff1d(flagged, candidates, assume_unique=True).tolist(),
    )
    return replace_signals(connection, wanted, now=now)
