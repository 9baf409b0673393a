"""Bringing Dagster's records up to what the coverage ledger proves, within the time of a tick.

What was reported of a session is kept beside Dagster's own records, so that another instance gets
everything. Reporting is at least once: a tick that dies repeats a session.
"""

import json
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from uuid import uuid4

import dagster as dg

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.live.runless_events import store_events
from ingest_pipeline.orchestration.live.session_windows import look_at_session
from ingest_pipeline.orchestration.live.window_events import events_of_windows, manifest_events
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import coverage_marks, digest_of
from ingest_pipeline.storage.messages.manifests import newest_manifests, sealed_versions
from ingest_pipeline.storage.messages.sessions import list_sessions

# A tick ends with the session that reaches either: other sensors wait for the same process and file.
MOST_EVENTS = 600
MOST_SECONDS = 2.0
_KEPT_AS = "ingest/reported/"


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """The result of a tick.

    Attributes:
        cursor: For the next tick.
        events: How many events were stored.
        waiting: How many sessions wait for the next tick.
    """

    cursor: str
    events: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was reported of a session.

    Attributes:
        generation: Since when the sensor's cursor was not reset.
        mark: What the session was like; the next report is due when it differs.
        windows: The states of its windows.
    """

    generation: str = ""
    mark: str = ""
    windows: dict[str, str] = field(default_factory=dict)


def report_ledger(
    services: Services, instance: dg.DagsterInstance, cursor: str, newest: str, now: datetime
) -> LedgerReport:
    """Report what has been proven, sealed or changed since the tick before.

    Args:
        cursor: Of the tick before; an empty one compares every session with Dagster's records.
        newest: The ledger's mark; nothing is read as long as it is that of the tick before.
    """
    generation, _, mark = cursor.partition(":")
    if mark == newest:
        return LedgerReport(cursor)
    generation = generation or uuid4().hex[:8]
    with services.database.read() as connection:
        due = _due(connection, services, now)
    partitions = set(instance.get_dynamic_partitions(SESSION_PARTITIONS))
    wanted = {
        session: digest_of((generation, mark))
        for session, mark in due.items()
        if session.session_id in partitions
    }
    kept = instance.daemon_cursor_storage.get_cursor_values({_key(session) for session in wanted})
    began, stored, waiting = time.monotonic(), 0, 0
    for session, new_mark in wanted.items():
        kept_before = _Kept(**json.loads(kept.get(_key(session), "{}")))
        if kept_before.mark == new_mark:
            continue
        count = None
        if stored < MOST_EVENTS and time.monotonic() - began < MOST_SECONDS:
            earlier = kept_before.windows if kept_before.generation == generation else {}
            count = _report(services, instance, session, _Kept(generation, new_mark, earlier), now)
        stored += count or 0
        waiting += count is None
    return LedgerReport(f"{generation}:{'' if waiting else newest}", stored, waiting)


def _key(session: Session) -> str:
    return f"{_KEPT_AS}{session.session_id}"


def _due(connection: Connection, services: Services, now: datetime) -> dict[Session, str]:
    """Return the mark of each session that took place and of which something is proven, the latest first."""
    sessions = [
        each for each in list_sessions(connection) if each.start_time <= now and not each.is_cancelled
    ]
    marks, sealed = coverage_marks(connection, sessions), sealed_versions(connection)
    settled = now - services.settings.settle
    return {
        each: digest_of((marks[each.session_id], sealed.get(each.session_id), each, each.end_time <= settled))
        for each in sorted(sessions, key=lambda session: session.end_time, reverse=True)
        if each.session_id in marks
    }


def _report(
    services: Services, instance: dg.DagsterInstance, session: Session, kept_before: _Kept, now: datetime
) -> int | None:
    """Report a session, and keep what was reported of it.

    Args:
        kept_before: What is kept, with the windows that were reported earlier.

    Returns:
        The number of events; None while a run reads the session.
    """
    found = look_at_session(services, session, now)
    changes = events_of_windows(services, instance, found, kept_before.windows)
    if changes is None:
        return None
    with services.database.read() as connection:
        manifests = newest_manifests(connection, session.session_id)
    events = [*changes.events, manifest_events(instance, session.session_id, manifests)]
    for of_one_asset in events:
        store_events(instance, of_one_asset)
    windows = {key: state for key, state in found.states.items() if key not in changes.left}
    kept = json.dumps(asdict(replace(kept_before, windows=windows)))
    instance.daemon_cursor_storage.set_cursor_values({_key(session): kept})
    return sum(map(len, events))
