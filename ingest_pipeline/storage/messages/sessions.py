"""Stored sessions; `domain/sessions/session.py` decides what makes a session legal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import chain

from ingest_pipeline.domain.sessions.membership import Overlap, overlaps
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import SessionNotFound
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.membership import ChannelTime, relink, times_of

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionChanges:
    """The numbers of new, changed and unchanged sessions.

    Attributes:
        created: Not there before.
        updated: There with other values.
        unchanged: There already.
        overlaps: Where sessions that were created or moved share a channel's time with another.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    overlaps: tuple[Overlap, ...] = field(default=(), compare=False)


def save_sessions(connection: Connection, sessions: Sequence[Session], *, now: datetime) -> SessionChanges:
    """Create and update sessions; others stay as they are. Messages are linked by the new sessions.

    What hangs on whose they are is noted with it; see `relink`.

    A session that went on stays extended while it is given with the end that it should have had.

    Two sessions that overlap in a channel are logged: both are stored.

    Args:
        sessions: What to store; of two with one id the last is stored.
        now: Time of the change, aware UTC.
    """
    given = {session.session_id: session for session in sessions}
    stored = _stored(connection)
    wanted = _keeping_extensions(given, stored)
    if any(stored.get(key) != session for key, session in wanted.items()):
        connection.execute("lock_sessions")
        stored = _stored(connection)
        wanted = _keeping_extensions(given, stored)
    changed = {key: session for key, session in wanted.items() if stored.get(key) != session}
    if changed:
        rows = [
            {**asdict(session), "channel_ids": " ".join(map(str, session.channel_ids))}
            for session in changed.values()
        ]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        connection.execute("save_sessions", **columns, now=now)
    moved = {key for key, session in changed.items() if _times(session) != _times(stored.get(key))}
    if changed:
        states = chain.from_iterable((stored.get(key), changed[key]) for key in sorted(moved))
        times = chain.from_iterable(map(_times, states))
        relink(connection, times, now=now, session_ids=changed.keys())
    found = tuple(overlaps({**stored, **changed}.values(), of=moved)) if moved else ()
    for overlap in found:
        _logger.warning("%s", overlap)
    created = len(wanted.keys() - stored.keys())
    return SessionChanges(created, len(changed) - created, len(wanted) - len(changed), found)


def list_sessions(connection: Connection) -> list[Session]:
    """Return all sessions, ordered by `(start_time, session_id)`."""
    return [
        Session(**{**row, "channel_ids": tuple(row["channel_ids"])})
        for row in connection.fetch_all("list_sessions")
    ]


def find_session(connection: Connection, session_id: str) -> Session:
    """Return one session.

    Raises:
        SessionNotFound: There is none with this id; the message names those that look like it.
    """
    stored = _stored(connection)
    try:
        return stored[session_id]
    except KeyError:
        raise SessionNotFound(f"no session is called {session_id!r}: {_remedy(session_id, stored)}") from None


def remove_session(connection: Connection, session_id: str, *, now: datetime | None = None) -> None:
    """Remove a session; its messages stay, linked to another that takes them, or to none.

    Args:
        now: Time of the change, aware UTC; the present by default.

    Raises:
        SessionNotFound: There is none with this id.
    """
    connection.execute("lock_sessions")
    session = find_session(connection, session_id)
    connection.execute("delete_session", session_id=session_id)
    relink(connection, _times(session), now=now or datetime.now(UTC), session_ids=[session_id])


def _keeping_extensions(given: dict[str, Session], stored: dict[str, Session]) -> dict[str, Session]:
    return {key: session.keeping_extension(stored.get(key)) for key, session in given.items()}


def _stored(connection: Connection) -> dict[str, Session]:
    return {session.session_id: session for session in list_sessions(connection)}


def _times(session: Session | None) -> list[ChannelTime]:
    return times_of(session) if session else []


def _remedy(session_id: str, stored: dict[str, Session]) -> str:
    if not stored:
        return "no session is stored yet; add one with `ingest sessions add` or in data/sessions.yaml"
    alike = get_close_matches(session_id, stored, n=3, cutoff=0.4)
    if alike:
        return f"did you mean {' or '.join(map(repr, alike))}?"
    return f"there are {len(stored)}; `ingest sessions list` shows them"
