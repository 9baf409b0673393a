"""The sensor of live sessions, its runs and their places in pools.

What to read is decided in `tick.py` and `polling.py`.

Dagster looks for a free place and puts the step into the queue in two transactions. When the last place is
freed in between, the step that frees it finds none waiting, and the step waits until another step of the pool
ends: for ever, if there is none.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import window_key
from ingest_pipeline.errors import BadInput, TransientError
from ingest_pipeline.ingestion.overruns import describe_extension, extend_overrunning
from ingest_pipeline.ingestion.polling import PollPlan
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.live.tick import Decision, RunOutcome, TickState, decide
from ingest_pipeline.orchestration.messages.assets import WRITER_POOL
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, from_tag, partition_key, range_tags
from ingest_pipeline.orchestration.singleton_jobs import WINDOWS_JOB, read_assets
from ingest_pipeline.orchestration.tags import (
    ALSO_LIVE_TAG,
    MAX_RUNTIME_TAG,
    PRIORITY_TAG,
    SESSION_TAG,
    TRIGGER_TAG,
)
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.userconfig.session_files import sync_sessions_file

_LIVE = {TRIGGER_TAG: "live"}
_LOOK_BACK = 20
_ATTEMPTS = 3
_LONGEST_LINE = 500
_GRACE = timedelta(seconds=60)
_UNFINISHED = {
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
}
PartitionsRequest = dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest


def live_run_requests(plan: PollPlan, services: Services, now: datetime) -> list[dg.RunRequest]:
    """Return the one run that is of a plan's windows and those between them, or none for an empty plan.

    In the last window of a long session it begins where the plan does.

    It has no run key: Dagster never repeats a run key, not even after a failure. It comes before
    backfills in the queue, and Dagster's run monitoring ends it when it takes longer than all
    attempts of its exporter runs may. Windows are checked when they are over: the checks are a fifth of a
    run's CPU and a third of its events.
    """
    session, settings = plan.session, services.settings
    if session is None or not plan.keys:
        return []
    seconds = _ATTEMPTS * (
        settings.exporter_timeout_seconds * len(session.channel_ids) + settings.database_wait_seconds
    )
    tags = {
        **_LIVE,
        SESSION_TAG: session.session_id,
        PRIORITY_TAG: "10",
        MAX_RUNTIME_TAG: str(seconds + 60),
        **from_tag(plan.keys),
    }
    if plan.also_live:
        tags[ALSO_LIVE_TAG] = ",".join(other.session_id for other in plan.also_live)
    windows = list(dict.fromkeys(map(window_key, plan.keys)))
    partition = str(partition_key(session.session_id, windows[0])) if len(windows) == 1 else None
    if partition is None:
        tags |= range_tags(session.session_id, windows, services.grid)
    times = [services.grid.window(key, session.window) for key in windows]
    if any(window and window.end <= now for window in times):
        return [dg.RunRequest(partition_key=partition, tags=tags)]
    assets = read_assets(settings)
    return [dg.RunRequest(partition_key=partition, tags=tags, asset_selection=assets, asset_check_keys=[])]


def recent_live_runs(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    """Return the latest live runs, the newest first."""
    return instance.get_run_records(dg.RunsFilter(tags=_LIVE), limit=_LOOK_BACK)


def run_in_progress(records: Sequence[dg.RunRecord], now: datetime) -> str | None:
    """Return the id of a live run that waits or works, or None.

    A run whose process was killed stays `STARTED` for Dagster. So a run past its own time limit
    counts no longer, or polling would wait for it for ever.
    """
    for record in records:
        run = record.dagster_run
        if run.status == dg.DagsterRunStatus.QUEUED:
            return run.run_id
        if run.status in _UNFINISHED and abs(now - _began(record)) < _limit(run) + _GRACE:
            return run.run_id
    return None


def new_outcomes(
    instance: dg.DagsterInstance, records: Sequence[dg.RunRecord], last_run_id: str | None
) -> list[RunOutcome]:
    """Return how runs ended that are newer than one already seen, in their order.

    A cancelled run shows nothing about its session and is left out.
    """
    outcomes: list[RunOutcome] = []
    for record in records:
        run = record.dagster_run
        if run.run_id == last_run_id:
            break
        if run.status in {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}:
            error = error_line(instance, run) if run.status == dg.DagsterRunStatus.FAILURE else None
            outcomes.append(RunOutcome(run.run_id, run.tags.get(SESSION_TAG, ""), _ended(record), error))
    return outcomes[::-1]


def _began(record: dg.RunRecord) -> datetime:
    if record.start_time is not None:
        return datetime.fromtimestamp(record.start_time, UTC)
    return record.create_timestamp


def _ended(record: dg.RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    return record.update_timestamp


def _limit(run: dg.DagsterRun) -> timedelta:
    stated = run.tags.get(MAX_RUNTIME_TAG, "")
    return timedelta(seconds=int(stated) if stated.isdigit() else 0)


def error_line(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return the first line of what made a run fail: the step's own words when there are any."""
    wanted = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    lines = [_stated(entry) for entry in instance.all_logs(run.run_id, of_type=wanted)]
    first = next((line for line in lines if line.strip()), "it failed without a message")
    return first.strip().splitlines()[0][:_LONGEST_LINE]


def _stated(entry: dg.EventLogEntry) -> str:
    event = entry.dagster_event
    if event is None or not event.is_step_failure:
        return (event.message if event else None) or ""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error and error.cause:
        error = error.cause
    return error.message if error else ""


def assign_free_slots(instance: dg.DagsterInstance) -> int:
    """Give free places to the steps that wait for them, in their order.

    A place that is taken at the same moment is not given twice: a step that is assigned one has to claim it
    all the same, and goes on trying.

    Returns:
        How many steps need not wait any longer.
    """
    storage = instance.event_log_storage
    # Not part of the storage's interface: one that is no SQL database assigns by rules of its own.
    assign = getattr(storage, "assign_pending_steps", None)
    if assign is None or not storage.supports_global_concurrency_limits:
        return 0
    pool = storage.get_concurrency_info(WRITER_POOL)
    assigned = [step for step in pool.pending_steps if step.assigned_timestamp]
    count = min(pool.slot_count - len(assigned), len(pool.pending_steps) - len(assigned))
    if count > 0:
        assign([WRITER_POOL] * count)
    return max(count, 0)


def build_live_session_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor, which runs unless an operator turns it off."""
    return dg.sensor(
        name="live_session_sensor",
        job_name=WINDOWS_JOB,
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
        run_requests=live_run_requests(decision.plan, tick_services, now),
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
    """Import the user's sessions, extend those that go on, and return all sessions with the plan."""
    mistakes = _take_over_sessions(services, now)
    mistakes += [describe_extension(session) for session in extend_overrunning(services, now)]
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
    """Import the user's sessions; a file with mistakes leaves the stored ones in effect."""
    try:
        sync_sessions_file(services.database, services.settings, now)
    except BadInput as error:
        return [f"the sessions were not updated: {error}"]
    return []


def _skip_reason(context: dg.SensorEvaluationContext, decision: Decision) -> str | None:
    """Log the warnings, and return the skip reason, which repeats it, if there is one."""
    for warning in decision.warnings:
        context.log.warning(warning)
    return "; ".join([decision.skip_reason, *decision.warnings]) if decision.skip_reason else None
