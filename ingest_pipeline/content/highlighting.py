"""Scoring of highlights: a batch of messages and every other message whose score they change.

A message changes the score of the one it answers, of those in the same minute of its session and
channel, and, when it moves the usual rate, of the whole session in that channel. So the table is at any
time what scoring everything again would make of it.

The rate is the number of messages in a minute of UTC, the usual one the median over the minutes from the
session's start to its latest message, the silent ones too.

Messages with the same features get one verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from ingest_pipeline.content.judging import HighlightScorer, Judge, Rates, rule_digest
from ingest_pipeline.storage.content.changes import Changes, unique_ids
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
from ingest_pipeline.storage.engine.columns import as_flags
from ingest_pipeline.storage.engine.database import Connection

_MINUTE = timedelta(minutes=1)
# A moved median scores a whole session, which may have millions of messages.
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
    rates, shifted = _rates(connection, places, digests)
    targets = [posted, answered, neighbour_ids(connection, places)]
    if shifted:
        targets.append(ids_of(connection, shifted))
    forget_places(connection)
    wanted = np.setdiff1d(np.concatenate(targets), done)
    if scored is not None:
        scored.update(wanted.tolist())
    judge = Judge(rules, digests, rates)
    changes = Changes()
    for first in range(0, len(wanted), _SCORED_AT_ONCE):
        stage_messages(connection, wanted[first : first + _SCORED_AT_ONCE])
        changes += _score_staged(connection, judge, now)
    return changes


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


def _score_staged(connection: Connection, judge: Judge, now: datetime) -> Changes:
    features = highlight_features(connection)
    is_live = as_flags(features["is_live"])
    wanted = judge.rows(features if is_live.all() else features.filter(features["is_live"]))
    candidates = unique_ids(wanted, "is_candidate")
    flagged = unique_ids(features, "is_highlight_candidate")
    mark_highlights(
        connection,
        candidates=np.setdiff1d(candidates, flagged, assume_unique=True).tolist(),
        others=np.setdiff1d(flagged, candidates, assume_unique=True).tolist(),
    )
    return replace_highlights(connection, wanted, now=now)
