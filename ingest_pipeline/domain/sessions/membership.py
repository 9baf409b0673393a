"""Session membership of a message: a function of the sessions, the parents of threads, its channel and time.

A message belongs to the session whose channels hold its channel - or, for a message of a thread, the
thread's parent - and whose `[start, end)` holds its time of posting; a cancelled one takes none. Of several
it is the one that starts first, and of those the one whose id sorts first by its characters' codes. No
reading carries it; how the rows of the table follow is in `storage/messages/membership.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from ingest_pipeline.domain.sessions.session import Session


class Claim(NamedTuple):
    """A session's claim to a channel's messages of `[start, end)`, aware UTC; claims sort by precedence."""

    start: datetime
    session_id: str
    end: datetime


class Span(NamedTuple):
    """A range `[start, end)`, aware UTC, of a channel's time that belongs to one session."""

    start: datetime
    end: datetime
    session_id: str


class Overlap(NamedTuple):
    """Two sessions that take messages of the same channels at the same time.

    Attributes:
        first: The id of the session that keeps what both take.
        second: The id of the other one.
        channel_ids: The channels, ascending.
        start: From when on both take messages, aware UTC.
        end: Until when, aware UTC, exclusive.
    """

    first: str
    second: str
    channel_ids: tuple[int, ...]
    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Say what overlaps and which session the messages belong to."""
        channels = ", ".join(map(str, self.channel_ids))
        return (
            f"sessions {self.first!r} and {self.second!r} overlap in channel {channels} from "
            f"{self.start.isoformat()} to {self.end.isoformat()}: messages of that time belong to "
            f"{self.first!r}, which starts first (of two that start together, the id that sorts first)"
        )


def spans_of(claims: Iterable[Claim]) -> list[Span]:
    """Return who owns a channel's time: spans in time order, none of which overlap.

    Args:
        claims: All claims to the channel, in any order.
    """
    spans: list[Span] = []
    for claim in sorted(claims):
        # Whoever was there before started earlier, so the time up to the latest end is taken.
        start = max(claim.start, spans[-1].end) if spans else claim.start
        if start < claim.end:
            spans.append(Span(start, claim.end, claim.session_id))
    return spans


def overlaps(sessions: Iterable[Session], *, of: Collection[str]) -> list[Overlap]:
    """Return every two sessions that take messages of the same channels at the same time.

    Args:
        of: The ids of those that are asked about.
    """
    found = []
    there = (session for session in sessions if not session.is_cancelled)
    ordered = sorted(there, key=lambda each: (each.start_time, each.session_id))
    for at, first in enumerate(ordered, 1):
        for second in islice(ordered, at, None):
            if second.start_time >= first.end_time:
                break
            shared = tuple(sorted(set(first.channel_ids).intersection(second.channel_ids)))
            if shared and {first.session_id, second.session_id}.intersection(of):
                end = min(first.end_time, second.end_time)
                found.append(Overlap(first.session_id, second.session_id, shared, second.start_time, end))
    return found
