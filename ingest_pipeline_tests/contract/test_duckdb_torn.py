"""DuckDB's file when a writer was killed in the middle of a write, and when a disk damaged it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ingest_pipeline.errors import DatabaseUnavailable
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.database import TransactionConflict
from ingest_pipeline.storage.duckdb_engine import DuckDBDatabase
from ingest_pipeline.storage.duckdb_torn import (
    BLOCK_BYTES,
    FIRST_BLOCK,
    leave_mark,
    marks_left,
    refused_location,
)
from ingest_pipeline.storage.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.processes import finished, start
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages

PAGE = 4096
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


def metadata_blocks(path: Path) -> list[int]:
    """Return where the blocks of metadata begin."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()
    return [FIRST_BLOCK + block * BLOCK_BYTES for (block,) in rows]


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
        """The blocks that are in use and were written over."""
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
        begin, end = location + written, location + BLOCK_BYTES
        torn[begin:end] = self.before[begin:end]
        self.path.write_bytes(torn)
        return DuckDBDatabase(self.path, 20)

    @staticmethod
    def _block(content: bytes, location: int) -> bytes:
        return content[location : location + BLOCK_BYTES]


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
    assert len(found.in_place) == (2 if request.param else 1)
    return found


def test_a_block_torn_at_any_page_is_mended_and_nothing_is_lost(write: Write) -> None:
    """Found by a reader or by a writer: the table is that before the merge, which can be done again."""
    refused = 0
    for location in write.in_place:
        for turn, written in enumerate(range(PAGE, BLOCK_BYTES, 5 * PAGE)):
            database = write.killed(location, written)
            mark = leave_mark(write.path)
            refused += is_refused(write.path)
            if turn % 2:
                assert ids_in(database) == [*FIRST]
            assert merge(database, SECOND) == MergeCounts(created=len(SECOND))
            assert ids_in(database) == [*FIRST, *SECOND]
            assert not mark.exists()
            assert not is_refused(write.path)
    assert refused


def is_refused(path: Path) -> bool:
    """Return whether DuckDB alone refuses to open a file."""
    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return refused_location(error) is not None
    return False


def test_blocks_are_whole_again_before_the_mark_goes(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """Those too that nobody has read yet, and it is told."""
    caplog.set_level(logging.WARNING)
    for location in write.in_place:
        database = write.killed(location, 3 * PAGE)
        leave_mark(write.path)
        with database.write():
            pass
        assert not marks_left(write.path)
        assert f"a writer was killed while it wrote the metadata at {location}" in caplog.text
        assert ids_in(DuckDBDatabase(write.path, 1)) == [*FIRST]


def test_what_no_writer_left_is_damage_and_stays_as_it_is(write: Write) -> None:
    """The same refusal without a mark beside the file: somebody must look at the disk."""
    location = write.in_place[0]
    database = write.killed(location, 3 * PAGE)
    found = write.path.read_bytes()
    for use in (lambda: ids_in(database), lambda: merge(database, SECOND)):
        with pytest.raises(DatabaseUnavailable, match=r"is damaged, and not by a writer.*what has landed"):
            use()
    assert write.path.read_bytes() == found


def test_damage_that_shows_in_a_transaction_is_told_as_such(write: Write) -> None:
    """Another byte in a block of data: neither a torn write, mark or not, nor an error of ours."""
    write.path.write_bytes(write.after)
    metadata = metadata_blocks(write.path)
    content = bytearray(write.after)
    for location in range(FIRST_BLOCK, len(content), BLOCK_BYTES):
        if location not in metadata:
            content[location + 100] ^= 1
    write.path.write_bytes(content)
    leave_mark(write.path)
    database = DuckDBDatabase(write.path, 5)
    for use in (lambda: ids_in(database), lambda: ids_in(database), lambda: merge(database, SECOND)):
        with pytest.raises(DatabaseUnavailable, match="is damaged, and not by a writer"):
            use()
        assert write.path.read_bytes() == content


def test_a_writer_that_is_killed_leaves_its_mark_until_the_next(
    make_settings: Callable[[str], Settings],
) -> None:
    """Other readers leave it; the next writer removes it. A writer that ends leaves none."""
    settings = make_settings("duckdb")
    database = DuckDBDatabase(settings.database_path, 5)
    merge(database, FIRST)
    assert not marks_left(settings.database_path)
    writer = start("hold", "before", settings=settings)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "held\n"
    writer.kill()
    writer.communicate()
    assert len(marks_left(settings.database_path)) == 1
    assert ids_in(database) == [*FIRST]
    assert len(marks_left(settings.database_path)) == 1
    assert merge(database, SECOND) == MergeCounts(created=len(SECOND))
    assert not marks_left(settings.database_path)


def test_work_that_fails_leaves_no_mark_for_long(tmp_path: Path) -> None:
    """An error undoes the transaction; the next one clears up."""
    database = DuckDBDatabase(tmp_path / "ingest.duckdb", 5)
    with pytest.raises(TransactionConflict), database.write():
        raise TransactionConflict("in the way")
    merge(database, FIRST)
    assert not marks_left(tmp_path / "ingest.duckdb")


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
