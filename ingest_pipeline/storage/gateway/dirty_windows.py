"""Dirty windows: windows of sessions that changed without a run, until Dagster is informed.

Delivery is at least once: a tick puts its delivery token on the windows before it reports them, and the
tick after it, which knows by its cursor that this one was recorded, deletes them. A window that is
written to in between loses its token and is reported again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection

WHOLE_SESSION = "*"
"""In the place of a window's key: the session has other messages than before, in any of its windows."""


@dataclass(frozen=True, slots=True, order=True)
class DirtyWindow:
    """A window that was written to.

    Attributes:
        session_id: The session.
        window_key: The window's key.
    """

    session_id: str
    window_key: str


def mark_windows_dirty(connection: Connection, windows: Collection[DirtyWindow], *, now: datetime) -> None:
    """Note windows in the transaction that writes to them."""
    if windows:
        ordered = sorted(set(windows))
        connection.execute(
            "mark_windows_dirty",
            session_ids=[window.session_id for window in ordered],
            window_keys=[window.window_key for window in ordered],
            now=now,
        )


def unreported_windows(connection: Connection, delivery_token: str) -> dict[DirtyWindow, datetime]:
    """Return the windows that were not reported with this token, with the time of their last change."""
    return {
        DirtyWindow(row["session_id"], row["window_key"]): row["touched_at"]
        for row in connection.fetch_all("list_unreported_windows", ticket=delivery_token)
    }


def claim_windows(
    connection: Connection, windows: Mapping[DirtyWindow, datetime], *, acknowledged: str, delivery_token: str
) -> None:
    """Put a token on windows that are about to be reported, and delete those reported before.

    Args:
        windows: The windows, with the time of the change that is reported.
        acknowledged: The delivery token that Dagster is known to have recorded; empty for none.
        delivery_token: The new one.
    """
    if acknowledged:
        connection.execute("delete_acknowledged_windows", ticket=acknowledged)
    if windows:
        connection.execute(
            "claim_windows",
            ticket=delivery_token,
            session_ids=[window.session_id for window in windows],
            window_keys=[window.window_key for window in windows],
            touched_ats=list(windows.values()),
        )


def posted_by_journey(
    connection: Connection, correlation_id: str, channel_id: int, *, posted_from: datetime
) -> set[datetime]:
    """Return when the messages of a channel's sessions whose content a journey brought were posted.

    Args:
        posted_from: The earliest time of posting to look at, aware UTC.

    Returns:
        Times, aware UTC.
    """
    rows = connection.fetch_all(
        "posted_by_journey", correlation_id=correlation_id, channel_id=channel_id, posted_from=posted_from
    )
    return {row["posted_at"] for row in rows}
