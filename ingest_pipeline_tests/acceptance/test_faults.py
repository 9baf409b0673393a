"""Killed with SIGKILL between any two steps, a poll or backfill leaves nothing that the next does not fix.

The time of the processes under test stands still, so the table after a kill and a restart can be held
against the one without the kill, field by field, times included.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import replace
from subprocess import Popen

import pytest

from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.ingest import _Ingestion, ingest_documents
from ingest_pipeline.landing.store import LandingStore
from ingest_pipeline.orchestration.messages import assets
from ingest_pipeline.orchestration.partitions import record_windows
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.postgres.connection import PostgresConnection
from ingest_pipeline.storage.messages.coverage import record_proof
from ingest_pipeline_tests.acceptance.conftest import ENGINES
from ingest_pipeline_tests.acceptance.sweeps.actions import ingest
from ingest_pipeline_tests.acceptance.sweeps.boundaries import Boundary, Passed, entering, leaving, place_of
from ingest_pipeline_tests.acceptance.sweeps.children import Ended
from ingest_pipeline_tests.acceptance.sweeps.sandbox import POLL, Ground
from ingest_pipeline_tests.acceptance.sweeps.sweeps import (
    AT_ONCE,
    BACKFILLING,
    MATERIALISING,
    POLLING,
    TICKING,
    Trial,
    Trials,
    Work,
    evenly,
)
from ingest_pipeline_tests.thoroughness import examples

RENAME = "pathlib:Path.replace > replace"
WRITTEN = leaving(_Ingestion._finish)
# In the order in which a run comes to them.
STEPS = {
    "the exporter runs": entering(Popen.communicate),
    "the exporter of a run runs": entering(Popen.communicate),
    "the export is complete": entering(LandingStore.land),
    "the first document is written and not in place": Boundary(event="c_call", place=RENAME),
    "the first document is in place": Boundary(event="c_return", place=RENAME),
    "the landing is written": leaving(LandingStore.land),
    "the landing is not yet reported to Dagster": entering(record_windows),
    "the normalized files are written": leaving(assets.normalized_messages),
    "the merge begins": entering(ingest_documents),
    "the rows are staged": entering(DuckDBConnection.execute, query="resolve_versions"),
    "the rows are merged and the revisions are not": entering(
        DuckDBConnection.execute, query="archive_superseded"
    ),
    "the rows are merged and not proven": entering(record_proof),
    "all is written and not committed": WRITTEN,
    "all is committed and not reported to Dagster": leaving(merge_documents),
    "all is reported to Dagster": leaving(assets.messages),
}
# Of each work, evenly spread; `kill_sweep.py` tries as many as one likes.
KILLS = examples(3)
COMMITTED = "all is committed and not reported to Dagster"
# Whatever the engine, and so tried on one.
BEFORE_THE_DATABASE = (
    "the exporter runs",
    "the export is complete",
    "the first document is written and not in place",
    "the first document is in place",
    "the landing is written",
)
IN_RUNS = (
    "the exporter of a run runs",
    "the landing is not yet reported to Dagster",
    "the normalized files are written",
    COMMITTED,
    "all is reported to Dagster",
)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def trials(template: Ground, empty_ground: Callable[..., Ground]) -> Callable[[Work], Trials]:
    """Make trials of a work."""
    copies = [empty_ground(template.engine) for _ in range(AT_ONCE)]
    return lambda work: Trials(work, template, copies)


def assert_all_mended(trials: Iterable[Trial]) -> None:
    """No transaction was torn, and every restart gave the table of a run that nobody killed."""
    made = list(trials)
    assert {trial.name: trial.wrong for trial in made if trial.wrong} == {}
    assert {trial.name: trial.place for trial in made if trial.found == "between"} == {}


def steps(engine: str, *names: str) -> list[tuple[str, Boundary]]:
    """Return the steps of some names."""
    ours, theirs = place_of(DuckDBConnection.execute), place_of(PostgresConnection.execute)
    named = {name: STEPS[name] for name in names}
    if engine == "duckdb":
        return list(named.items())
    return [(name, replace(step, place=step.place.replace(ours, theirs))) for name, step in named.items()]


def test_a_backfill_killed_at_any_step_is_repaired_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """From the running exporter to the commit, among the four documents of the session too."""
    elsewhere = (*IN_RUNS, *(BEFORE_THE_DATABASE if template.engine == "postgres" else ()))
    made = steps(template.engine, *(name for name in STEPS if name not in elsewhere))
    if template.engine == "duckdb":
        made += [
            (f"{event} of the third document's rename", Boundary(event=event, place=RENAME, nth=3))
            for event in ("c_call", "c_return")
        ]
    assert_all_mended(trials(BACKFILLING).run(made))


def test_a_tick_killed_at_any_step_is_repaired_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """The sensor, its run and its assets: from the running exporter to the last event."""
    names = IN_RUNS if template.engine == "duckdb" else (COMMITTED,)
    assert_all_mended(trials(TICKING).run(steps(template.engine, *names)))


def test_a_run_over_a_whole_session_killed_at_its_end_is_repaired_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """The backfill of Dagster's interface."""
    assert_all_mended(trials(MATERIALISING).run(steps(template.engine, COMMITTED)))


