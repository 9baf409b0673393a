"""Half-open UTC time windows, and the grid of them that a session is cut into.

A window key is an offset from its session's start (`T+000m`, `T+005m`, …), so the same static
set of keys serves every session. Dagster's partition definitions are built from these keys in
`orchestration/partitions.py`; nothing here knows of Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import WindowInvalid

_KEY = re.compile(r"T\+(\d{3,5})m")


def require_utc(moment: datetime, what: str) -> datetime:
    """Return an aware time in UTC.

    Args:
        moment: The time to check.
        what: Its name in the error message, such as `--start`.

    Raises:
        WindowInvalid: The time has no offset.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise WindowInvalid(
            f"{what} {moment.isoformat()} has no time zone: write it with Z or an offset, "
            f"such as {moment.isoformat()}Z"
        )
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open interval of time: `start` belongs to it, `end` does not; both aware UTC.

    Raises:
        WindowInvalid: A bound is naive, or `end` is not after `start`.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Check the bounds and bring them to UTC."""
        object.__setattr__(self, "start", require_utc(self.start, "start"))
        object.__setattr__(self, "end", require_utc(self.end, "end"))
        if self.end <= self.start:
            raise WindowInvalid(
                f"the window ends at {self.end.isoformat()}, not after its start {self.start.isoformat()}: "
                "give an end later than the start"
            )

    def __contains__(self, moment: datetime) -> bool:
        """Tell whether a moment lies in the window."""
        return self.start <= moment < self.end

    @property
    def low(self) -> int:
        """The id just below the window: its messages have ids in `(low, high]`."""
        return first_id_at(self.start) - 1

    @property
    def high(self) -> int:
        """The highest id that the window can hold."""
        return first_id_at(self.end) - 1

    def intersection(self, other: Window) -> Window | None:
        """Return what both windows share, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """The cut of a session into windows of one width.

    Attributes:
        width: Length of a window.
        count: Number of windows; the last one reaches to the session's end, however late that is,
            so that no part of a session is outside the grid.
    """

    width: timedelta = timedelta(minutes=5)
    count: int = 72

    @property
    def keys(self) -> list[str]:
        """Every window key, in time order."""
        return [self.key(index) for index in range(self.count)]

    def key(self, index: int) -> str:
        """Return the key of the window at an index from 0."""
        return f"T+{index * self.width // timedelta(minutes=1):03d}m"

    def index(self, key: str) -> int:
        """Return the index of a window key.

        Raises:
            WindowInvalid: The key is not one of this grid's.
        """
        match = _KEY.fullmatch(key)
        index, rest = divmod(timedelta(minutes=int(match[1])), self.width) if match else (-1, timedelta())
        if rest or not 0 <= index < self.count:
            raise WindowInvalid(f"window {key!r} is not one of {self.key(0)} … {self.key(self.count - 1)}")
        return index

    def window(self, key: str, session: Window) -> Window | None:
        """Return the time a key stands for in a session, or None when the session ends before it."""
        index = self.index(key)
        start = session.start + index * self.width
        last = index == self.count - 1
        end = session.end if last else min(start + self.width, session.end)
        return Window(start, end) if start < end else None

    def keys_touching(self, span: Window, session: Window) -> list[str]:
        """Return the keys, in order, of the session's windows that share time with a span."""
        shared = span.intersection(session)
        if shared is None:
            return []
        first = min((shared.start - session.start) // self.width, self.count - 1)
        beyond = -((session.start - shared.end) // self.width)
        return [self.key(index) for index in range(first, min(max(beyond, first + 1), self.count))]


def contiguous(windows: Iterable[tuple[str, Window]]) -> Iterator[list[tuple[str, Window]]]:
    """Group keyed windows, given in time order, into runs with no time between them."""
    run: list[tuple[str, Window]] = []
    for keyed in windows:
        if run and run[-1][1].end != keyed[1].start:
            yield run
            run = []
        run.append(keyed)
    if run:
        yield run
