"""Jobs of which one run at a time is enough: how their runs are tagged, and whether one is under way.

`dagster.yaml` limits runs with the same value of the tag to one, so that a second waits in the queue
whoever started it; sensors and schedules do not ask for a second in the first place.
"""

import dagster as dg

from ingest_pipeline.orchestration.live_runs import PRIORITY_TAG

SINGLE_TAG = "ingest/single"

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def single_tags(job_name: str) -> dict[str, str]:
    """Return the tags of a job that runs alone, and after whatever is live."""
    return {SINGLE_TAG: job_name, PRIORITY_TAG: "-5"}


def run_under_way(instance: dg.DagsterInstance, job_name: str) -> str | None:
    """Return why another run of a job is not asked for: the one that waits or works; None without one."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED), limit=1)
    return f"run {runs[0].run_id[:8]} of {job_name} is not over yet" if runs else None
