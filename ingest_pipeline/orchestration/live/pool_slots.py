"""Slots of the writer's pool that a step waits for though they are free.

Dagster looks for a free place and puts the step into the queue in two transactions. When the last place is
freed in between, whoever frees it finds nobody waiting, and the step waits until another step of the pool
ends: for ever, if there is none.
"""

import dagster as dg

from ingest_pipeline.orchestration.messages.assets import WRITER_POOL


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
