"""The ticks of this code location's sensors and schedules as outcomes, for alerts.

A tick that fails starts no run, so nothing else would report it
(https://github.com/dagster-io/dagster/issues/29625).
"""

from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick
from dagster_shared.error import SerializableErrorInfo

from ingest_pipeline.orchestration.maintenance.alerting import Outcome
from ingest_pipeline.orchestration.runtime.executors import code_location_of_sensor
from ingest_pipeline.redaction import redact

ALERT_SENSOR = "alert_sensor"
# Between two looks of 30 seconds a sensor ticks twice at most.
_NEWEST = 3


def ended_ticks(context: dg.SensorEvaluationContext, after: float) -> tuple[list[Outcome], float]:
    """Return how ticks ended since a time, in their order, and the end of the last one.

    A skipped tick is as good as a successful one. The sensor's own ticks are left out: it cannot report them.

    Args:
        after: In seconds since 1970.
    """
    # An instance in memory keeps no ticks.
    if not context.instance.supports_batch_tick_queries:
        return [], after
    ours = code_location_of_sensor(context)
    states = {
        state.selector_id: state
        for state in context.instance.all_instigator_state()
        if ours in {None, state.origin.repository_origin.get_label()}
        and state.instigator_name != ALERT_SENSOR
    }
    found = [
        (tick, states[selector_id])
        for selector_id, ticks in context.instance.get_batch_ticks(list(states), limit=_NEWEST).items()
        for tick in ticks
        if tick.is_completed and _ended(tick) > after
    ]
    found.sort(key=lambda each: _ended(each[0]))
    last = _ended(found[-1][0]) if found else after
    return [_outcome(tick, state) for tick, state in found], last


def _ended(tick: InstigatorTick) -> float:
    return tick.end_timestamp or tick.timestamp


def _outcome(tick: InstigatorTick, state: InstigatorState) -> Outcome:
    return Outcome(
        job=f"a tick of {state.instigator_name}",
        session_id=None,
        run_id="",
        ended_at=datetime.fromtimestamp(_ended(tick), UTC),
        problem=redact(_line(tick.error)) if tick.is_failure else None,
        is_repeated=state.instigator_type is InstigatorType.SENSOR,
    )


def _line(error: SerializableErrorInfo | None) -> str:
    while error and error.cause:
        error = error.cause
    lines = error.message.strip().splitlines() if error else []
    return lines[0] if lines else "it failed without a message"
