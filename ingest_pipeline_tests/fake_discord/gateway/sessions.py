"""Gateway sessions: the numbered dispatches a client may have replayed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from ingest_pipeline_tests.fake_discord.events import MESSAGE_CONTENT, Event

_REPLAY_LIMIT = 50_000
_SHARD_SHIFT = 22


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One numbered dispatch.

    Attributes:
        sequence: Its ``s``.
        name: Its ``t``.
        body: Its ``d``, already JSON; sessions share it.
        only_for: The one connection it is meant for (READY, RESUMED); None: any.
        unheard_by: A connection that was deaf when it was dispatched.
    """

    sequence: int
    name: str
    body: str
    only_for: int | None = None
    unheard_by: int | None = None

    @property
    def text(self) -> str:
        """The whole frame as JSON."""
        return f'{{"op":0,"t":"{self.name}","s":{self.sequence},"d":{self.body}}}'

    def is_for(self, connection: int) -> bool:
        """Return whether a connection is to receive it."""
        return self.only_for in {None, connection} and self.unheard_by != connection


@dataclass(slots=True)
class Session:
    """One IDENTIFY's worth of dispatches; survives its connection so that it can be resumed.

    Not thread-safe by itself: used under the state's lock.

    Attributes:
        intents: What the client asked for.
        shard: (shard id, shard count); None: all guilds.
        id: What the client names it by.
        connection: The number of the connection it is attached to, None while the client is away.
        left_at_seconds: When the client went away, on the monotonic clock.
        sequence: The last number given.
    """

    intents: int
    shard: tuple[int, int] | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    connection: int | None = None
    left_at_seconds: float = 0.0
    sequence: int = 0
    _frames: list[Dispatch] = field(default_factory=list)

    @property
    def reads_content(self) -> bool:
        """Whether the client asked for the MESSAGE_CONTENT intent."""
        return bool(self.intents & MESSAGE_CONTENT)

    def covers(self, guild_id: int) -> bool:
        """Return whether a guild belongs to this session's shard."""
        return self.shard is None or (guild_id >> _SHARD_SHIFT) % self.shard[1] == self.shard[0]

    def wants(self, event: Event) -> bool:
        """Return whether the client asked for such events."""
        return bool(self.intents & event.intent) and self.covers(event.guild_id)

    def dispatch(
        self, name: str, body: str, *, only_for: int | None = None, unheard_by: int | None = None
    ) -> None:
        """Number an event and keep it for sending and for replay."""
        self.sequence += 1
        self._frames.append(Dispatch(self.sequence, name, body, only_for, unheard_by))
        if len(self._frames) > 2 * _REPLAY_LIMIT:
            del self._frames[:_REPLAY_LIMIT]

    def after(self, sequence: int, limit: int) -> list[Dispatch]:
        """Return the first ``limit`` dispatches after a sequence number."""
        first = max(0, sequence - (self.sequence - len(self._frames)))
        return self._frames[first : first + limit]

    def can_replay_from(self, sequence: int) -> bool:
        """Return whether everything after ``sequence`` is still kept."""
        return self.sequence - len(self._frames) <= sequence <= self.sequence

    def leave(self) -> None:
        """Note that the client went away."""
        self.connection = None
        self.left_at_seconds = time.monotonic()
