"""A retry schedule: attempts so far, and the time of the next one, with growing pauses."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Counts of tries and the time of the last one, aware UTC, by what was tried.

    Attributes:
        first_pause: Pause after the first try; it doubles after each further one.
        longest_pause: Longest pause.
        tries: The counts.
    """

    first_pause: timedelta
    longest_pause: timedelta
    tries: dict[str, tuple[int, datetime]] = field(default_factory=dict)

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
        return json.dumps({key: [count, at.isoformat()] for key, (count, at) in self.tries.items()})

    def is_due(self, key: str, now: datetime) -> bool:
        """Tell whether a pause is over; a clock that was set back counts as if it were."""
        count, at = self.tries.get(key, (0, now))
        if count == 0 or now < at:
            return True
        pause: timedelta = self.first_pause * 2 ** min(count - 1, 20)
        return now - at >= min(pause, self.longest_pause)

    def retain(self, keys: Collection[str]) -> RetrySchedule:
        """Forget all but these."""
        return self._with({key: each for key, each in self.tries.items() if key in keys})

    def record_attempt(self, key: str, now: datetime) -> RetrySchedule:
        """Count another try."""
        count, _ = self.tries.get(key, (0, now))
        return self._with({**self.tries, key: (count + 1, now)})

    def _with(self, tries: dict[str, tuple[int, datetime]]) -> RetrySchedule:
        return RetrySchedule(self.first_pause, self.longest_pause, tries)
