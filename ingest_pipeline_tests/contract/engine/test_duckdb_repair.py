"""DuckDB's file when a writer was killed in the middle of a write, and when a disk damaged it.

A copy that is put back where it does not belong, or a checksum that is made up, would change what the
tables say without a word: these tests hold that neither happens.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ingest_pipeline.errors import DatabaseDamaged, DatabaseUnavailable
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import TransactionConflict
from ingest_pipeline.storage.engine.duckdb import layout
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.layout import FIRST_BLOCK, Headers, read_blocks, read_headers
from ingest_pipeline.storage.engine.duckdb.undo import undo_path
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.acceptance.damage import writer_kills, wrong_bits
from ingest_pipeline_tests.contract.processes import finished, start
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages

pytestmark = pytest.mark.slow

PAGE = 4096
BLOCK = 262_144
FIRST, SECOND = range(1, 50), range(50, 80)
# Enough tables and columns for several blocks of metadata.
MANY_TABLES = 20
COLUMNS = ", ".join(f"{number} AS c{number}" for number in range(100))


def merge(database: DuckDBDatabase, ids: range) -> MergeCounts:
    """Merge a reading of each id."""
    rows = staged(Reading(discord_id=each) for each in ids)
    return database.run(lambda c: merge_messages(c, rows, now=at(1000)))


def ids_in(database: DuckDBDatabase) -> list[int]:
    """Return the ids of the stored messages."""
    with database.read() as connection:
        return [row["discord_id"] for row in stored_messages(connection)]


@contextmanager
def opened(path: Path) -> Iterator[tuple[int, Headers]]:
    """Open a file beside DuckDB and read its headers."""
    file = os.open(path, os.O_RDONLY)
    try:
        yield file, read_headers(file)
    finally:
        os.close(file)


def metadata_blocks(path: Path) -> list[int]:
    """Return where the blocks of metadata begin, by DuckDB's word."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()
    return sorted(FIRST_BLOCK + block * BLOCK for (block,) in rows)


def flip(path: Path, location: int) -> bytes:
    """Turn one bit of a file over, and return all its bytes."""
    content = bytearray(path.read_bytes())
    content[location] ^= 1
    path.write_bytes(content)
    return bytes(content)


def refused(database: DuckDBDatabase, match: str) -> None:
    """Assert that neither reading nor writing is possible, which the first try reports."""
    for use in (lambda: ids_in(database), lambda: merge(database, SECOND)):
        began = time.monotonic()
        with pytest.raises(DatabaseDamaged, match=match):
            use()
        assert time.monotonic() - began < 15


@dataclass(frozen=True)
class Write:
    """One commit: the file before it and after it.

    A process that is killed while it writes a block in place has written all other blocks, not the header.
    """

    path: Path
    before: bytes
    after: bytes

    @property
    def in_place(self) -> list[int]:
        """The blocks that are in use and were written over, beyond what a killed writer writes here."""
        self.path.write_bytes(self.before)
        return [
            location
            for location in metadata_blocks(self.path)
            if self._block(self.before, location) != self._block(self.after, location)
        ]

    def killed(self, location: int, written: int) -> DuckDBDatabase:
        """Leave the file as a writer does that was killed after so many bytes of a block."""
        torn = bytearray(self.after)
        torn[:FIRST_BLOCK] = self.before[:FIRST_BLOCK]
        begin, end = location + written, location + BLOCK
        torn[begin:end] = self.before[begin:end]
        self.path.write_bytes(torn)
        return DuckDBDatabase(self.path, 20)

    @property
    def aside(self) -> list[Path]:
        """The damaged files that were kept."""
        return list(self.path.parent.glob(f"{self.path.name}.damaged-*"))

    @staticmethod
    def _block(content: bytes, location: int) -> bytes:
        return content[location + 3 * PAGE : location + BLOCK]


