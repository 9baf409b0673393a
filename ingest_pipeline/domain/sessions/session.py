"""A session: an event with a UTC start and end in one or more channels.

Fields follow the "Message Ingestion Design" and "Live Polling Loop" notes that this project grew
from. Reading sessions out of files belongs to `userconfig/session_files.py`, storing them to
`storage/messages/sessions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import SessionInvalid, WindowInvalid

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Session:
    """One session.

    Attributes:
        session_id: Letters, digits, `-`, `_` and `.`: it is a Dagster partition key and a folder name.
        start_time: Aware UTC, inclusive.
        end_time: Aware UTC, exclusive.
        channel_ids: The channels whose messages belong to it, ascending.
        year: Season or calendar year.
        round_number: Position in the season.
        session_type: Such as `Practice 1`, `Race`, `Trading day`.
        event_name: Such as `Italian Grand Prix`.
        location: Such as `Monza`.
        country: Such as `Italy`.
        is_cancelled: Whether it does not take place: it stays listed, takes no messages and is not read.
        scheduled_end: When it should have ended, aware UTC, if it went on; else None.

    Raises:
        SessionInvalid: An id is illegal, a time is naive, the end is not after the start, or no
            channel is given.
    """

    session_id: str
    start_time: datetime
    end_time: datetime
    channel_ids: tuple[int, ...]
    year: int | None = None
    round_number: int | None = None
    session_type: str | None = None
    event_name: str | None = None
    location: str | None = None
    country: str | None = None
    is_cancelled: bool = False
    scheduled_end: datetime | None = None

    def __post_init__(self) -> None:
        """Check every rule; bring times to UTC and channels into order."""
        validate_session_id(self.session_id)
        try:
            window = Window(self.start_time, self.end_time)
        except WindowInvalid as error:
            raise SessionInvalid(f"session {self.session_id!r}: {error}") from error
        if not self.channel_ids:
            raise SessionInvalid(f"session {self.session_id!r} has no channel: give at least one channel id")
        object.__setattr__(self, "start_time", window.start)
        object.__setattr__(self, "end_time", window.end)
        object.__setattr__(self, "channel_ids", tuple(sorted(set(self.channel_ids))))

    @property
    def window(self) -> Window:
        """The whole session as one window."""
        return Window(self.start_time, self.end_time)

    def extended(self, end: datetime) -> Session:
        """Return the session with a later end, which is marked as not scheduled."""
        return replace(self, end_time=end, scheduled_end=self.scheduled_end or self.end_time)

    def keeping_extension(self, stored: Session | None) -> Session:
        """Return the session with the extension of the stored one, if it still ends when that should have."""
        if stored is None or self.scheduled_end is not None or stored.scheduled_end != self.end_time:
            return self
        return replace(self, end_time=stored.end_time, scheduled_end=stored.scheduled_end)

    def is_live(self, now: datetime) -> bool:
        """Return whether `start_time <= now < end_time`, unless it is cancelled."""
        return not self.is_cancelled and now in self.window


def validate_session_id(session_id: str) -> str:
    """Return a legal session id as it is.

    Raises:
        SessionInvalid: The id is empty, too long, or holds a character that a partition key or a
            folder name cannot carry (Dagster accepts `|` and newlines in keys and breaks later).
    """
    if not _SESSION_ID.fullmatch(session_id):
        raise SessionInvalid(
            f"session id {session_id!r} is not legal: use 1 to 100 letters, digits, '-', '_' or '.', "
            "starting with a letter or digit"
        )
    return session_id


def live_sessions(sessions: Iterable[Session], now: datetime) -> list[Session]:
    """Return the sessions that are live, the one to poll first (earliest start) first."""
    return sorted(
        (session for session in sessions if session.is_live(now)),
        key=lambda session: (session.start_time, session.session_id),
    )


def next_session(sessions: Iterable[Session], now: datetime) -> Session | None:
    """Return the session that starts next, or None."""
    coming = [session for session in sessions if session.start_time > now and not session.is_cancelled]
    return min(coming, key=lambda session: (session.start_time, session.session_id), default=None)
