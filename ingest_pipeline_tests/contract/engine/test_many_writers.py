"""Threads and processes that write at once, and processes that die while they do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest_pipeline.errors import DatabaseBusy
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database, TransactionConflict
from ingest_pipeline.storage.engine.migrations import load_migrations
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.deletions import tombstone_messages
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.processes import deletions, finished, resume, start, workload
from ingest_pipeline_tests.contract.readings import (
    Reading,
    at,
    expected_messages,
    expected_revisions,
    staged,
    stored_messages,
    stored_revisions,
    tombstone,
)
from ingest_pipeline_tests.contract.waiters import wait_for_waiting_writer

pytestmark = pytest.mark.slow


def assert_serial_result(database: Database, seeds: range) -> None:
    """The tables are what merging everything one by one would have given, field by field."""
    readings = [reading for seed in seeds for batch in workload(seed) for reading in batch]
    deleted = [each for seed in seeds for each in deletions(seed)]
    with database.read() as connection:
        assert stored_messages(connection) == expected_messages(readings, deleted)
        assert stored_revisions(connection) == expected_revisions(readings)


def test_threads_that_write_at_once_give_the_serial_result(database: Database) -> None:
    """Each message is created once, whichever thread is first, and nothing is lost."""

    def write(seed: int) -> MergeCounts:
        database.run(lambda c: tombstone_messages(c, deletions(seed)))
        counts = MergeCounts()
        for batch in workload(seed)[:3]:
            counts += database.run(lambda c, batch=batch: merge_messages(c, staged(batch), now=at(1000)))
        return counts

    seeds = range(4)
    with ThreadPoolExecutor(len(seeds)) as pool:
        counts = sum(pool.map(write, seeds), MergeCounts())
    readings = [reading for seed in seeds for batch in workload(seed)[:3] for reading in batch]
    assert counts.created == 40
    assert counts.created + counts.updated + counts.unchanged + counts.stale == len(readings)
    deleted = [each for seed in seeds for each in deletions(seed)]
    with database.read() as connection:
        assert stored_messages(connection) == expected_messages(readings, deleted)
        assert stored_revisions(connection) == expected_revisions(readings)


@pytest.mark.slow
def test_processes_that_write_at_once_give_the_serial_result(database: Database, settings: Settings) -> None:
    """Three writers and a reader, all beginning with an empty database that none has migrated."""
    seeds = range(3)
    processes = [start("write", str(seed), settings=settings) for seed in seeds]
    processes.append(start("read", "20", settings=settings))
    for process in processes:
        finished(process)
    assert_serial_result(database, seeds)


def test_processes_that_migrate_at_once_apply_each_migration_once(settings: Settings) -> None:
    """One of them migrates, the others find nothing to do."""
    processes = [start("migrate", settings=settings) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        resume(process)
    applied = sorted(name for process in processes for name in finished(process).split())
    engine = "postgres" if settings.database_url else "duckdb"
    assert applied == [migration.name for migration in load_migrations(engine)]


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_killed_writer_leaves_all_of_its_transaction_or_nothing(
    database: Database, settings: Settings, step: str
) -> None:
    """Killed before committing nothing is there, after it everything; the next writer is not in the way."""
    process = start("hold", step, settings=settings)
    assert process.stdout is not None
    assert process.stdout.readline() == ("held\n" if step == "before" else "done\n")
    process.kill()
    process.communicate()
    with database.read() as connection:
        assert len(stored_messages(connection)) == (1 if step == "after" else 0)
    again = database.run(lambda c: merge_messages(c, staged([Reading()]), now=at(2000)))
    assert again == (MergeCounts(unchanged=1) if step == "after" else MergeCounts(created=1))


def test_a_deletion_and_a_merge_of_the_same_message_never_pass_each_other(
    database: Database, settings: Settings
) -> None:
    """A deletion that arrives while its message is being merged for the first time waits and finds it."""
    process = start("hold", "before", settings=settings)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(database.run, lambda c: tombstone_messages(c, [tombstone(1, 5)]))
        wait_for_waiting_writer(database, on_another_process=True)
        resume(process)
        assert deleting.result(timeout=120) == 1
    finished(process)
    with database.read() as connection:
        assert [row["deleted_at"] for row in stored_messages(connection)] == [at(5)]


def test_work_is_done_again_after_a_conflict(database: Database) -> None:
    """Only what the last try did remains."""
    tries: list[int] = []

    def work(connection: Connection) -> int:
        merge_messages(connection, staged([Reading(discord_id=len(tries) + 1)]), now=at(1000))
        tries.append(1)
        if len(tries) < 3:
            raise TransactionConflict("made up")
        return len(tries)

    assert database.run(work) == 3
    with database.read() as connection:
        assert [row["discord_id"] for row in stored_messages(connection)] == [3]


def test_work_is_not_done_again_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conflict of the last try is reported: it may pass later."""
    monkeypatch.setattr("ingest_pipeline.storage.engine.database.MAX_ATTEMPTS", 3)
    tries: list[int] = []

    def work(_: Connection) -> None:
        tries.append(1)
        raise TransactionConflict("made up")

    with pytest.raises(DatabaseBusy, match="made up"):
        database.run(work)
    assert len(tries) == 3


def test_a_database_opened_twice_is_one_database(settings: Settings) -> None:
    """Two parts of one process share it."""
    one, two = open_database(settings), open_database(settings)
    one.run(lambda c: merge_messages(c, staged([Reading()]), now=at(1000)))
    again = two.run(lambda c: merge_messages(c, staged([Reading()]), now=at(1000)))
    assert again == MergeCounts(unchanged=1)
    one.close()
    two.close()


def test_readers_do_not_exclude_each_other(database: Database) -> None:
    """One thread reads while another does."""
    with database.read() as connection, ThreadPoolExecutor(1) as pool:
        assert stored_messages(connection) == []

        def read() -> int:
            with database.read() as other:
                return len(stored_messages(other))

        assert pool.submit(read).result(timeout=120) == 0
