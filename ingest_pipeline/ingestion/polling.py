"""The next windows to read: those of a session, or parts of its last one, that are not proven yet.

Nothing remembers which polls succeeded. The coverage ledger records what is proven, and the plan is
everything that is missing up to now, so an outage of any length heals at the next poll.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingest_pipeline.domain.sessions.session import Session, live_sessions, next_session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window, WindowGrid
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import gaps

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class PollPlan:
    """The plan for the present.

    Attributes:
        session: The session to read, or None when there is nothing to do.
        keys: The keys of its windows, or parts of windows, to read, in time order; never empty with a
            session that is not live.
        is_live: Whether the session is live; otherwise it ended and is not proven complete yet.
        also_live: Other live sessions, which wait until this one has ended.
        upcoming: The session that starts next, when there is nothing to do.
    """

    session: Session | None = None
    keys: tuple[str, ...] = ()
    is_live: bool = False
    also_live: tuple[Session, ...] = ()
    upcoming: Session | None = None


def plan_poll(
    connection: Connection,
    sessions: Sequence[Session],
    grid: WindowGrid,
    now: datetime,
    *,
    overlap: timedelta,
    post_session: timedelta,
) -> PollPlan:
    """Choose the session and windows to read now.

    The live session that started first comes first (one is expected; see "Live Polling Loop"). When
    none is live, sessions that ended less than `post_session` ago and are not proven complete are read.

    Args:
        connection: For the coverage ledger.
        grid: How sessions are cut into windows.
        overlap: How far to read back behind a gap.
        post_session: How long after its end a session is still read.
    """
    live = live_sessions(sessions, now)
    if live:
        keys = missing_keys(connection, live[0], grid, now, overlap)
        return PollPlan(live[0], tuple(keys), is_live=True, also_live=tuple(live[1:]))
    for session in ended_within(sessions, now, post_session):
        keys = missing_keys(connection, session, grid, now, overlap)
        if keys:
            return PollPlan(session, tuple(keys))
    return PollPlan(upcoming=next_session(sessions, now))


def ended_within(sessions: Iterable[Session], now: datetime, span: timedelta) -> list[Session]:
    """Return the sessions that ended within a span before now, the last to end first."""
    ended = [
        session for session in sessions if now - span < session.end_time <= now and not session.is_cancelled
    ]
    return sorted(ended, key=lambda session: session.end_time, reverse=True)


def missing_keys(
    connection: Connection, session: Session, grid: WindowGrid, now: datetime, overlap: timedelta
) -> list[str]:
    """Return the keys of a session's windows, or of a long window's parts, that hold time without proof.

    Args:
        connection: For the coverage ledger.
        grid: How it is cut.
        now: The present, aware UTC; what comes after it is not missing.
        overlap: How far before each gap to begin.
    """
    keys: set[str] = set()
    for gap in missing_time(connection, session, now):
        start = max(gap.start - overlap, session.start_time)
        keys.update(grid.parts_touching(Window(start, gap.end), session.window))
    return sorted(keys, key=grid.offset)


def missing_by_channel(
    connection: Connection, session: Session, grid: WindowGrid, now: datetime, overlap: timedelta
) -> dict[int, list[str]]:
    """Return of each channel what `missing_keys` returns of all."""
    return {
        channel_id: missing_keys(connection, replace(session, channel_ids=(channel_id,)), grid, now, overlap)
        for channel_id in session.channel_ids
    }


def missing_time(connection: Connection, session: Session, now: datetime) -> list[Window]:
    """Return the ranges of a session, up to now, that some channel has no proof for.

    A cancelled session has none.
    """
    end = min(session.end_time, now)
    if end <= session.start_time or session.is_cancelled:
        return []
    span = Window(session.start_time, end)
    return [
        # An id holds its time to the millisecond: the end is excluded, so it is one later.
        Window(created_at(low + 1), created_at(high) + _MILLISECOND)
        for channel_id in session.channel_ids
        for low, high in gaps(connection, channel_id, span.low, span.high)
    ]
