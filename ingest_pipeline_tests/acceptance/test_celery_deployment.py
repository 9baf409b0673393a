"""The deployment under `deploy/celery`, for real: broker, bucket, database, daemon and two workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from ingest_pipeline.demo.session import DEMO_TOKEN
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, range_tags
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.deletions import list_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.acceptance.stacks.broker import running_broker
from ingest_pipeline_tests.acceptance.stacks.celery_stack import GRID, Stack, build_world, running_stack
from ingest_pipeline_tests.contract.object_store import running_object_store

# When and by which journey a row was read and written; everything else must agree.
STEPS = {"raw_export", "normalized_messages", "messages", "message_checks"}
OF_THE_READING = {"first_observed_at", "observed_at", "correlation_id", "created_at", "updated_at"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Stack]:
    """Yield a running deployment."""
    pytest.importorskip("dagster_celery")
    folder = tmp_path_factory.mktemp("celery")
    with (
        running_broker(folder) as broker_url,
        running_object_store() as bucket,
        running_stack(
            folder, postgres_url, broker_url, f"{bucket.url}/landing", bucket.environment
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def local(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Services:
    """Return services of the embedded default that read the same world."""
    folder = tmp_path_factory.mktemp("local")
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        executor="in_process",
        database_url=None,
        landing_url=None,
        discord_oauth_token=SecretStr(DEMO_TOKEN),
        exporter_path=build_world(folder).exporter,
        **GRID,
    )
    services = build_services(settings)
    with services.database.write() as connection:
        save_sessions(connection, stack.sessions, now=stack.sessions[0].end_time)
    return services


def rows(services: Services, session: Session) -> list[dict[str, Any]]:
    """Return a session's rows without what is of their reading."""
    with services.database.read() as connection:
        found = list_messages(connection, session.session_id)
    return [{key: value for key, value in row.items() if key not in OF_THE_READING} for row in found]


def frame(services: Services, session: Session) -> Any:
    """Return a session's normalized rows without what is of their reading."""
    stored = services.normalized.frame(session.session_id, services.grid.keys)
    return stored.drop(columns=[name for name in stored.columns if name in OF_THE_READING])


def run_here(local: Services, session: Session) -> None:
    """Run the same job in this process, on DuckDB and files."""
    with dg.DagsterInstance.ephemeral(tempdir=str(local.settings.data_dir)) as instance:
        instance.add_dynamic_partitions(SESSION_PARTITIONS, [session.session_id])
        job = build_definitions(local.settings).resolve_job_def("ingest_job")
        tags = range_tags(session.session_id, local.grid.keys, local.grid)
        assert job.execute_in_process(instance=instance, tags=tags).success


def assert_same_as_local(stack: Stack, local: Services, session: Session) -> None:
    """Hold the deployment's table and files against those of a run on this machine alone."""
    deployed = build_services(stack.settings)
    run_here(local, session)
    expected, found = rows(local, session), rows(deployed, session)
    assert len(expected) > 100
    assert [row["discord_id"] for row in found] == [row["discord_id"] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == other
    assert frame(deployed, session).equals(frame(local, session))
    deployed.database.close()


def test_a_backfill_over_workers_gives_the_table_of_a_local_run(stack: Stack, local: Services) -> None:
    """Field by field, in PostgreSQL and in the bucket; the steps were done by workers."""
    practice = stack.sessions[0]
    stack.start_backfill(practice)
    run = stack.finished_run(practice)
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert set(stack.workers_of(run)) >= STEPS
    assert_same_as_local(stack, local, practice)
    assert not list(stack.settings.data_dir.rglob("*.json"))


def test_a_killed_workers_step_is_done_by_another(stack: Stack, local: Services) -> None:
    """Killed with its exporter in the middle of an export; the same run goes on and completes."""
    race = stack.sessions[1]
    for worker in stack.workers:
        worker.fault("hang")
    stack.start_backfill(race)
    killed = stack.exporting_worker()
    (survivor,) = [worker for worker in stack.workers if worker is not killed]
    survivor.fault("")
    killed.kill()
    run = stack.finished_run(race)
    assert run.status == dg.DagsterRunStatus.SUCCESS
    first, *others = stack.workers_of(run)["raw_export"]
    assert (first, set(others)) == (killed.name, {survivor.name})
    assert_same_as_local(stack, local, race)
