"""Where steps are executed: the choice, and what both ends of a Celery deployment agree on."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task
from dagster_shared.serdes import serialize_value

from ingest_pipeline.errors import ConfigurationError, ExitCode
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.runtime.celery_worker import build_app
from ingest_pipeline.orchestration.runtime.executors import build_executor, celery_options
from ingest_pipeline.settings import Settings

REDIS = "redis://:hush-hush@broker:6379/0"
RABBITMQ = "amqp://ingest:hush-hush@broker:5672//"


def settings(**changes: Any) -> Settings:
    """Return the settings of a Celery deployment."""
    values = {
        "executor": "celery",
        "celery_broker_url": REDIS,
        "database_url": "postgresql://postgres/ingest",
        "landing_url": "s3://bucket/landing",
        **changes,
    }
    return Settings(_env_file=None, **values)


def test_without_a_setting_steps_stay_in_the_runs_process() -> None:
    """A tick pays for no process but its own."""
    assert build_executor(Settings(_env_file=None)) is dg.in_process_executor


@pytest.mark.parametrize("name", ["ingest_job", "__ASSET_JOB"])
def test_with_celery_all_runs_hand_their_steps_to_workers(name: str) -> None:
    """Those of the sensor and those started from the catalogue."""
    assert build_definitions(settings()).resolve_job_def(name).executor_def.name == "celery"


def test_pruning_stays_in_its_own_process() -> None:
    """It works on Dagster's own storage only."""
    job = build_definitions(settings()).resolve_job_def("prune_dagster_history")
    assert job.executor_def is dg.in_process_executor


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"celery_broker_url": None}, "INGEST_CELERY_BROKER_URL"),
        ({"database_url": None}, "INGEST_DATABASE_URL"),
        ({"landing_url": None}, "INGEST_LANDING_URL"),
    ],
)
def test_what_machines_must_share_is_asked_for(missing: dict[str, None], named: str) -> None:
    """Before a step looks for files on another machine's disk."""
    with pytest.raises(ConfigurationError, match=named):
        build_executor(settings(**missing))


@pytest.mark.parametrize("url", [REDIS, RABBITMQ])
def test_the_brokers_password_is_not_in_what_dagster_stores(url: str) -> None:
    """A job's snapshot is kept in its database and shown in its interface."""
    job = build_definitions(settings(celery_broker_url=url)).resolve_job_def("ingest_job")
    assert "hush-hush" not in serialize_value(job.get_job_snapshot())


# Celery registers a task with every application of a process, and here there are two.
@pytest.mark.filterwarnings("ignore:Task name 'execute_plan' is already registered")
@pytest.mark.parametrize(
    ("url", "backend", "transport"),
    [
        (
            REDIS,
            REDIS,
            {"visibility_timeout": 600, "unacked_restore_interval": 10, "unacked_restore_throttle": 1},
        ),
        (RABBITMQ, "rpc://", {}),
    ],
)
def test_runs_and_workers_have_the_same_options(url: str, backend: str, transport: dict[str, int]) -> None:
    """A worker acknowledges a step when it is done, and takes one at a time."""
    app = build_app(settings(celery_broker_url=url, celery_redelivery_seconds=600))
    options = celery_options(settings(celery_broker_url=url, celery_redelivery_seconds=600))
    assert (options["broker"], options["backend"]) == (url, backend)
    assert app.conf.broker_transport_options == transport
    assert app.tasks["execute_plan"].acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1


def test_a_run_that_hands_out_several_steps_warns_of_nothing() -> None:
    """Dagster's executor registers the task for each, of which Celery would warn."""
    chosen = settings()
    build_executor(chosen)
    app = make_app(celery_options(chosen))
    for _ in range(2):
        assert create_task(app).si


def test_a_worker_without_a_broker_is_reported_and_ends(tmp_path: Path) -> None:
    """With the exit code of a wrong configuration, and no traceback."""
    ended = subprocess.run(
        [sys.executable, "-m", "ingest_pipeline.orchestration.runtime.celery_worker"],
        env={"PYTHONPATH": str(PROJECT_ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == ExitCode.CONFIGURATION
    assert ended.stderr.startswith("cannot start: INGEST_CELERY_BROKER_URL is not set")