def test_a_poll_killed_anywhere_is_repaired_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """At boundaries spread evenly over all places that it passes, whatever they are."""
    tried = trials(POLLING)
    assert_all_mended(tried.run(evenly(tried.passed.turns, KILLS)))


def test_a_backfill_command_killed_anywhere_is_repaired_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """The command that does all in one process without Dagster."""
    tried = trials(BACKFILLING)
    assert_all_mended(tried.run(evenly(tried.passed.turns, KILLS)))


def test_after_a_kill_a_later_poll_finds_everything(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """Time goes on between the kill and the next poll: nothing of the channel is missing by then."""
    tried = trials(POLLING)
    assert_all_mended(tried.one_and_time_goes_on(*each) for each in evenly(tried.passed.turns, examples(1)))


def test_a_poll_killed_while_it_commits_is_repaired_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """At any moment from the last statement on: the transaction is there whole, or not at all."""
    tried = trials(POLLING)
    # The server finishes or undoes what it was sent; a DuckDB file is written by the process that dies.
    delays = [each / 1000 for each in ((0, 2, 5, 11) if template.engine == "duckdb" else (0, 5))]
    assert_all_mended(tried.one_in_commit(f"{delay} s", WRITTEN, delay) for delay in delays)


SESSIONS = """sessions:
  - {session_id: monza, start_time: 2026-03-01T14:00:00Z, end_time: 2026-03-01T16:00:00Z}
"""
LIST = (ingest, "sessions", "list", "--json")


def begun_from_nothing(ground: Ground, boundary: Boundary | None) -> Ended:
    """Run a first command on a deployment that holds nothing but the file of its sessions."""
    ground.wipe()
    ground.data_dir.mkdir()
    (ground.data_dir / "sessions.yaml").write_text(SESSIONS)
    return ground.run(*LIST, now=POLL, boundary=boundary)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_very_first_start_killed_anywhere_is_repaired_by_the_next(
    engine: str, empty_ground: Callable[..., Ground]
) -> None:
    """While the database is made, migrated and filled with the sessions of the file."""
    ground = empty_ground(engine)
    counted = begun_from_nothing(ground, Boundary())
    assert counted.code == 0, counted
    expected = counted.stdout, ground.tables()
    for name, boundary in evenly(Passed.reported(counted.boundary).turns, KILLS):
        killed = begun_from_nothing(ground, boundary)
        assert killed.code == -signal.SIGKILL, (name, killed)
        again = ground.run(*LIST, now=POLL)
        assert again.code == 0, (name, killed.boundary, again)
        assert (again.stdout, ground.tables()) == expected, (name, killed.boundary)
