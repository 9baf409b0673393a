"""Scoring of highlights: a batch of messages and every other message whose score they change.

A message changes the score of the one it answers, of those in the same minute of its session and
channel, and, when it moves the usual rate, of the whole session in that channel. So the table is at any
time what scoring everything again would make of it.

The rate is the number of messages in a minute of UTC, the usual one the median over the minutes from the
session's start to its latest message, the silent ones too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from statistics import median
from typing import Any, Protocol

from ingest_pipeline.domain.extract.highlights import (
    HIGHLIGHT_RULE_VERSION,
    HighlightVerdict,
    MessageFeatures,
)
from ingest_pipeline.storage.content.queries import (
    SessionChannel,
    SessionRate,
    TimeRange,
    highlight_channels,
    highlight_sources,
    keep_session_rate,
    mark_highlights,
    messages_of,
    minute_counts,
    session_rates,
    session_starts,
)
from ingest_pipeline.storage.content.rows import HIGHLIGHTS, Changes, Row, replace_rows
from ingest_pipeline.storage.engine.database import Connection

_MINUTE = timedelta(minutes=1)
_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class HighlightScorer(Protocol):
    """The judge of a message: the rule of weights and keywords; a model could replace it.

    Its `repr` tells its settings: when that changes, a session is scored again.
    """

    def score(self, features: MessageFeatures) -> HighlightVerdict:
        """Judge one message."""
        ...


Minutes = Mapping[SessionChannel, Mapping[datetime, int]]
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
    done = set() if scored is None else scored
    posted = highlight_channels(connection, discord_ids)
    answered = {row["reference_id"] for row in posted if row["reference_id"] is not None} - done
    posted = [row for row in posted if row["discord_id"] not in done]
    asked = {*discord_ids, *answered} - done
    if not asked:
        return Changes()
    others = highlight_channels(connection, sorted(answered.difference(discord_ids))) if answered else []
    pairs = {pair for row in (*posted, *others) if (pair := _pair(row))}
    minutes = minute_counts(connection, pairs) if pairs else {}
    rules = scorers({row["channel_id"] for row in (*posted, *others)})
    digests = {channel_id: rule_digest(rule) for channel_id, rule in rules.items()}
    rates = _usual_rates(connection, minutes, digests)
    shifted = _keep_shifted(connection, rates)
    touched = {(pair, row["minute"]) for row in posted if (pair := _pair(row)) and pair not in shifted}
    time_ranges = [TimeRange(pair, *_EVER) for pair in sorted(shifted)]
    time_ranges += [TimeRange(pair, minute, minute + _MINUTE) for pair, minute in sorted(touched)]
    targets = (asked | messages_of(connection, time_ranges)) - done
    done |= targets
    sources = highlight_sources(connection, targets)
    verdicts = {
        source["discord_id"]: rules[source["channel_id"]].score(_features(source, minutes, rates))
        for source in sources
        if source["deleted_at"] is None
    }
    _mark(connection, sources, {each for each, verdict in verdicts.items() if verdict.is_candidate})
    rows = [
        _row(source["discord_id"], verdict, digests[source["channel_id"]])
        for source in sources
        if (verdict := verdicts.get(source["discord_id"])) and verdict.score
    ]
    return replace_rows(connection, HIGHLIGHTS, sorted(targets), rows, now=now)


def rule_digest(rule: HighlightScorer) -> str:
    """Return what tells the weights and keywords of two rules apart: eight hexadecimal digits."""
    return blake2b(f"{HIGHLIGHT_RULE_VERSION} {rule!r}".encode(), digest_size=4).hexdigest()


def usual_rate(minutes: Mapping[datetime, int], start: datetime | None) -> float:
    """Return the median number of messages a minute, the silent minutes too.

    Args:
        minutes: Messages by minute; those without any may be left out.
        start: When the session begins, aware UTC; its first message's minute when it is not known.
    """
    if not minutes:
        return 0.0
    first = min(minutes) if start is None else min(*minutes, start.replace(second=0, microsecond=0))
    silent = (max(minutes) - first) // _MINUTE + 1 - len(minutes)
    return float(median([*minutes.values(), *[0] * silent]))


def _pair(row: Mapping[str, Any]) -> SessionChannel | None:
    return None if row["session_id"] is None else (row["session_id"], row["channel_id"])


def _usual_rates(
    connection: Connection, minutes: Minutes, digests: Mapping[int, str]
) -> dict[SessionChannel, SessionRate]:
    starts = session_starts(connection, {session_id for session_id, _ in minutes}) if minutes else {}
    return {
        pair: SessionRate(usual_rate(counts, starts.get(pair[0])), digests[pair[1]])
        for pair, counts in minutes.items()
    }


def _keep_shifted(connection: Connection, rates: Mapping[SessionChannel, SessionRate]) -> set[SessionChannel]:
    """Remember the rates that are new and return their pairs: all their messages are scored again."""
    known = session_rates(connection, {session_id for session_id, _ in rates}) if rates else {}
    shifted = {pair for pair, rate in rates.items() if known.get(pair) != rate}
    for pair in sorted(shifted):
        keep_session_rate(connection, pair, rates[pair])
    return shifted


def _features(
    source: Mapping[str, Any], minutes: Minutes, rates: Mapping[SessionChannel, SessionRate]
) -> MessageFeatures:
    pair = _pair(source)
    return MessageFeatures(
        text=source["message_text"],
        reaction_count=source["reaction_count"],
        reply_count=source["reply_count"],
        messages_per_minute=minutes[pair].get(source["minute"], 0) if pair else 0,
        session_median_per_minute=rates[pair].usual_per_minute if pair else None,
    )


def _mark(connection: Connection, sources: Sequence[Mapping[str, Any]], candidates: Collection[int]) -> None:
    wrong = [
        source["discord_id"]
        for source in sources
        if source["is_highlight_candidate"] != (source["discord_id"] in candidates)
    ]
    mark_highlights(
        connection,
        candidates=[each for each in wrong if each in candidates],
        others=[each for each in wrong if each not in candidates],
    )


def _row(discord_id: int, verdict: HighlightVerdict, digest: str) -> Row:
    reasons = json.dumps(verdict.reasons, ensure_ascii=False)
    return (discord_id, verdict.score, verdict.is_candidate, reasons, HIGHLIGHT_RULE_VERSION, digest)
