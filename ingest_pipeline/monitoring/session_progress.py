"""The progress of a session: proven and missing ranges, and the lag.

Everything comes from the coverage ledger and the table, so it is true for every reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window, WindowGrid
from ingest_pipeline.ingestion.polling import missing_time
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import count_in_window, messages_per_minute
from ingest_pipeline.storage.messages.queries import count_by_driver
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import SettingsFile


class WindowState(StrEnum):
    """The coverage of a window: complete, partial, none, or not begun."""

    PROVEN = "proven"
    PARTIAL = "partial"
    MISSING = "missing"
    UPCOMING = "upcoming"


@dataclass(frozen=True, slots=True)
class WindowProgress:
    """One window of a session.

    Attributes:
        key: Its key, such as `T+005m`.
        window: Its time.
        state: What is known of it.
    """

    key: str
    window: Window
    state: WindowState


@dataclass(frozen=True, slots=True)
class SessionProgress:
    """A session as it is at one time.

    Attributes:
        elapsed_seconds: How much of it is over.
        proven_seconds: How much of that is proven complete, in all of its channels.
        lag_seconds: How long before now, or before its end, its newest proof ends.
        missing: What is over and not proven, merged over the channels, in order of time.
        windows: Its windows in order.
        messages: Its live messages so far.
        channel_gap_seconds: How much of what is over is not proven, by channel.
    """

    session: Session
    elapsed_seconds: float
    proven_seconds: float
    lag_seconds: float
    missing: tuple[Window, ...]
    windows: tuple[WindowProgress, ...]
    messages: int
    channel_gap_seconds: dict[int, float]


def session_progress(
    connection: Connection, session: Session, grid: WindowGrid, now: datetime
) -> SessionProgress:
    """Return how a session is doing.

    Args:
        grid: How it is cut.
    """
    end = min(now, session.end_time)
    elapsed = max(end - session.start_time, timedelta())
    by_channel = {
        channel_id: merged(missing_time(connection, replace(session, channel_ids=(channel_id,)), now))
        for channel_id in session.channel_ids
    }
    missing = merged(chain.from_iterable(by_channel.values()))
    is_behind = bool(missing) and missing[-1].end >= end
    lag = end - missing[-1].start if is_behind else timedelta()
    windows = [(key, grid.window(key, session.window)) for key in grid.keys]
    return SessionProgress(
        session=session,
        elapsed_seconds=elapsed.total_seconds(),
        proven_seconds=max(elapsed - _length(missing), timedelta()).total_seconds(),
        lag_seconds=lag.total_seconds(),
        missing=tuple(missing),
        windows=tuple(
            WindowProgress(key, window, _state(window, missing, now)) for key, window in windows if window
        ),
        messages=count_in_window(connection, session.channel_ids, session.window),
        channel_gap_seconds={
            channel_id: _length(gaps).total_seconds() for channel_id, gaps in by_channel.items()
        },
    )


def session_activity(
    connection: Connection, session: Session, file: SettingsFile
) -> tuple[list[tuple[datetime, int]], list[dict[str, Any]]]:
    """Return a session's messages by minute, and by driver (see `count_by_driver`).

    Args:
        file: What `data/settings.yaml` says.

    Raises:
        ConfigurationError: The settings of channels are wrong.
    """
    minutes = messages_per_minute(connection, session.channel_ids, session.window)
    settings = effective_settings(connection, file, session.channel_ids)
    known_only = [channel_id for channel_id, each in settings.items() if each.known_drivers_only]
    return minutes, count_by_driver(connection, session.channel_ids, session.window, known_only)


def merged(windows: Iterable[Window]) -> list[Window]:
    """Return the union of some windows as windows that do not touch, in order of time."""
    union: list[Window] = []
    for window in sorted(windows):
        if union and window.start <= union[-1].end:
            union[-1] = Window(union[-1].start, max(union[-1].end, window.end))
        else:
            union.append(window)
    return union


def _state(window: Window, missing: Sequence[Window], now: datetime) -> WindowState:
    if window.start >= now:
        return WindowState.UPCOMING
    over = Window(window.start, min(window.end, now))
    gaps = [gap for each in missing if (gap := over.intersection(each))]
    if not gaps:
        return WindowState.PROVEN
    return WindowState.MISSING if _length(gaps) >= over.end - over.start else WindowState.PARTIAL


def _length(windows: Iterable[Window]) -> timedelta:
    return sum((window.end - window.start for window in windows), timedelta())
