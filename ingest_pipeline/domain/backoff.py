"""Pauses between attempts, which double up to a longest one, and a schedule that remembers attempts."""

from __future__ import annotations

import json
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with each attempt that failed.

    Attributes:
        first_seconds: The pause after the first attempt.
        longest_seconds: The longest pause.
        jitter: The share of a pause that is drawn at random, so that those who failed together do not come
            back together.
    """

    first_seconds: float
    longest_seconds: float = float("inf")
    jitter: float = 0.0

    def delay(self, attempt: int) -> float:
        """Return how many seconds to wait after an attempt that failed, the first being 1."""
        # A float has room for more than a thousand doublings.
        longest = min(self.first_seconds * 2.0 ** min(attempt - 1, 100), self.longest_seconds)
        return random.uniform((1 - self.jitter) * longest, longest)  # noqa: S311 - spreads retries only


@dataclass(slots=True)
class FailureCount:
    """Failures in a row, and the pause after each; a success starts again.

    Attributes:
        backoff: The pauses.
        failures: In a row, so far.
    """

    backoff: Backoff
    failures: int = 0

    def next_pause(self) -> float:
        """Return how many seconds to wait after one more failure."""
        self.failures += 1
        return self.backoff.delay(self.failures)

    def reset(self) -> None:
        """Note a success."""
        self.failures = 0


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Counts of attempts and the time of the last one, aware UTC, by what was tried.

    Attributes:
        backoff: The pauses after each attempt.
        attempts: The counts.
    """

    backoff: Backoff
    attempts: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def read(self, text: str | None) -> RetrySchedule:
        """Return what `to_text` wrote, with these pauses; what cannot be read is as good as nothing."""
        try:
            stated = json.loads(text or "{}")
            found = {
                str(key): (int(count), datetime.fromisoformat(at)) for key, (count, at) in stated.items()
            }
        except (ValueError, TypeError, AttributeError):
            found = {}
        return self._with({} if any(at.tzinfo is None for _, at in found.values()) else found)

    def to_text(self) -> str:
        """Write it."""
        return json.dumps({key: [count, at.isoformat()] for key, (count, at) in self.attempts.items()})

    def is_due(self, key: str, now: datetime) -> bool:
        """Return whether a pause is over; a clock that was set back counts as if it were."""
        count, at = self.attempts.get(key, (0, now))
        if count == 0 or now < at:
            return True
        return (now - at).total_seconds() >= self.backoff.delay(count)

    def retain(self, keys: Collection[str]) -> RetrySchedule:
        """Forget all but these."""
        return self._with({key: each for key, each in self.attempts.items() if key in keys})

    def record_attempt(self, key: str, now: datetime) -> RetrySchedule:
        """Count another attempt."""
        count, _ = self.attempts.get(key, (0, now))
        return self._with({**self.attempts, key: (count + 1, now)})

    def _with(self, attempts: dict[str, tuple[int, datetime]]) -> RetrySchedule:
        return RetrySchedule(self.backoff, attempts)
