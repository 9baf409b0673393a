"""Half-open UTC time windows, and the grid of them that a session is cut into.

A window key is an offset from its session's start (`T+000m`, `T+005m`, …), so the same static
set of keys serves every session. Dagster's partition definitions are built from these keys in
`orchestration/partitions.py`; nothing here knows of Dagster. The last window of a long session is cut
further, into parts with keys of their own (`T+355m/T+355m`, `T+355m/T+360m`, …), so that it need not be read
whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import WindowInvalid

_KEY = re.compile(r"T\+(\d{3,7})m")
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def require_utc(moment: datetime, what: str) -> datetime:
    """Return an aware time in UTC.

    Args:
        moment: The time to check.
        what: Its name in the error message, such as `--start`.

    Raises:
        WindowInvalid: The time has no offset.
    """
    if moment.utcoffset() is None:
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
        """Return whether a moment lies in the window."""
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
        return _offset_key(index * self.width)

    def index(self, key: str) -> int:
        """Return the index of a window, given its key or that of one of its parts.

        Raises:
            WindowInvalid: The key is not one of this grid's.
        """
        offset = _offset(window_key(key))
        index, rest = divmod(offset, self.width) if offset is not None else (-1, timedelta())
        if rest or not 0 <= index < self.count:
            raise WindowInvalid(f"window {key!r} is not one of {self.key(0)} … {self.key(self.count - 1)}")
        return index

    def window(self, key: str, session: Window) -> Window | None:
        """Return the time a key stands for in a session, or None when the session ends before it.

        Args:
            key: A window's key, or a part's.
            session: The session's time.

        Raises:
            WindowInvalid: The key is not one of this grid's.
        """
        offset = self.offset(key)
        start = session.start + offset
        if "/" in key:
            end = min(start + self._part_width(offset), session.end)
        elif self.index(key) == self.count - 1:
            end = session.end
        else:
            end = min(start + self.width, session.end)
        return Window(start, end) if start < end else None

    def offset(self, key: str) -> timedelta:
        """Return how long after its session's start a window, or a part of one, begins.

        Raises:
            WindowInvalid: The key is not one of this grid's.
        """
        start = self.index(key) * self.width
        if key == window_key(key):
            return start
        offset = _offset(key.removeprefix(f"{window_key(key)}/"))
        is_last = self.index(key) == self.count - 1
        if not is_last or offset is None or offset < start or offset != self._part_start(offset):
            raise WindowInvalid(
                f"window {key!r} is not a part of a window: write a part such as {self._example()}"
            )
        return offset

    def parts(self, key: str, session: Window) -> list[str]:
        """Return the keys of a window's parts in a session, in time order; none when the session ends before.

        A window is its own only part; but the last one, when it is longer than the others, has parts of
        their width, of an hour from the session's second day on.

        Args:
            key: A window's key, or that of a part, which is returned.
            session: The session's time.

        Raises:
            WindowInvalid: The key is not one of this grid's.
        """
        return [part for part, _ in self.part_windows(key, session)]

    def part_windows(self, key: str, session: Window) -> list[tuple[str, Window]]:
        """Return a window's parts as `parts` does, each with its time."""
        window = self.window(key, session)
        if window is None:
            return []
        if "/" in key or window.end - window.start <= self.width:
            return [(key, window)]
        parts, offset = [], self.offset(key)
        while (start := session.start + offset) < window.end:
            width = self._part_width(offset)
            parts.append((f"{key}/{_offset_key(offset)}", Window(start, min(start + width, session.end))))
            offset += width
        return parts

    def parts_touching(self, span: Window, session: Window) -> list[str]:
        """Return the keys, in order, of the parts of a session's windows that share time with a span."""
        return [
            part
            for key in self.keys_touching(span, session)
            for part in self.parts(key, session)
            if (window := self.window(part, session)) and window.intersection(span)
        ]

    def keys_touching(self, span: Window, session: Window) -> list[str]:
        """Return the keys, in order, of the session's windows that share time with a span."""
        shared = span.intersection(session)
        if shared is None:
            return []
        first = min((shared.start - session.start) // self.width, self.count - 1)
        beyond = -((session.start - shared.end) // self.width)
        return [self.key(index) for index in range(first, min(max(beyond, first + 1), self.count))]

    def _part_width(self, offset: timedelta) -> timedelta:
        return self.width if offset < self._first_day else max(self.width, _HOUR)

    def _part_start(self, offset: timedelta) -> timedelta:
        """Return where the part begins that an offset lies in."""
        begun = self._first_day if offset >= self._first_day else timedelta()
        return offset - (offset - begun) % self._part_width(offset)

    @property
    def _first_day(self) -> timedelta:
        """The time in which parts are of the grid's width: a day, up to the next whole window."""
        return max(-(-_DAY // self.width), self.count) * self.width

    def _example(self) -> str:
        return f"{self.key(self.count - 1)}/{_offset_key(self.count * self.width)}"


def window_key(key: str) -> str:
    """Return the key of the window that a part, given by its key, belongs to."""
    return key.partition("/")[0]


def document_key(key: str) -> str:
    """Return the key that the document of a window or part is kept under.

    The first part of a window has the window's own: it takes the place of a document of the whole window,
    from when the session was shorter or windows had no parts.
    """
    window, _, own = key.partition("/")
    return window if own == window else key


def _offset_key(offset: timedelta) -> str:
    return f"T+{offset // _MINUTE:03d}m"


def _offset(key: str) -> timedelta | None:
    match = _KEY.fullmatch(key)
    return int(match[1]) * _MINUTE if match else None


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
