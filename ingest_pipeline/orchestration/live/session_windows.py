"""The states of a session's windows by the ledger and the table, as far as Dagster ought to show them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.session_progress import SessionProgress, WindowState, session_progress
from ingest_pipeline.storage.messages.coverage import Proof, proofs
from ingest_pipeline.storage.messages.deletions import count_by_part
from ingest_pipeline.storage.messages.membership import threads_of

GAP = "gap"


@dataclass(frozen=True, slots=True)
class SessionWindows:
    """A session's windows at one time.

    Attributes:
        channel_ids: Its channels and their threads.
        windows: The windows that its time reaches, by key.
        missing: What is over and not proven, in order of time.
        proofs: What proves the rest.
        rows: The number of messages, by window; 0 for any other.
        states: In a few words what there is to show of each window: `proven` with its messages, `gap` with
            its seconds, `empty` after the session's end. Windows that are not over, and gaps of a session
            that is not over and settled, are left out.
    """

    session: Session
    channel_ids: tuple[int, ...]
    windows: dict[str, Window]
    missing: tuple[Window, ...]
    proofs: tuple[Proof, ...]
    rows: defaultdict[str, int]
    states: dict[str, str]

    def proofs_of(self, key: str) -> list[Proof]:
        """Return what proves something of a window."""
        window = self.windows.get(key)
        if window is None:
            return []
        return [proof for proof in self.proofs if proof.low < window.high and proof.high > window.low]

    def seconds_missing(self, key: str) -> float:
        """Return how much of a window is not proven."""
        return _seconds(self.missing, self.windows[key])


def look_at_session(services: Services, session: Session, now: datetime) -> SessionWindows:
    """Read what is known of a session."""
    grid = services.grid
    with services.database.read() as connection:
        progress = session_progress(connection, session, grid, now)
        channel_ids = (*session.channel_ids, *threads_of(connection, session.channel_ids))
        counts = count_by_part(connection, channel_ids, session.window, grid.width)
        found = [
            proof
            for channel_id in session.channel_ids
            for proof in proofs(connection, channel_id)
            if proof.low < session.window.high and proof.high > session.window.low
        ]
    rows: defaultdict[str, int] = defaultdict(int)
    for part, count in counts.items():
        rows[grid.key(min(part, grid.count - 1))] += count
    windows = {each.key: each.window for each in progress.windows}
    states = {
        each.key: f"proven {rows[each.key]}"
        for each in progress.windows
        if each.state is WindowState.PROVEN and each.window.end <= now
    }
    if session.end_time + services.settings.settle <= now:
        states |= _when_over(progress, grid.keys, states)
    return SessionWindows(session, channel_ids, windows, progress.missing, tuple(found), rows, states)


def _when_over(progress: SessionProgress, keys: list[str], proven: dict[str, str]) -> dict[str, str]:
    windows = {each.key: each.window for each in progress.windows}
    return {
        key: f"{GAP} {_seconds(progress.missing, windows[key]):.0f}" if key in windows else "empty"
        for key in keys
        if key not in proven
    }


def _seconds(missing: tuple[Window, ...], window: Window) -> float:
    shared = [part for each in missing if (part := each.intersection(window))]
    return sum((part.end - part.start for part in shared), timedelta()).total_seconds()
