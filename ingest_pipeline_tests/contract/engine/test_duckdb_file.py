"""DuckDB's file: shared with other processes, missing, unwritable, damaged, out of room."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb import engine
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.deletions import table_summary
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.processes import PROJECT, finished, resume, start
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages

NOW = at(1000)


@pytest.fixture
def settings(make_settings: Callable[[str], Settings]) -> Settings:
    """The settings of an empty embedded database that is waited for no longer than a second."""
    return make_settings("duckdb").model_copy(update={"database_wait_seconds": 1})


def merge(database: Database, *ids: int) -> MergeCounts:
    """Merge a reading of each id."""
    rows = staged(Reading(discord_id=each) for each in ids)
    return database.run(lambda c: merge_messages(c, rows, now=NOW))


def ids_in(database: Database) -> list[int]:
    """Return the ids of the stored messages."""
    with database.read() as connection:
        return [row["discord_id"] for row in stored_messages(connection)]


def test_a_file_held_by_another_process_is_busy_after_the_bound(settings: Settings) -> None:
    """The error names the file, who holds it, and each way out; afterwards all is well."""
    database = open_database(settings)
    process = start("hold", "before", settings=settings)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    reported = rf"{settings.database_path}.*process {process.pid} .*stop it.*INGEST_DATABASE_URL"
    with pytest.raises(DatabaseBusy, match=reported):
        merge(database, 1)
    with pytest.raises(DatabaseBusy, match=reported), database.read():
        pass
    resume(process)
    resume(process)
    finished(process)
    assert merge(database, 1, 2) == MergeCounts(created=1, unchanged=1)


def test_work_that_needs_more_memory_is_done_again_with_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations and merges alike begin with little, and nothing is stored twice or lost."""
    monkeypatch.setattr(engine, "_LEAST_MEMORY_MB", 1)
    database = open_database(settings)
    assert merge(database, 1, 2) == MergeCounts(created=2)
    assert ids_in(database) == [1, 2]


