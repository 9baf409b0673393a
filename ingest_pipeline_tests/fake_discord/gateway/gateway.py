"""The verbs that break the gateway, and what a test may ask of it. Thread-safe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ingest_pipeline_tests.fake_discord.faults import Faults
from ingest_pipeline_tests.fake_discord.gateway.dispatcher import Dispatcher
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.transport import Ending, reset_connection


class Gateway:
    """Drops, detector, outages and foreign frames."""

    def __init__(self, state: GuildState, faults: Faults, dispatcher: Dispatcher) -> None:
        """Act upon the connections of ``dispatcher``."""
        self._state = state
        self._faults = faults
        self._dispatcher = dispatcher

    def drop(
        self,
        how: Ending = Ending.RESET,
        *,
        code: int = 4000,
        forget: bool = False,
        deliver_first: bool = True,
    ) -> int:
        """End every connection; return how many there were.

        Whatever happens after this call is left for replay, never sent on the dying connections.

        Args:
            how: The way they end.
            code: The close code of ``Ending.CLOSE``.
            forget: Also forget the sessions: RESUME is refused, and what was missed is lost.
            deliver_first: Hand everything that has happened so far to the sockets first.
        """
        with self._state.lock:
            doomed = list(self._dispatcher.connections.values())
            for connection in doomed:
                session = connection.session
                connection.ending = how
                connection.close_code = code
                connection.end_after = session.sequence if deliver_first and session else connection.taken
                if session is not None and (forget or how is Ending.INVALID):
                    self._dispatcher.forget(session.id)
                connection.poke()
                if how is Ending.RESET and not deliver_first:
                    connection.loop.call_soon_threadsafe(reset_connection, connection.transport)
        return len(doomed)

    def deafen(self) -> int:
        """Send the present connections no more events; return how many there are.

        Their heartbeats stay acknowledged. A client that reconnects hears again, and a RESUME replays what
        it did not hear. ``Faults.deaf`` is the same for every connection, for as long as it is set.
        """
        with self._state.lock:
            for connection in self._dispatcher.connections.values():
                connection.deaf = True
            return len(self._dispatcher.connections)

    @contextmanager
    def outage(self, *, forget: bool = True) -> Iterator[None]:
        """Cut every connection and refuse new ones until the block ends.

        Args:
            forget: Sessions do not survive it, so clients must IDENTIFY again; else they can RESUME.
        """
        self._faults.gateway_down = "refused"
        self.drop(forget=forget)
        try:
            yield
        finally:
            self._faults.gateway_down = None

    def inject(self, name: str, payload: Mapping[str, Any]) -> None:
        """Send every session a dispatch that is not part of the truth, as it stands."""
        with self._state.lock:
            for session in self._dispatcher.sessions():
                self._dispatcher.dispatch(session, name, json.dumps(payload))

    def inject_text(self, text: str) -> None:
        """Send every connection a frame of any text, even one that is no JSON."""
        with self._state.lock:
            for connection in self._dispatcher.connections.values():
                asyncio.run_coroutine_threadsafe(connection.send_text(text), connection.loop)

    def connected(self) -> int:
        """Count the connections that carry a session and are not about to end."""
        with self._state.lock:
            return sum(
                connection.session is not None and connection.ending is None
                for connection in self._dispatcher.connections.values()
            )

    def settled(self) -> bool:
        """Return whether every event so far was handed to the socket of every connected session."""
        with self._state.lock:
            return not self._dispatcher.holds and all(
                connection.session is None or connection.handed >= connection.session.sequence
                for connection in self._dispatcher.connections.values()
            )
