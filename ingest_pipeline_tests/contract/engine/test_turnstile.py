"""Whose turn it is on DuckDB's file: a writer that waits goes before readers that come later."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest_pipeline.errors import DatabaseBusy
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.locks import Turnstile
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.deletions import table_summary
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.processes import finished, resume, start
from ingest_pipeline_tests.contract.readings import Reading, at, staged
from ingest_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.slow

READERS = 3


@pytest.fixture
def settings(make_settings: Callable[[str], Settings]) -> Settings:
    """The settings of an embedded database."""
    return make_settings("duckdb").model_copy(update={"database_wait_seconds": 60})


def merge(database: Database, discord_id: int) -> None:
    """Merge one message."""
    database.run(lambda c: merge_messages(c, staged([Reading(discord_id=discord_id)]), now=at(1000)))


def test_readers_without_a_pause_do_not_keep_a_writer_out(settings: Settings) -> None:
    """Three other processes read all the time; each write waits for the reads under way, and no others."""
    database = open_database(settings)
    merge(database, 1)
    readers = [start("read without pause", settings=settings) for _ in range(READERS)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
    began = time.monotonic()
    for number in range(10):
        merge(database, 2 + number)
    took = time.monotonic() - began
    for reader in readers:
        resume(reader)
    assert all(int(finished(reader)) for reader in readers)
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 11
    # Without a turn of its own the first write alone waits for as long as anybody reads.
    assert took < 20


@pytest.fixture
def waiting_writer(settings: Settings) -> Iterator[Callable[[], None]]:
    """Another process that holds the turn as a writer does that waits, until it may go on."""
    open_database(settings).migrate()
    with ThreadPoolExecutor(1) as pool:
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            turnstile = Turnstile(settings.database_path)
            with turnstile.held(time.monotonic() + 60, wait_seconds=60, is_writer=True):
                held.set()
                go.wait(60)

        holding = pool.submit(hold)
        assert held.wait(60)
        yield go.set
        go.set()
        holding.result()


def test_a_reader_waits_for_a_writer_that_waits(
    settings: Settings, waiting_writer: Callable[[], None]
) -> None:
    """It is let in when the writer is done, and the error names who it was when that takes too long."""
    database = open_database(settings.model_copy(update={"database_wait_seconds": 1}))
    with (
        pytest.raises(DatabaseBusy, match=rf"was in use by process {os.getpid()} .*for 1 s"),
        database.read(),
    ):
        pass
    waiting_writer()
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 0


def test_a_reader_that_reads_again_does_not_wait_for_a_writer_that_waits_for_it(settings: Settings) -> None:
    """In whichever process the writer is."""
    database = open_database(settings)
    merge(database, 1)
    with database.read():
        writer = start("hold", "after", settings=settings)
        lock = settings.database_path.with_name(f"{settings.database_path.name}.lock")
        wait_until("the writer's turn", lambda: lock.read_text().startswith(f"{writer.pid} "))
        with database.read() as again:
            assert table_summary(again)["rows"] == 1
    resume(writer)
    finished(writer)


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    """There is no turn to wait for, and nothing is made."""
    turnstile = Turnstile(tmp_path / "missing" / "ingest.duckdb")
    with turnstile.held(time.monotonic() + 1, wait_seconds=1, is_writer=False):
        assert not list(tmp_path.iterdir())
