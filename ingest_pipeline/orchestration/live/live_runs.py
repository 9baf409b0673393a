"""Runs that the live sensor requests, and the outcome of earlier ones."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest_pipeline.domain.window import window_key
from ingest_pipeline.ingestion.polling import PollPlan
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.live.tick import RunOutcome
from ingest_pipeline.orchestration.partitions import from_tag, partition_key, range_tags
from ingest_pipeline.orchestration.tags import (
    ALSO_LIVE_TAG,
    MAX_RUNTIME_TAG,
    PRIORITY_TAG,
    SESSION_TAG,
    TRIGGER_TAG,
)

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


def live_run_requests(plan: PollPlan, services: Services) -> list[dg.RunRequest]:
    """Return the one run that is of a plan's windows and those between them, or none for an empty plan.

    In the last window of a long session it begins where the plan does.

    It has no run key: Dagster never repeats a run key, not even after a failure. It comes before
    backfills in the queue, and Dagster's run monitoring ends it when it takes longer than all
    attempts of its exporter runs may.
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
    if len(windows) == 1:
        return [dg.RunRequest(partition_key=partition_key(session.session_id, windows[0]), tags=tags)]
    return [dg.RunRequest(tags={**tags, **range_tags(session.session_id, windows, services.grid)})]


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

    A cancelled run says nothing about its session and is left out.
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
