"""Dagster's SQLite storage with engines and connections that are kept: nothing is lost, little is opened."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import dagster as dg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from dagster._core.storage import sql

from ingest_pipeline.orchestration.runtime import sqlite_storage
from ingest_pipeline.orchestration.runtime.sqlite_storage import reuse_engines
from ingest_pipeline_tests.orchestration.deployments import instance_on_disk


@pytest.fixture
def _reusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do as one of the stack does, until the end of the test."""
    for module in sqlite_storage._STORAGES:
        monkeypatch.setattr(module, "create_engine", vars(module)["create_engine"])
    for asking in (sql, command):
        monkeypatch.setattr(asking, "ScriptDirectory", ScriptDirectory)
    reuse_engines(of_runs=True)


@dg.asset
def thing() -> None:
    """Be materialised."""


@pytest.mark.usefixtures("_reusing")
def test_runs_open_few_connections_and_what_they_store_is_there_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's own way makes hundreds of them for a run, and reads its migrations with each instance."""
    opened: list[str] = []
    connect = sqlite3.connect

    def counted(path: str, **options: object) -> sqlite3.Connection:
        opened.append(path)
        return connect(path, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    with instance_on_disk(tmp_path) as instance:
        first = dg.materialize([thing], instance=instance)
        assert len(opened) < 40
        read = sqlite_storage._scripts_in.cache_info().misses
    with instance_on_disk(tmp_path) as again:
        assert again.get_run_by_id(first.run_id) is not None
        assert dg.materialize([thing], instance=again).success
        records = again.fetch_materializations(dg.AssetKey("thing"), limit=10).records
    assert len(records) == 2
    assert sqlite_storage._scripts_in.cache_info().misses == read


@pytest.mark.usefixtures("_reusing")
def test_a_runs_file_has_no_log_when_its_process_has_ended(tmp_path: Path) -> None:
    """SQLite's log would stay at ten times the size of the file, for each run."""
    with instance_on_disk(tmp_path):
        pass
    run = multiprocessing.get_context("fork").Process(target=_materialize, args=(tmp_path,))
    run.start()
    run.join()
    assert run.exitcode == 0
    runs = [path.name for path in tmp_path.rglob("history/runs/*") if not path.name.startswith("index")]
    assert [Path(name).suffix for name in runs] == [".db"]


def _materialize(folder: Path) -> None:
    # As with a run of the stack, the process ends with its instance open.
    dg.materialize([thing], instance=instance_on_disk(folder).__enter__())