def test_work_beyond_all_memory_names_what_helps(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names memory, not the disk; the table stays as it was."""
    database = open_database(settings)
    merge(database, 1)
    monkeypatch.setattr(engine, "_LEAST_MEMORY_MB", 1)
    monkeypatch.setattr(engine, "_MOST_MEMORY_MB", 1)
    with pytest.raises(DatabaseUnavailable, match=r"needs more memory.*INGEST_BATCH_ROWS"):
        merge(open_database(settings), *range(1, 20_000))
    assert ids_in(database) == [1]


def test_processes_read_at_once(settings: Settings) -> None:
    """Readers share the file."""
    database = open_database(settings)
    merge(database, 1)
    with database.read() as connection:
        finished(start("read", "3", settings=settings))
        assert len(stored_messages(connection)) == 1


def test_a_file_held_by_another_thread_is_busy_after_the_bound(settings: Settings) -> None:
    """Threads of one process wait for each other, within the bound."""
    database = open_database(settings)
    with database.write(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(merge, open_database(settings), 1)
        with pytest.raises(DatabaseBusy, match="another thread of this process"):
            waiting.result(timeout=120)


def test_a_transaction_inside_another_is_refused_at_once(settings: Settings) -> None:
    """A thread cannot wait for itself."""
    database = open_database(settings)
    with database.write(), pytest.raises(DatabaseBusy, match="end it before"):
        merge(database, 1)
    with database.read(), pytest.raises(DatabaseBusy, match="end it before"):
        merge(database, 1)


def test_a_reader_may_read_again_while_a_writer_waits(settings: Settings) -> None:
    """The waiting writer goes before new readers, not before one that it waits for."""
    database = open_database(settings.model_copy(update={"database_wait_seconds": 60}))
    merge(database, 1)
    with ThreadPoolExecutor(1) as pool:
        with database.read():
            writing = pool.submit(merge, database, 2)
            with database.read() as again:
                assert len(stored_messages(again)) == 1
        assert writing.result(timeout=120) == MergeCounts(created=1)


def test_other_code_with_the_file_open_is_reported_as_such(settings: Settings) -> None:
    """A notebook in the same process that has the file open keeps it busy."""
    database = open_database(settings)
    database.migrate()
    with duckdb.connect(str(settings.database_path)), pytest.raises(DatabaseBusy, match="in this process"):
        merge(database, 1)


def test_a_file_that_was_deleted_is_made_again(settings: Settings) -> None:
    """Starting over needs no restart."""
    database = open_database(settings)
    merge(database, 1)
    settings.database_path.unlink()
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 0
    assert merge(database, 1) == MergeCounts(created=1)


def test_a_folder_that_cannot_be_made_is_reported_with_the_setting(tmp_path: Path) -> None:
    """Where a file stands in the way of the data folder."""
    (tmp_path / "data").write_text("not a folder")
    database = DuckDBDatabase(tmp_path / "data" / "ingest.duckdb", 1)
    with pytest.raises(DatabaseUnavailable, match="INGEST_DATA_DIR"):
        merge(database, 1)


def test_a_file_system_without_links_has_the_file_made_in_place(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a memory card."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert merge(open_database(settings), 1) == MergeCounts(created=1)
    assert sorted(entry.name for entry in settings.data_dir.iterdir()) == [
        "ingest.duckdb",
        "ingest.duckdb.lock",
        "ingest.duckdb.undo",
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("ingest.duckdb", "a letter home " * 1000), ("rows.csv", "a,b\n1,2\n"), ("empty", "")]
)
def test_a_file_that_is_no_database_is_reported_and_left_alone(tmp_path: Path, name: str, text: str) -> None:
    """Nothing of it is overwritten, nor taken for tables that nobody would find again."""
    path = tmp_path / name
    path.write_text(text)
    for use in (lambda: merge(DuckDBDatabase(path, 1), 1), lambda: DuckDBDatabase(path, 1).migrate()):
        with pytest.raises(DatabaseUnavailable, match="not a valid DuckDB database"):
            use()
    assert path.read_text() == text


FULL_DISK = """
import resource, signal, sys
from ingest_pipeline.errors import DatabaseUnavailable
from ingest_pipeline.settings import load_settings
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline_tests.contract.readings import Reading, at, staged

# A write beyond this limit fails as it would on a full disk.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
settings = load_settings(data_dir=sys.argv[1])
limit = settings.database_path.stat().st_size + 200_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rows = staged(Reading(discord_id=each, nickname=f"{each:x}" * 2000) for each in range(2, 2000))
try:
    open_database(settings).run(lambda c: merge_messages(c, rows, now=at(0)))
except DatabaseUnavailable as error:
    print(error)
"""


def test_a_full_disk_undoes_the_transaction_and_nothing_else(settings: Settings) -> None:
    """The error says what to look at, and what was there before is there still."""
    database = open_database(settings)
    merge(database, 1)
    reported = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(settings.data_dir)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert "Check that the disk has room" in reported
    with database.read() as connection:
        assert [row["discord_id"] for row in stored_messages(connection)] == [1]
    assert merge(database, 2) == MergeCounts(created=1)


def test_an_interrupt_during_a_query_ends_the_transaction_as_one(settings: Settings) -> None:
    """DuckDB raises a RuntimeError for Ctrl-C; whoever asked sees the interrupt, and nothing is stored."""
    database = open_database(settings)
    merge(database, 1)
    interrupt = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    def write(connection: Connection) -> None:
        merge_messages(connection, staged([Reading(discord_id=2)]), now=NOW)
        interrupt.start()
        # Far longer than the timer waits, and than any machine needs to look at signals.
        connection.run_script("SELECT count(DISTINCT hash(range)) FROM range(100000000)")

    with pytest.raises(KeyboardInterrupt):
        database.run(write)
    assert ids_in(database) == [1]
