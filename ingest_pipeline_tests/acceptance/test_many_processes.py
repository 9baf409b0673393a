"""Many processes on one database, at once: the table is the one that they give one after another."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_pipeline.demo.simulated_session import Scene
from ingest_pipeline.errors import ExitCode
from ingest_pipeline_tests.acceptance.conftest import ENGINES
from ingest_pipeline_tests.acceptance.sweeps.actions import (
    ingest,
    materialise,
    prepare_dagster,
    read_all_the_time,
)
from ingest_pipeline_tests.acceptance.sweeps.children import Child, Ended, stop_all
from ingest_pipeline_tests.acceptance.sweeps.sandbox import (
    CHANNEL_ID,
    SCENE,
    SESSION_ID,
    START,
    Ground,
    Tables,
    merged,
    proven,
    unlike_the_channel,
    without,
)
from ingest_pipeline_tests.acceptance.sweeps.sweeps import POLLING, Trials
from ingest_pipeline_tests.acceptance.test_faults import WRITTEN

RUNS = 4
# Everything in a row but when this database came to hold it: that depends on who is first.
OF_THE_MERGE = {"created_at", "updated_at", "recorded_at"}
POLLED = ("poll-recent-messages", "--window-seconds", "86400", "--json")
IMPORTED = ("import-messages", "--session-id", SESSION_ID, "--json")
BACKFILLED = ("backfill", "--session-id", SESSION_ID, "--json")

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Part:
    """What one of the processes does, and when it reads the channel."""

    now: datetime
    concurrently: tuple[Any, ...]
    serially: tuple[Any, ...]


def minutes(number: float) -> datetime:
    """Return a time so many minutes into the session."""
    return START + timedelta(minutes=number)


# Every process reads the whole session as it is at a time of its own: all versions of all messages
# meet in the table.
PARTS = {
    **{
        f"run {number}": Part(
            minutes(7 + 4 * number),
            (materialise, SESSION_ID, "T+000m", "T+015m"),
            (ingest, *BACKFILLED),
        )
        for number in range(RUNS)
    },
    "poller": Part(minutes(19.5), (ingest, *POLLED), (ingest, *POLLED)),
    "import": Part(minutes(10), (ingest, *IMPORTED), (ingest, *IMPORTED)),
}


def viewpoint(shared: Ground, name: str) -> Ground:
    """Return a deployment on the same database with an exporter and a landing store of its own."""
    folder = shared.folder / name
    own = {"INGEST_DATA_DIR": str(shared.data_dir), "INGEST_LANDING_URL": str(folder / "landing")}
    return Ground(folder, shared.url, {**shared.settings, **own})


def named(tables: Tables, names: Mapping[str, str]) -> Tables:
    """Return what was merged with the name of who brought it, without what depends on who was first."""
    return {
        table: [{key: names.get(value, value) for key, value in row.items()} for row in rows]
        for table, rows in without(merged(tables), OF_THE_MERGE).items()
    }


def correlation(ended: Ended) -> str:
    """Return the correlation id that a process printed."""
    return str(json.loads(ended.stdout.splitlines()[-1])["correlation_id"])


@contextmanager
def running() -> Iterator[dict[str, Child]]:
    """Hold processes by name, and leave none behind."""
    children: dict[str, Child] = {}
    try:
        yield children
    finally:
        stop_all(children.values())


@pytest.fixture(scope="module")
def serial(empty_ground: Callable[..., Ground]) -> tuple[Tables, list[tuple[int, int]]]:
    """What the processes give one after another, on the embedded engine."""
    ground = empty_ground("duckdb")
    ground.add_session()
    names = {}
    for name, part in PARTS.items():
        ended = viewpoint(ground, name).run(*part.serially, now=part.now)
        assert ended.code == 0, ended
        names[correlation(ended)] = name
    tables = named(ground.tables(), names)
    assert len(tables["messages"]) > 150
    assert len(tables["message_revisions"]) > 5
    return tables, proven(ground.tables())


@pytest.mark.parametrize("engine", ENGINES)
def test_concurrent_processes_give_the_serial_result(
    engine: str, empty_ground: Callable[..., Ground], serial: tuple[Tables, list[tuple[int, int]]]
) -> None:
    """Four runs, a poller and an import beside a reader, field by field; none fails, none waits too long."""
    ground = empty_ground(engine, INGEST_DATABASE_WAIT_SECONDS="120")
    ground.add_session()
    ground.run(prepare_dagster, SESSION_ID)
    views = {name: viewpoint(ground, name) for name in PARTS}
    for name, part in PARTS.items():
        views[name].show(part.now)
    with running() as children:
        for name, part in PARTS.items():
            children[name] = views[name].start(*part.concurrently, now=part.now)
        children["reader"] = ground.start(read_all_the_time, SESSION_ID, 3.0)
        ended = {name: child.ended(240) for name, child in children.items()}
    assert {name: each for name, each in ended.items() if each.code} == {}
    seen = json.loads(ended.pop("reader").stdout)
    assert seen["wrong"] == []
    assert seen["reads"] > 0
    names = {correlation(each): name for name, each in ended.items()}
    assert (named(ground.tables(), names), proven(ground.tables())) == serial


@pytest.fixture
def live(engine: str, empty_ground: Callable[..., Ground]) -> Ground:
    """A deployment with a session that ended minutes ago, of which nothing is read yet."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=24)
    scene = Scene(start, seed=SCENE.seed, minutes=20, channel_id=CHANNEL_ID)
    ground = replace(empty_ground(engine, INGEST_DATABASE_WAIT_SECONDS="120"), scene=scene)
    ground.add_session()
    ground.show(None, fault="slow:0.002")
    ground.run(prepare_dagster, SESSION_ID)
    return ground


