"""This code location's runs in an instance, by the origin that Dagster records.

An instance may hold the code locations of other teams, and asks for a run's status or history give
theirs too.
"""

import dagster as dg

# `<repository>@<code location>`; Dagster's REPOSITORY_LABEL_TAG (dagster 1.13, core/storage/tags.py).
CODE_LOCATION_TAG = ".dagster/repository"


def code_location_of(run: dg.DagsterRun) -> str | None:
    """Return the code location that launched a run; None of one that was executed without any.

    The mark itself is in the tables of runs only, to look for them.
    """
    origin = run.remote_job_origin
    return origin.repository_origin.get_label() if origin else None


def code_location_of_sensor(context: dg.SensorEvaluationContext) -> str | None:
    """Return the code location of a sensor as its runs are marked; None outside of a daemon."""
    origin = context.code_location_origin
    return f"{context.repository_name}@{origin.location_name}" if origin else None
