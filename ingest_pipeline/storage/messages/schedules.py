"""Schedules taken over into the stored sessions; `domain/sessions/schedule_plan.py` decides what changes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ingest_pipeline.domain.sessions.schedule import Schedule, Version
from ingest_pipeline.domain.sessions.schedule_plan import Origin, SchedulePlan, plan_changes
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.sessions import SessionChanges, list_sessions, save_sessions


def plan_schedule(connection: Connection, schedule: Schedule, *, now: datetime) -> SchedulePlan:
    """Return what a schedule changes; nothing is written.

    Args:
        schedule: What a source says.
    """
    stored = {session.session_id: session for session in list_sessions(connection)}
    return plan_changes(schedule, stored, _origins(connection), now)


def save_schedule(
    connection: Connection, schedule: Schedule, *, now: datetime
) -> tuple[SchedulePlan, SessionChanges]:
    """Create, update and cancel sessions as a schedule says; messages are linked as `save_sessions` does.

    Args:
        schedule: What a source says.
        now: Time of the change, aware UTC.
    """
    plan = plan_schedule(connection, schedule, now=now)
    changes = save_sessions(connection, [change.after for change in plan.changes], now=now)
    if plan.origins:
        connection.execute(
            "save_session_origins",
            session_ids=[origin.session_id for origin in plan.origins],
            entry_ids=[origin.entry_id for origin in plan.origins],
            sources=[origin.source for origin in plan.origins],
            uids=[origin.uid for origin in plan.origins],
            sequences=[origin.version.sequence for origin in plan.origins],
            written_ats=[origin.version.written_at for origin in plan.origins],
            digests=[origin.digest for origin in plan.origins],
        )
    return plan, changes


def schedules_of_sessions(connection: Connection, session_ids: Collection[str]) -> dict[str, str]:
    """Return the schedules that sessions came from, by session; sessions that came from none are left out."""
    return {each.session_id: each.source for each in _origins(connection) if each.session_id in session_ids}


def _origins(connection: Connection) -> list[Origin]:
    return [
        Origin(
            row["session_id"],
            row["entry_id"],
            row["source"],
            row["uid"],
            Version(row["sequence"], row["written_at"]),
            row["digest"],
        )
        for row in connection.fetch_all("list_session_origins")
    ]
