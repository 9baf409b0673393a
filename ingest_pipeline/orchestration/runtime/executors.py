"""Executors of runs, and the name of the code location.

What both ends of a Celery deployment must agree on is here; `celery_worker.py` is the other end.
See https://docs.dagster.io/deployment/execution/celery

An instance may hold the code locations of other teams, and asks for a run's status or history give
theirs too.
"""

import warnings
from typing import Any

import dagster as dg

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings

# A step that is killed with its worker is lost unless acknowledged only when done. A child process
# that is killed alone, for example by the kernel for its memory, counts as its worker.
# https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-acks-late
_LOSE_NOTHING = {"task_acks_late": True, "task_reject_on_worker_lost": True}
# A worker takes what it can work on now and leaves the rest to others.
_TAKE_ONE = {"worker_prefetch_multiplier": 1}
# What a step leaves behind in a process, connections above all, ends with the process.
_RENEW_PROCESSES = {"worker_max_tasks_per_child": 50}
# `<repository>@<code location>`; Dagster's REPOSITORY_LABEL_TAG (dagster 1.13, core/storage/tags.py).
CODE_LOCATION_TAG = ".dagster/repository"


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """Return the executor of all jobs of a deployment.

    Raises:
        ConfigurationError: Celery is asked for, but steps on different machines would not find what
            earlier steps wrote, or `dagster-celery` is not installed.
    """
    if settings.executor == "in_process":
        # All steps in one process: a tick every 30 seconds pays for each start of Python, and with a
        # process for each step the same tick takes three times as long.
        return dg.in_process_executor
    options = celery_options(settings)
    _require_common_stores(settings)
    try:
        from dagster_celery import celery_executor
    except ImportError:
        raise ConfigurationError(
            "INGEST_EXECUTOR=celery needs the package dagster-celery: "
            "pip install --require-hashes --requirement requirements-celery.txt"
        ) from None
    # A run registers the task again for each step that it hands out (dagster-celery 0.29); it never calls it.
    warnings.filterwarnings("ignore", "Task name 'execute_plan' is already registered")
    configured: dg.ExecutorDefinition = celery_executor.configured(options, name="celery")
    return configured


def celery_options(settings: Settings) -> dict[str, Any]:
    """Return the options of the Celery application, the same for runs and for workers.

    Raises:
        ConfigurationError: No broker is named.
    """
    if settings.celery_broker_url is None:
        raise ConfigurationError(
            "INGEST_CELERY_BROKER_URL is not set: name the broker that runs and workers share, such as "
            "redis://broker.internal:6379/0 or amqp://user:password@broker.internal:5672//"
        )
    broker = settings.celery_broker_url.get_secret_value()
    is_redis = broker.startswith(("redis://", "rediss://"))
    return {
        "broker": broker,
        "backend": broker if is_redis else "rpc://",
        "config_source": {
            **_LOSE_NOTHING,
            **_TAKE_ONE,
            **_RENEW_PROCESSES,
            "broker_connection_retry_on_startup": True,
            "worker_redirect_stdouts": False,
            "broker_transport_options": _redis_options(settings) if is_redis else {},
        },
    }


def _redis_options(settings: Settings) -> dict[str, int]:
    """Return the options by which Redis finds lost messages; RabbitMQ sees a worker's connection end."""
    return {
        "visibility_timeout": settings.celery_redelivery_seconds,
        # kombu checks every 100 seconds by default (kombu 5.7, transport/redis.py).
        "unacked_restore_interval": max(1, min(10, settings.celery_redelivery_seconds // 4)),
        "unacked_restore_throttle": 1,
    }


def _require_common_stores(settings: Settings) -> None:
    stores = {"INGEST_DATABASE_URL": settings.database_url, "INGEST_LANDING_URL": settings.landing_url}
    missing = [name for name, value in stores.items() if value is None]
    if missing:
        raise ConfigurationError(
            "INGEST_EXECUTOR=celery spreads the steps of a run over machines, and all of them must reach the "
            f"same PostgreSQL database and landing store: set {' and '.join(missing)}"
        )


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
