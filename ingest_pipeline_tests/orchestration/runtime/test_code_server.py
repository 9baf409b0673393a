"""What a new code server does about the runs its predecessor left, and Dagster's home for real."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingest_pipeline.orchestration.runtime.code_server import LAUNCHED_THROUGH, settle_abandoned_runs
from ingest_pipeline.stack.dagster_home import POSTGRES_VARIABLE, prepare_dagster_home
from ingest_pipeline_tests.contract.postgres_server import fresh_schema

SOCKET = Path("/run/ingest/code.sock")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Yield an instance of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def a_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, socket: Path | None = SOCKET
) -> dg.DagsterRun:
    """Record a run in a state, launched through a socket or in another way."""
    tags = (
        {} if socket is None else {LAUNCHED_THROUGH: json.dumps({"host": "localhost", "socket": str(socket)})}
    )

    @dg.job
    def nothing() -> None:
        pass

    return instance.create_run_for_job(nothing, status=status, tags=tags)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED),
    ],
)
def test_runs_whose_process_is_gone_are_ended(
    instance: dg.DagsterInstance, before: dg.DagsterRunStatus, after: dg.DagsterRunStatus
) -> None:
    """A run that only seems to go on is ended, so that nothing waits for it."""
    run = a_run(instance, before)
    assert settle_abandoned_runs(instance, SOCKET) == [run.run_id]
    assert _status(instance, run) == after
    assert settle_abandoned_runs(instance, SOCKET) == []


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
)
def test_waiting_and_finished_runs_stay_as_they_are(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    """A waiting run is launched by the new server; a finished one is history."""
    run = a_run(instance, status)
    assert settle_abandoned_runs(instance, SOCKET) == []
    assert _status(instance, run) == status


@pytest.mark.parametrize("socket", [None, Path("/run/other/code.sock")])
def test_runs_of_other_servers_stay_as_they_are(instance: dg.DagsterInstance, socket: Path | None) -> None:
    """A run launched through another server, or by a command, may well be alive."""
    run = a_run(instance, dg.DagsterRunStatus.STARTED, socket)
    assert settle_abandoned_runs(instance, SOCKET) == []
    assert _status(instance, run) == dg.DagsterRunStatus.STARTED


def test_an_abandoned_runs_place_in_a_pool_is_free_again(tmp_path: Path) -> None:
    """The next live tick does not wait for a dead writer."""
    home = prepare_dagster_home(tmp_path, {})
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("ingest_database_writer")
        run = a_run(instance, dg.DagsterRunStatus.STARTED)
        assert storage.claim_concurrency_slot("ingest_database_writer", run.run_id, "messages").is_claimed
        assert not storage.claim_concurrency_slot("ingest_database_writer", "next", "messages").is_claimed
        settle_abandoned_runs(instance, SOCKET)
        assert storage.claim_concurrency_slot("ingest_database_writer", "next", "messages").is_claimed


def test_the_embedded_home_needs_nothing(tmp_path: Path) -> None:
    """Dagster accepts the configuration, keeps its state in the folder and asks for every daemon."""
    home = prepare_dagster_home(tmp_path, {})
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        assert type(instance.run_storage).__name__ == "SqliteRunStorage"
        run = a_run(instance, dg.DagsterRunStatus.NOT_STARTED)
        assert instance.get_run_by_id(run.run_id) is not None
        assert not instance.telemetry_enabled
        daemons = set(instance.get_required_daemon_types())
    assert {"SENSOR", "QUEUED_RUN_COORDINATOR", "MONITORING", "BACKFILL", "SCHEDULER"} <= daemons
    assert (tmp_path / "history" / "runs.db").exists()


def test_with_postgresql_named_all_of_dagsters_state_lives_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    """One variable moves runs, events and schedules; the folder holds no database then."""
    with fresh_schema(postgres_url) as url:
        monkeypatch.setenv(POSTGRES_VARIABLE, url)
        home = prepare_dagster_home(tmp_path / "home", os.environ)
        with dg.DagsterInstance.from_config(str(home.folder)) as instance:
            run = a_run(instance, dg.DagsterRunStatus.STARTED)
            assert settle_abandoned_runs(instance, SOCKET) == [run.run_id]
            storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
            assert all(type(storage).__name__.startswith("Postgres") for storage in storages)
    assert not list((tmp_path / "home").rglob("*.db"))


def _status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status
