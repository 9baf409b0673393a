"""The live sensor with its 30-second tick: synchronises partitions with the sessions, reads what is live.

What to read is decided in `tick.py` and `polling.py`; how runs are asked for in `live_runs.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.domain.session import Session
from ingest_pipeline.errors import BadInput, TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.jobs import ingest_job
from ingest_pipeline.orchestration.live.live_runs import (
    live_run_requests,
    new_outcomes,
    recent_live_runs,
    run_in_progress,
)
from ingest_pipeline.orchestration.live.pool_slots import assign_free_slots
from ingest_pipeline.orchestration.live.tick import Decision, TickState, decide
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.userconfig.session_files import sync_sessions_file

PartitionsRequest = dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest


def build_live_session_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor, which runs unless somebody turns it off."""
    return dg.sensor(
        name="live_session_sensor",
        job=ingest_job,
        minimum_interval_seconds=settings.poll_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reads the live session: every window that is not proven complete up to now. Outages are "
            "repaired at the next tick, a session that keeps failing is tried less often, and one that "
            "has ended is "
            "read until it is proven complete. Without a live session it says which is next."
        ),
    )(live_session_sensor)


def live_session_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Evaluate one tick."""
    now = datetime.now(UTC)
    # Before anything else: the run that is still reading may be the one that waits.
    assign_free_slots(context.instance)
    runs = recent_live_runs(context.instance)
    state = _state(context, runs, now)
    try:
        sessions, decision = _look(tick_services, state, run_in_progress(runs, now), now)
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"skipped this time: {error}", cursor=state.to_cursor())
    return dg.SensorResult(
        run_requests=live_run_requests(decision.plan, tick_services),
        skip_reason=_skip_reason(context, decision),
        cursor=state.to_cursor(),
        dynamic_partitions_requests=partition_changes(context.instance, sessions),
    )


def partition_changes(instance: dg.DagsterInstance, sessions: Sequence[Session]) -> list[PartitionsRequest]:
    """Return what makes Dagster's session partitions the same as the stored sessions."""
    partitions = dg.DynamicPartitionsDefinition(name=SESSION_PARTITIONS)
    there = set(instance.get_dynamic_partitions(SESSION_PARTITIONS))
    stored = [session.session_id for session in sessions]
    added = [session_id for session_id in stored if session_id not in there]
    removed = sorted(there.difference(stored))
    requests: list[PartitionsRequest] = []
    if added:
        requests.append(partitions.build_add_request(added))
    if removed:
        requests.append(partitions.build_delete_request(removed))
    return requests


def _state(context: dg.SensorEvaluationContext, runs: Sequence[dg.RunRecord], now: datetime) -> TickState:
    """Return what earlier ticks left, brought up to date with the runs that ended since."""
    earlier = TickState.from_cursor(context.cursor)
    return earlier.after(new_outcomes(context.instance, runs, earlier.last_run_id), now)


def _look(
    services: Services, state: TickState, running: str | None, now: datetime
) -> tuple[list[Session], Decision]:
    """Take over the user's sessions, and return all with what is to be done."""
    mistakes = _take_over_sessions(services, now)
    problem = services.settings_problem(groups=False)
    unread_groups = None if problem else services.settings_problem(groups=True)
    if unread_groups:
        mistakes.append(f"the content of messages is not extracted: {unread_groups}")
    with services.database.read() as connection:
        sessions = list_sessions(connection)
        decision = decide(
            connection,
            sessions,
            state,
            now,
            grid=services.grid,
            settings=services.settings,
            running=running,
        )
    if problem and decision.plan.keys:
        # A run would fail for it, and its failures would go on delaying the session after the correction.
        decision = Decision(skip_reason=f"nothing is read: {problem}", warnings=decision.warnings)
    return sessions, replace(decision, warnings=(*mistakes, *decision.warnings))


def _take_over_sessions(services: Services, now: datetime) -> list[str]:
    """Take over the user's sessions; a file with mistakes leaves the stored ones in force."""
    try:
        sync_sessions_file(services.database, services.settings, now)
    except BadInput as error:
        return [f"the sessions were not updated: {error}"]
    return []


def _skip_reason(context: dg.SensorEvaluationContext, decision: Decision) -> str | None:
    """Log what somebody should know, and return the skip reason, which repeats it, if there is one."""
    for warning in decision.warnings:
        context.log.warning(warning)
    return "; ".join([decision.skip_reason, *decision.warnings]) if decision.skip_reason else None
