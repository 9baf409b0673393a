"""Killed with SIGKILL between any two steps, a poll or backfill leaves nothing that its repetition does not mend.

The time of the processes under test stands still, so the table after a kill and a restart can be held
against the one without the kill, field by field, times included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from ingest_pipeline_tests.acceptance.boundaries import Boundary
from ingest_pipeline_tests.acceptance.ground import Ground
from ingest_pipeline_tests.acceptance.sweeps import (
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

CAPTURE, STORAGE = "ingest_pipeline.capture", "ingest_pipeline.storage"
ASSETS = "ingest_pipeline.orchestration.assets"
STEPS = {
    "the exporter runs": Boundary(event="call", place="subprocess:Popen.communicate"),
    "the export is complete": Boundary(event="call", place=f"{CAPTURE}.landing:LandingStore.land"),
    "the first document is written and not in place": Boundary(
        event="c_call", place="pathlib:Path.replace > replace"
    ),
    "the first document is in place": Boundary(
        event="c_return", place="pathlib:Path.replace > replace"
    ),
    "the landing is written": Boundary(event="return", place=f"{CAPTURE}.landing:LandingStore.land"),
    "the landing is not yet told to Dagster": Boundary(event="call", place=f"{ASSETS}:_record"),
    "the first normalised file is in place": Boundary(
        event="return", place="ingest_pipeline.normalised_store:NormalisedStore.save"
    ),
    "the normalised files are written": Boundary(event="return", place=f"{ASSETS}:normalized_messages"),
    "the merge begins": Boundary(event="call", place="ingest_pipeline.ingest:ingest_landed"),
    "the rows are staged": Boundary(
        event="call", place="ENGINE.execute", arguments={"query": "fold_staged"}
    ),
    "the rows are merged, not the revisions": Boundary(
        event="call", place="ENGINE.execute", arguments={"query": "keep_revisions"}
    ),
    "the rows are merged and not proven": Boundary(
        event="call", place=f"{STORAGE}.ledger:record_proof"
    ),
    "all is written and not committed": Boundary(
        event="return", place="ingest_pipeline.ingest:ingest_landed.<locals>.work"
    ),
    "all is committed and not told to Dagster": Boundary(
        event="return", place="ingest_pipeline.imports:merge_documents"
    ),
    "all is told to Dagster": Boundary(event="return", place=f"{ASSETS}:messages"),
}


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


def steps(engine: str) -> list[tuple[str, Boundary]]:
    """Return every step; on PostgreSQL those that touch the database."""
    module = {"duckdb": "duckdb_connection:DuckDB", "postgres": "postgres_connection:Postgres"}[engine]
    named = [
        (name, replace(step, place=step.place.replace("ENGINE", f"{STORAGE}.{module}Connection")))
        for name, step in STEPS.items()
    ]
    first = list(STEPS).index("the merge begins")
    return named if engine == "duckdb" else named[first:]


def test_a_tick_killed_at_any_step_is_mended_by_the_next(
    template: Ground, trials: Callable[[Work], Trials]
) -> None:
    """From the running exporter to the last event, through sensor, run and assets."""
    assert_all_mended(trials(TICKING).run(steps(template.engine)))