@pytest.fixture(params=[0, MANY_TABLES], ids=["few tables", "many tables"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """A merge into a table that holds messages, besides few or many other tables."""
    path = tmp_path / "ingest.duckdb"
    database = DuckDBDatabase(path, 20)
    merge(database, FIRST)
    with duckdb.connect(str(path)) as connection:
        connection.begin()
        for number in range(request.param):
            connection.execute(f"CREATE TABLE t{number} AS SELECT {COLUMNS}")
        connection.commit()
    before = path.read_bytes()
    merge(database, SECOND)
    after = path.read_bytes()
    headers = [before[begin : begin + PAGE] == after[begin : begin + PAGE] for begin in (PAGE, 2 * PAGE)]
    assert sorted(headers) == [False, True], "one checkpoint was expected, which writes one header"
    found = Write(path, before, after)
    assert len(found.in_place) == 2, request.param
    return found


@pytest.mark.slow
def test_a_block_torn_at_any_page_is_put_back_and_nothing_is_lost(write: Write) -> None:
    """Found by a reader or by a writer: the table is that before the merge, which can be done again."""
    copies = undo_path(write.path).read_bytes()
    reported = 0
    for location in write.in_place:
        for turn, written in enumerate(range(PAGE, BLOCK, 9 * PAGE)):
            database = write.killed(location, written)
            undo_path(write.path).write_bytes(copies)
            torn = write.path.read_bytes()
            is_torn = is_refused(write.path)
            if turn % 2 or not is_torn:
                assert ids_in(database) == [*FIRST]
                mended = write.path.read_bytes()
                assert mended[:location] == torn[:location]
                assert mended[location + BLOCK :] == torn[location + BLOCK :]
            assert merge(database, SECOND) == MergeCounts(created=len(SECOND))
            assert ids_in(database) == [*FIRST, *SECOND]
            assert [kept.read_bytes() for kept in write.aside] == [torn] * is_torn
            reported += is_torn
            for kept in write.aside:
                kept.unlink()
    assert reported


def is_refused(path: Path) -> bool:
    """Return whether DuckDB alone refuses to open a file."""
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return "checksum" in str(error)
    return False


def test_what_was_put_back_is_reported_in_the_log(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """Where, and where the damaged file is."""
    caplog.set_level(logging.WARNING)
    location = write.in_place[0]
    with write.killed(location, 3 * PAGE).write():
        pass
    assert f"killed while it wrote the metadata at byte {location}" in caplog.text
    assert str(write.aside[0]) in caplog.text


def test_without_a_copy_nothing_is_put_back(write: Write) -> None:
    """The block is named at the first try, with the remedy, and the file stays as it is."""
    for location in write.in_place:
        database = write.killed(location, 3 * PAGE)
        undo_path(write.path).unlink(missing_ok=True)
        found = write.path.read_bytes()
        refused(database, rf"block \d+ \(at byte {location}\).*ingest database rebuild")
        assert write.path.read_bytes() == found
        assert not write.aside


def test_a_copy_taken_under_other_headers_is_not_put_back(write: Write) -> None:
    """Such as that of the transaction before, when a disk damages the file after the last one."""
    location = write.in_place[0]
    write.path.write_bytes(write.after)
    damaged = flip(write.path, location + 9000)
    refused(DuckDBDatabase(write.path, 5), "ingest database rebuild")
    assert write.path.read_bytes() == damaged


def test_a_damaged_copy_is_not_put_back(write: Write) -> None:
    """The undo file may be damaged, too."""
    location = write.in_place[0]
    copies = bytearray(undo_path(write.path).read_bytes())
    for place in range(65_536 + 1000, len(copies), BLOCK):
        copies[place] ^= 4
    database = write.killed(location, 3 * PAGE)
    undo_path(write.path).write_bytes(copies)
    found = write.path.read_bytes()
    refused(database, rf"at byte {location}")
    assert write.path.read_bytes() == found


def test_a_damaged_block_of_data_is_reported_with_its_name(write: Write) -> None:
    """It comes to light in a transaction or when the file is opened, and is never written."""
    write.path.write_bytes(write.before)
    with opened(write.path) as (file, headers):
        blocks = read_blocks(file, headers)
        used = [
            headers.location(block)
            for block in range(headers.block_count)
            if block not in blocks.free and block not in blocks.metadata
        ]
    content = bytearray(write.before)
    for location in used:
        content[location + 100] ^= 1
    write.path.write_bytes(content)
    refused(DuckDBDatabase(write.path, 5), rf"block \d+ \(at byte {used[0]}\)")
    assert write.path.read_bytes() == content


@pytest.mark.parametrize(
    ("location", "name"), [(700, "main header"), (PAGE + 9, "first database"), (2 * PAGE + 3000, "second")]
)
def test_a_damaged_header_is_reported_with_its_name(write: Write, location: int, name: str) -> None:
    """No header is ever written by anything but DuckDB."""
    write.path.write_bytes(write.before)
    damaged = flip(write.path, location)
    refused(DuckDBDatabase(write.path, 5), name)
    assert write.path.read_bytes() == damaged


def test_blocks_of_metadata_are_found_as_duckdb_finds_them(write: Write) -> None:
    """The list that is read from the file is DuckDB's own, and all blocks in use are whole."""
    for content in (write.before, write.after):
        write.path.write_bytes(content)
        with opened(write.path) as (file, headers):
            blocks = read_blocks(file, headers)
            assert [headers.location(block) for block in blocks.metadata] == metadata_blocks(write.path)
            assert layout.damaged_block(file, headers, blocks.free) is None


def test_a_version_of_duckdb_that_was_not_tried_restores_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its format may be another: the error says which versions are known."""
    database = write.killed(write.in_place[0], 3 * PAGE)
    found = write.path.read_bytes()
    monkeypatch.setattr(layout, "TESTED_VERSIONS", frozenset({"1.0.0"}))
    refused(database, f"DuckDB {duckdb.__version__} is not one of 1.0.0")
    assert write.path.read_bytes() == found


def test_a_disk_without_room_for_the_damaged_file_has_nothing_put_back(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how much room is needed."""
    database = write.killed(write.in_place[0], 3 * PAGE)
    found = write.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(DatabaseUnavailable, match=rf"make room for {len(found):,} bytes"):
            ids_in(database)
    assert write.path.read_bytes() == found
    assert ids_in(database) == [*FIRST]


def test_one_transaction_is_one_checkpoint(tmp_path: Path) -> None:
    """The copies hold for one: a log that is left, and a large transaction, must not make it two."""
    state = wrong_bits.prepare(tmp_path / "state", "with log")
    with opened(state.file) as (_, headers):
        before = headers.iteration
    database = DuckDBDatabase(state.file, 20)
    chance = random.Random(1)  # noqa: S311
    names = [chance.randbytes(400).hex() for _ in range(9000)]
    rows = staged(Reading(discord_id=each, nickname=name) for each, name in enumerate(names))
    database.run(lambda c: merge_messages(c, rows, now=at(1000)))
    with opened(state.file) as (_, headers):
        assert headers.iteration == before + 1


def test_a_log_whose_end_was_not_finished_is_read_up_to_there(tmp_path: Path) -> None:
    """What was not finished was not committed; wherever the end is, nothing else is lost."""
    state = wrong_bits.prepare(tmp_path / "state", "with log")
    log = state.folder / "ingest.duckdb.wal"
    whole = log.read_bytes()
    chance = random.Random(3)  # noqa: S311
    for length in [0, 1, 40, *(chance.randrange(len(whole)) for _ in range(6))]:
        folder = tmp_path / "cut"
        shutil.copytree(state.folder, folder)
        (folder / log.name).write_bytes(whole[:length])
        assert wrong_bits.answer(DuckDBDatabase(folder / state.file.name, 5))["messages"][0] == 2999
        shutil.rmtree(folder)
    assert wrong_bits.answer(DuckDBDatabase(state.file, 5)) == state.answer


def test_a_log_with_a_wrong_size_in_it_is_damaged_not_unfinished(tmp_path: Path) -> None:
    """DuckDB would drop the commit without a word; here it is reported, and the log is kept."""
    state = wrong_bits.prepare(tmp_path / "state", "with log")
    log = state.folder / "ingest.duckdb.wal"
    whole = log.read_bytes()
    begin = whole.index(b"\xff\xff") + 2
    damaged = bytearray(whole)
    damaged[begin + 5] ^= 1
    log.write_bytes(damaged)
    copy = tmp_path / "copy"
    shutil.copytree(state.folder, copy)
    with duckdb.connect(str(copy / state.file.name), read_only=True) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM messages").fetchall()
    assert rows == (2999,), "DuckDB reports it by itself now: what this module does for it can go"
    refused(DuckDBDatabase(state.file, 5), f"the log at byte {begin}.*ingest database rebuild")
    assert log.read_bytes() == damaged


@pytest.mark.slow
def test_one_wrong_bit_anywhere_never_changes_an_answer() -> None:
    """In any state that a file is found in; more places by `acceptance.damage.wrong_bits`."""
    found = wrong_bits.run(6, seed=2)
    assert {result for outcomes in found.values() for result in outcomes} <= wrong_bits.EXPECTED


@pytest.mark.slow
def test_killed_writers_lose_nothing_that_was_committed() -> None:
    """Killed while they write into the file, above all; more kills by `acceptance.damage.writer_kills`."""
    found = writer_kills.run(6, seed=3)
    assert not [result for result in found if result.startswith("LOST")]


def test_a_writer_that_is_killed_leaves_nothing_that_is_in_the_way(
    make_settings: Callable[[str], Settings],
) -> None:
    """Neither readers nor the next writer notice."""
    settings = make_settings("duckdb")
    database = DuckDBDatabase(settings.database_path, 5)
    merge(database, FIRST)
    writer = start("hold", "before", settings=settings)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "held\n"
    writer.kill()
    writer.communicate()
    assert ids_in(database) == [*FIRST]
    assert merge(database, SECOND) == MergeCounts(created=len(SECOND))


def test_work_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """An error undoes the transaction."""
    database = DuckDBDatabase(tmp_path / "ingest.duckdb", 5)
    with pytest.raises(TransactionConflict), database.write():
        raise TransactionConflict("in the way")
    merge(database, FIRST)
    assert ids_in(database) == [*FIRST]


def test_a_reader_that_ends_does_not_let_go_of_the_file_for_others(
    make_settings: Callable[[str], Settings],
) -> None:
    """Closing any handle of a file drops all locks of its process on it: nothing but DuckDB may open it."""
    settings = make_settings("duckdb").model_copy(update={"database_wait_seconds": 1})
    database = DuckDBDatabase(settings.database_path, 5)
    merge(database, FIRST)
    with database.read():
        assert ids_in(DuckDBDatabase(settings.database_path, 5)) == [*FIRST]
        _, errors = start("hold", "after", settings=settings).communicate("go\n", timeout=120)
    assert "DatabaseBusy" in errors
    finished(start("read", "1", settings=settings))
