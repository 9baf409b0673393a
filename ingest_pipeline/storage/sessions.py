"""Stored sessions. What makes a session legal is decided in `domain/session.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from itertools import chain

from ingest_pipeline.domain.session import Session
from ingest_pipeline.errors import SessionNotFound
from ingest_pipeline.storage.database import Connection
from ingest_pipeline.storage.membership import ChannelTime, relink


@dataclass(frozen=True, slots=True)
class SessionChanges:
    """How many of the sessions given were new, changed or as they were.

    Attributes:
        created: Not there before.
        updated: There with other values.
        unchanged: There already.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0


def save_sessions(connection: Connection, sessions: Sequence[Session], *, now: datetime) -> SessionChanges:
    """Create and update sessions; others stay as they are. Messages are linked as the sessions say now.

    Args:
        connection: An open write transaction.
        sessions: What to store; of two with one id the last is stored.
        now: Time of the change, aware UTC.
    """
    wanted = {session.session_id: session for session in sessions}
    stored = _stored(connection)
    if any(stored.get(key) != session for key, session in wanted.items()):
        connection.execute("lock_sessions")
        stored = _stored(connection)
    changed = {key: session for key, session in wanted.items() if stored.get(key) != session}
    for session in changed.values():
        values = {**asdict(session), "channel_ids": list(session.channel_ids)}
        connection.execute("save_session", **values, now=now)
    moved = [key for key, session in changed.items() if _times(session) != _times(stored.get(key))]
    if moved:
        states = chain.from_iterable((stored.get(key), changed[key]) for key in moved)
        relink(connection, chain.from_iterable(map(_times, states)))
    created = len(wanted.keys() - stored.keys())
    return SessionChanges(created, len(changed) - created, len(wanted) - len(changed))


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


def remove_session(connection: Connection, session_id: str) -> None:
    """Remove a session; its messages stay, linked to another that takes them, or to none.

    Raises:
        SessionNotFound: There is none with this id.
    """
    connection.execute("lock_sessions")
    session = find_session(connection, session_id)
    connection.execute("delete_session", session_id=session_id)
    relink(connection, _times(session))


def _stored(connection: Connection) -> dict[str, Session]:
    return {session.session_id: session for session in list_sessions(connection)}


def _times(session: Session | None) -> list[ChannelTime]:
    if session is None:
        return []
    return [ChannelTime(each, session.start_time, session.end_time) for each in session.channel_ids]


def _remedy(session_id: str, stored: dict[str, Session]) -> str:
    if not stored:
        return "there are none yet; add one with `ingest sessions add` or in data/sessions.yaml"
    alike = get_close_matches(session_id, stored, n=3, cutoff=0.4)
    if alike:
        return f"did you mean {' or '.join(map(repr, alike))}?"
    return f"there are {len(stored)}; `ingest sessions list` shows them"
