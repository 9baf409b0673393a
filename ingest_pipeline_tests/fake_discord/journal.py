"""What clients did: every request, IDENTIFY and RESUME, for a test to assert on and wait for.

Tokens are never kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

INVALID_STATUSES = frozenset({401, 403, 429})
"""Discord bans an address that collects 10 000 of these within ten minutes."""

_POLL_SECONDS = 0.01


@dataclass(slots=True)
class RequestRecord:
    """One REST request.

    Attributes:
        route: The endpoint's short name, such as ``history``; empty for a path this server does not know.
        method: The HTTP method.
        path: The path below ``/api/v10``.
        query: Its query parameters.
        at_seconds: When it came, on the monotonic clock.
        channel_id: The channel in its path.
        guild_id: The guild in its path.
        status: The answer; 0 while it is being served, -1 when the connection was cut instead.
        messages: How many messages a page of history held.
    """

    route: str
    method: str
    path: str
    query: dict[str, str]
    at_seconds: float
    channel_id: int | None = None
    guild_id: int | None = None
    status: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class IdentifyRecord:
    """One IDENTIFY: what the client asked for, and the close code it was refused with (None: accepted)."""

    intents: int
    compression: str
    shard: tuple[int, int] | None
    refused_with: int | None
    at_seconds: float


@dataclass(frozen=True, slots=True)
class ResumeRecord:
    """One RESUME: from which sequence, whether accepted, and how many dispatches were replayed."""

    session_id: str
    sequence: int
    accepted: bool
    replayed: int
    path: str
    at_seconds: float


@dataclass(slots=True)
class Journal:
    """Everything clients did since the server started, oldest first."""

    requests: list[RequestRecord] = field(default_factory=list)
    identifies: list[IdentifyRecord] = field(default_factory=list)
    resumes: list[ResumeRecord] = field(default_factory=list)
    heartbeats: int = 0
    connections: int = 0
    disconnections: int = 0
    refused_connections: int = 0
    _changed: Condition = field(default_factory=Condition)

    @contextmanager
    def change(self) -> Iterator[None]:
        """Guard a change to the journal and wake whoever waits for it."""
        with self._changed:
            yield
            self._changed.notify_all()

    def select(
        self,
        route: str | None = None,
        *,
        channel_id: int | None = None,
        status: int | None = None,
        method: str | None = None,
    ) -> list[RequestRecord]:
        """Return the requests that match everything given, oldest first."""
        with self._changed:
            return [
                record
                for record in self.requests
                if (route is None or record.route == route)
                and (channel_id is None or record.channel_id == channel_id)
                and (status is None or record.status == status)
                and (method is None or record.method == method)
            ]

    def writes(self) -> list[RequestRecord]:
        """Return every request that was not a GET: an archiving bot makes none."""
        with self._changed:
            return [record for record in self.requests if record.method != "GET"]

    def invalid_requests(self) -> int:
        """Count the answers that Discord counts towards a ban: 401, 403 and 429."""
        with self._changed:
            return sum(record.status in INVALID_STATUSES for record in self.requests)

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 60.0, what: str = "") -> None:
        """Block the calling thread until ``condition`` holds.

        Never call it on the server's own event loop.

        Raises:
            TimeoutError: It still did not hold after ``seconds``; the message says what was awaited.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s in vain for {what or 'a condition'}")
            with self._changed:
                self._changed.wait(_POLL_SECONDS)
