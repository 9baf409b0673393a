"""The server's clock and the ids minted from it.

A snowflake holds the milliseconds since 2015-01-01 UTC in bits 63 to 22; the lower 22 bits only make it
unique (Discord API reference, "Snowflakes"). Message timestamps are derived from the id, never kept
beside it, so the two cannot disagree.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
"""Discord's epoch: 1 420 070 400 000 ms after the Unix epoch."""

_LOW_BITS = 22
_MILLISECOND = timedelta(milliseconds=1)


class ServerClock:
    """The wall clock of the simulated Discord.

    Attributes:
        skew_seconds: How far it runs ahead of this machine's clock; negative runs behind. Ids, timestamps
            and the HTTP ``Date`` header all follow it, as they do when the bot's own clock is wrong.
    """

    def __init__(self) -> None:
        """Start in step with this machine's clock."""
        self.skew_seconds: float = 0.0

    def now(self) -> datetime:
        """Return the server's time as an aware UTC datetime."""
        return datetime.now(UTC) + timedelta(seconds=self.skew_seconds)


class SnowflakeMint:
    """Mints unique ids; ids minted within one millisecond keep their order."""

    def __init__(self, clock: ServerClock) -> None:
        """Mint from ``clock``. Not thread-safe by itself: callers hold the state's lock."""
        self._clock = clock
        self._minted: dict[int, int] = {}

    def mint(self, at: datetime | None = None) -> int:
        """Return a new id for the moment ``at`` (aware UTC; default: the server's now)."""
        millisecond = ((at or self._clock.now()) - EPOCH) // _MILLISECOND
        low = self._minted.get(millisecond, 0)
        self._minted[millisecond] = low + 1
        return (millisecond << _LOW_BITS) | low


def created_at(snowflake: int) -> datetime:
    """Return the moment an id was minted, aware UTC, to the millisecond."""
    return EPOCH + (snowflake >> _LOW_BITS) * _MILLISECOND


def iso(moment: datetime) -> str:
    """Return ``moment`` as Discord writes times: microseconds and ``+00:00``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
