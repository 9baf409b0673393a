"""From an event to the sockets: who may know of it, in which session, under which number."""

from __future__ import annotations

import asyncio
import json
import time

from ingest_pipeline_tests.fake_discord.events import HANDSHAKE, Event, without_content
from ingest_pipeline_tests.fake_discord.faults import Faults
from ingest_pipeline_tests.fake_discord.gateway.delivery import Delivery
from ingest_pipeline_tests.fake_discord.gateway.sessions import Session
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.transport import Connection

_QUIET_SECONDS = 0.05
"""Held events go out once nothing has happened for so long."""


class Dispatcher:
    """Every live connection and every session that can still be resumed.

    Everything here runs under the state's lock; callers outside ``publish`` take it themselves.

    Attributes:
        session_seconds: How long a session can be resumed after its connection is gone (Discord: minutes).
        connections: By number.
    """

    def __init__(self, state: GuildState, faults: Faults) -> None:
        """Become the one that ``state`` publishes to."""
        self.session_seconds = 180.0
        self.connections: dict[int, Connection] = {}
        self._sessions: dict[str, Session] = {}
        self._state = state
        self._faults = faults
        self._delivery = Delivery(faults)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._release: asyncio.TimerHandle | None = None
        state.publish = self.publish

    @property
    def holds(self) -> int:
        """How many events a reordering fault is holding back."""
        return self._delivery.holds

    def publish(self, event: Event) -> None:
        """Send an event to whom it concerns, as it happens."""
        if not self._is_visible(event):
            return
        for item in self._delivery.admit(event):
            self._fan_out(item)
        if self._delivery.holds and self._loop is not None:
            self._loop.call_soon_threadsafe(self._release_when_quiet)

    def dispatch(self, session: Session, name: str, body: str, *, only_for: int | None = None) -> None:
        """Number one event in one session and wake its sender."""
        connection = self.connections.get(session.connection or 0)
        deaf = connection is not None and (connection.deaf or self._faults.deaf) and name not in HANDSHAKE
        session.dispatch(name, body, only_for=only_for, unheard_by=session.connection if deaf else None)
        if connection is not None:
            connection.poke()

    def attach(self, connection: Connection) -> None:
        """Take a new connection in."""
        with self._state.lock:
            self._loop = connection.loop
            self.connections[connection.number] = connection

    def detach(self, connection: Connection, *, ends_session: bool) -> None:
        """Let a connection go; its session stays for a while, unless the client ended that too."""
        with self._state.lock:
            self.connections.pop(connection.number, None)
            session = connection.session
            if session is not None and session.connection == connection.number:
                session.leave()
                if ends_session:
                    self.forget(session.id)

    def open_session(self, session: Session) -> None:
        """Start sending events to a session."""
        self._sessions[session.id] = session

    def find_session(self, session_id: str) -> Session | None:
        """Return a session that can still be resumed."""
        return next((session for session in self.sessions() if session.id == session_id), None)

    def forget(self, session_id: str) -> None:
        """Make a session impossible to resume; what it missed is lost to it."""
        self._sessions.pop(session_id, None)

    def sessions(self) -> list[Session]:
        """Return the sessions that are connected or can still be resumed."""
        horizon = time.monotonic() - self.session_seconds
        for session in list(self._sessions.values()):
            if session.connection is None and session.left_at_seconds < horizon:
                self.forget(session.id)
        return list(self._sessions.values())

    def _is_visible(self, event: Event) -> bool:
        guild = self._state.guild(event.guild_id)
        if not (guild.joined and guild.available):
            return False
        return event.channel_id is None or self._state.can_view(self._state.channel(event.channel_id))

    def _fan_out(self, event: Event) -> None:
        bodies: dict[bool, str] = {}
        for session in self.sessions():
            if not session.wants(event):
                continue
            readable = session.reads_content
            if readable not in bodies:
                payload = event.payload if readable else without_content(event.payload, self._state.bot.id)
                bodies[readable] = json.dumps(payload, separators=(",", ":"))
            self.dispatch(session, event.name, bodies[readable])

    def _release_when_quiet(self) -> None:
        if self._release is not None:
            self._release.cancel()
        if self._loop is not None:
            self._release = self._loop.call_later(_QUIET_SECONDS, self._release_held)

    def _release_held(self) -> None:
        with self._state.lock:
            for event in self._delivery.release():
                self._fan_out(event)