@pytest.mark.parametrize("engine", ENGINES)
def test_runs_that_share_a_landing_store_do_not_fail_each_other(engine: str, live: Ground) -> None:
    """Overlapping windows, read and landed at once at the time that it really is."""
    ranges = [("T+000m", "T+010m"), ("T+005m", "T+015m"), ("T+010m", "T+010m")]
    with running() as children:
        for first, last in ranges:
            children[f"{first} to {last}"] = live.start(materialise, SESSION_ID, first, last)
        children["backfill"] = live.start(ingest, *BACKFILLED)
        children["import"] = live.start(ingest, *IMPORTED)
        ended = {name: child.ended(240) for name, child in children.items()}
    assert {name: each for name, each in ended.items() if each.code} == {}
    assert unlike_the_channel(live.tables(), datetime.now(UTC), live.scene.start, live.scene) == ""
    assert not list((live.data_dir / "landing").glob("_quarantine/*"))


@pytest.mark.parametrize("engine", ENGINES)
def test_who_waits_too_long_is_shown_what_to_do(
    engine: str, empty_ground: Callable[..., Ground], templates: Callable[[str], Ground]
) -> None:
    """A process stands still in its transaction: others give up after the bound, and succeed afterwards."""
    ground = empty_ground(engine, INGEST_DATABASE_WAIT_SECONDS="2")
    trials = Trials(POLLING, templates(engine), [ground])
    ground.copy_of(templates(engine))
    ground.show(POLLING.now)
    reading = (ingest, "messages", "--session-id", SESSION_ID)
    with running() as children:
        holder = children["holder"] = POLLING.start_on(ground, replace(WRITTEN, signal_number=signal.SIGSTOP))
        holder.wait_until_stopped()
        reported = [POLLING.on(ground)]
        shown = ground.run(*reading, now=POLLING.now)
        if engine == "duckdb":
            reported.append(shown)
            assert all("PostgreSQL" in each.stderr for each in reported)
        else:
            assert shown.code == 0, shown
        for each in reported:
            assert each.code == ExitCode.DATABASE, each
            assert "INGEST_DATABASE_WAIT_SECONDS" in each.stderr
            assert "Traceback" not in each.stderr
        holder.send(signal.SIGCONT)
        assert holder.ended().code == 0
    assert trials.wrong_after(ground) == ""
