"""The alert sensor: failed runs, asset checks and ticks, and their recovery; and what else rules report.

It goes through this code location's runs that ended since its last look, in Dagster's own event log. When
to alert and in which words is decided in `orchestration/maintenance/alerting.py`. An alert is queued with
the other notifications; without a database it is sent at once.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import dagster as dg

from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.notifications.active_rules import ActiveRules, load_active_rules
from ingest_pipeline.notifications.failures import Failure, report_failures
from ingest_pipeline.notifications.notifier import Notifier
from ingest_pipeline.orchestration.completeness.seals import SEAL_JOB
from ingest_pipeline.orchestration.live.sensors import error_line
from ingest_pipeline.orchestration.maintenance.alerting import Alert, AlertState, Outcome
from ingest_pipeline.orchestration.maintenance.tick_outcomes import ALERT_SENSOR, ended_ticks
from ingest_pipeline.orchestration.partitions import RANGE_START, SESSION
from ingest_pipeline.orchestration.runtime.executors import code_location_of, code_location_of_sensor
from ingest_pipeline.orchestration.singleton_jobs import WINDOWS_JOB
from ingest_pipeline.orchestration.tags import SESSION_TAG, TRIGGER_TAG, WILL_RETRY_TAG
from ingest_pipeline.redaction import redact, redacted
from ingest_pipeline.settings import Settings

_MOST_RUNS = 50
_MOST_PAGES = 20
_EVERY_SECONDS = 30
_ENDS: tuple[Literal[dg.DagsterEventType.RUN_SUCCESS], Literal[dg.DagsterEventType.RUN_FAILURE]] = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
)
# Started from the catalogue, a run has no job of this project.
_BY_HAND = "__ASSET_JOB"
_BY_HAND_NAME = "materialisation"


def build_alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor."""
    sensor = dg.sensor(
        name=ALERT_SENSOR,
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Sends what the rules under `notifications` in `data/settings.yaml` report. Of failures: when "
            "runs, asset checks or ticks fail, one message for each session, and when they work again; "
            f"the polls of a live session after {settings.alert_after_failures} failures in a row, anything "
            "else at once. It starts no runs."
        ),
    )
    return sensor(alert_sensor)


def alert_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Evaluate one tick."""
    active = load_active_rules(tick_services.settings)
    if not active.rules:
        return dg.SensorResult(skip_reason="no notification has a rule", cursor=context.cursor)
    reason, cursor = "", context.cursor
    if active.of_failures:
        reason, state = _report(context, tick_services, active)
        cursor = state.to_text()
    parts = []
    try:
        if sent := Notifier(tick_services).round():
            parts.append(f"notifications sent: {sent}")
    except TransientError as error:
        # The cursor must go on: what failed was reported without the database.
        parts.append(str(error))
    return dg.SensorResult(skip_reason="; ".join([*parts, reason or "nothing happened"]), cursor=cursor)


def _report(
    context: dg.SensorEvaluationContext, services: Services, active: ActiveRules
) -> tuple[str, AlertState]:
    """Queue the alerts that are due, and return what is to be shown and the state."""
    now = datetime.now(UTC)
    before = AlertState.from_text(context.cursor)
    if before.seen is None:
        # Failures from before alerts were set up are not reported.
        return "alerts start now", replace(before, seen=_newest(context.instance), ticks_seen=now.timestamp())
    ended, seen = _ended_runs(context, before.seen)
    outcomes = [_outcome(context.instance, run, at) for run, at in ended if not _goes_on(run)]
    ticks, ticks_seen = ended_ticks(context, before.ticks_seen or now.timestamp())
    threshold = services.settings.alert_after_failures
    state, alerts = before.after([*outcomes, *ticks], threshold=threshold, now=now)
    report_failures(services, active, [_as_failure(alert) for alert in alerts], now)
    return _shown(state), replace(state, seen=seen, ticks_seen=ticks_seen)


def _as_failure(alert: Alert) -> Failure:
    return Failure(alert.subject, alert.session_id, redacted(alert.values))


def _newest(instance: dg.DagsterInstance) -> int:
    """Return the position of the newest end of a run."""
    newest = 0
    for kind in _ENDS:
        for record in instance.fetch_run_status_changes(kind, limit=1).records:
            newest = max(newest, record.storage_id)
    return newest


def _ended_runs(
    context: dg.SensorEvaluationContext, seen: int
) -> tuple[list[tuple[dg.DagsterRun, datetime]], int]:
    """Return the next ended runs of this project, each with its end, and the position of the last look.

    Other teams' runs in the same instance are passed over, page by page.
    """
    ours, ended = code_location_of_sensor(context), []
    for _ in range(_MOST_PAGES):
        page, seen = _page_of_ends(context.instance, seen)
        if not page:
            break
        runs = {run.run_id: run for run in context.instance.get_runs(dg.RunsFilter(run_ids=list(page)))}
        ended += [
            (runs[run_id], at)
            for run_id, at in page.items()
            if run_id in runs and ours in {None, code_location_of(runs[run_id])}
        ]
        if ended or len(page) < _MOST_RUNS:
            break
    return ended, seen


def _page_of_ends(instance: dg.DagsterInstance, seen: int) -> tuple[dict[str, datetime], int]:
    """Return the next runs of the instance that ended after a position, with when, and the last one's."""
    found = [
        record
        for kind in _ENDS
        for record in instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=seen),
            limit=_MOST_RUNS,
            ascending=True,
        ).records
    ]
    page = sorted(found, key=lambda each: each.storage_id)[:_MOST_RUNS]
    ends = {each.run_id: datetime.fromtimestamp(each.timestamp, UTC) for each in page}
    return ends, page[-1].storage_id if page else seen


def _goes_on(run: dg.DagsterRun) -> bool:
    """Return whether Dagster itself tries a failed run again."""
    return run.tags.get(WILL_RETRY_TAG) == "true"


def _outcome(instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime) -> Outcome:
    problems = _failed_checks(instance, run)
    if run.status == dg.DagsterRunStatus.FAILURE:
        problems.insert(0, error_line(instance, run))
    return Outcome(
        job=_BY_HAND_NAME if run.job_name == _BY_HAND else run.job_name,
        session_id=_session(run),
        run_id=run.run_id,
        ended_at=at,
        problem=redact("; ".join(problems)) if problems else None,
        is_repeated=run.tags.get(TRIGGER_TAG) == "live",
        # Who seals a session has read all of it.
        heals=(WINDOWS_JOB, _BY_HAND_NAME) if run.job_name == SEAL_JOB else (),
    )


def _failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Return what each check of a run says that did not pass; one that only warns is no failure."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = []
    for entry in entries:
        if entry.dagster_event is None:
            continue
        result = entry.dagster_event.asset_check_evaluation_data
        if not result.passed and result.severity is dg.AssetCheckSeverity.ERROR:
            words = f": {result.description}" if result.description else ""
            found.append(f"check {result.check_name} of {result.asset_key.to_user_string()} failed{words}")
    return found


def _session(run: dg.DagsterRun) -> str | None:
    """Return the session that a run is about, the first when there are several."""
    tags = run.tags
    stated = (
        tags.get(SESSION_TAG)
        or tags.get(f"dagster/partition/{SESSION}")
        or tags.get("dagster/partition")
        or tags.get(RANGE_START)
    )
    return stated.split("|")[0] if stated else None


def _shown(state: AlertState) -> str:
    alerted = sum(streak.is_alerted for streak in state.streaks.values())
    return f"still failing: {len(state.streaks)}, {alerted} of them alerted" if state.streaks else ""
