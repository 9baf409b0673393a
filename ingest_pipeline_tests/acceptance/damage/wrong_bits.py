"""Turn over one bit of a DuckDB file or its log, and see that no answer differs.

    .venv/bin/python -m ingest_pipeline_tests.acceptance.damage.wrong_bits --places 500

Each of several states that a file may be found in (closed, with its undo file or without, with a log that a
killed writer left, in the middle of a checkpoint) is damaged at random places, some of them in headers,
metadata and log, which are small. It must then be answered as before, or refused with a typed error at the
first try. Prints how many were which; ends with 1 if any answer differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingest_pipeline.errors import DatabaseDamaged, DatabaseUnavailable
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.duckdb import layout
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.instances import OpenFile
from ingest_pipeline.storage.engine.duckdb.repair import Guard
from ingest_pipeline.storage.engine.duckdb.undo import undo_path
from ingest_pipeline.storage.engine.migrations import list_tables
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.readings import Reading, at, staged

NAME = "ingest.duckdb"
FIRST, SECOND, THIRD = range(1, 3000), range(3000, 3030), range(3030, 3060)
# On a busy machine.
LONGEST_SECONDS = 40
EXPECTED = {"same", "refused", "restored"}
Answer = dict[str, tuple[int, int]]


def merge(database: Database, ids: range) -> None:
    """Merge a reading of each id."""
    rows = staged(Reading(discord_id=each, digest=each % 7) for each in ids)
    database.run(lambda c: merge_messages(c, rows, now=at(1000)))


def answer(database: Database) -> Answer:
    """Read everything: how many rows each table has, and a hash of them all."""
    with database.read() as connection:
        return {
            table.name: _read(connection, table.name)
            for table in list_tables(connection)
            if table.name != "schema_migrations"
        }


def _read(connection: Connection, table: str) -> tuple[int, int]:
    row = connection.fetch_one("read_whole_table", {"table": quoted(table)})
    assert row
    return row["n"], row["digest"]


@dataclass(frozen=True)
class State:
    """A folder with a database file as it may be found.

    Attributes:
        name: What it is.
        folder: Where it is.
        answer: What is read from it.
        answer_after: What is read from it after `THIRD` is merged.
    """

    name: str
    folder: Path
    answer: Answer
    answer_after: Answer

    @property
    def file(self) -> Path:
        """The database file."""
        return self.folder / NAME


def _closed(path: Path) -> None:
    merge(DuckDBDatabase(path, 20), SECOND)


def _without_undo(path: Path) -> None:
    _closed(path)
    undo_path(path).unlink()


def _stopped(path: Path, abort: str | None) -> None:
    """Stop as a killed process does, between a commit and the end of its checkpoint."""
    rows = staged(Reading(discord_id=each, digest=each % 7) for each in SECOND)
    guard = Guard(path, OpenFile(path, read_only=False, memory_mb=64), is_writer=True)
    guard.save()
    # So that the commit stays in the log.
    guard.raw.execute("SET checkpoint_threshold = '16MB'")
    if abort:
        guard.raw.execute(f"SET debug_checkpoint_abort = '{abort}'")
    guard.raw.begin()
    merge_messages(DuckDBConnection(guard.raw), rows, now=at(1000))
    guard.raw.commit()
    if abort:
        with suppress(duckdb.Error):
            guard.raw.execute("CHECKPOINT")
    killed = path.parent.with_name("killed")
    shutil.copytree(path.parent, killed)
    guard.close(is_clean=False)
    shutil.rmtree(path.parent)
    killed.rename(path.parent)
    assert path.with_name(f"{NAME}.wal").stat().st_size


def _with_log(path: Path) -> None:
    _stopped(path, None)


def _with_log_without_undo(path: Path) -> None:
    _with_log(path)
    undo_path(path).unlink()


def _before_header(path: Path) -> None:
    _stopped(path, "after_free_list_write")


def _before_truncate(path: Path) -> None:
    _stopped(path, "before_truncate")


STATES: dict[str, Callable[[Path], None]] = {
    "closed": _closed,
    "closed, without undo file": _without_undo,
    "with log": _with_log,
    "with log, without undo file": _with_log_without_undo,
    "checkpoint before its header": _before_header,
    "checkpoint after its header": _before_truncate,
}


def prepare(folder: Path, name: str) -> State:
    """Make a database in a state."""
    folder.mkdir()
    path = folder / NAME
    merge(DuckDBDatabase(path, 20), FIRST)
    STATES[name](path)
    copy = folder.with_name(f"{folder.name}-after")
    shutil.copytree(folder, copy)
    database = DuckDBDatabase(copy / NAME, 20)
    before = answer(database)
    assert before["messages"][0] == len(FIRST) + len(SECOND)
    merge(database, THIRD)
    return State(name, folder, before, answer(database))


def places(state: State, count: int, chance: random.Random) -> list[tuple[str, int, int]]:
    """Choose file, byte and bit: half anywhere, the rest in headers, metadata and log."""
    size = state.file.stat().st_size
    file = os.open(state.file, os.O_RDONLY)
    headers = layout.read_headers(file)
    metadata = layout.read_blocks(file, headers).metadata
    os.close(file)
    log = state.folder / f"{NAME}.wal"
    chosen = []
    for turn in range(count):
        match turn % 6:
            case 0:
                place = (NAME, chance.randrange(layout.FIRST_BLOCK))
            case 1:
                begin = headers.location(chance.choice(metadata))
                place = (NAME, begin + chance.randrange(headers.block_bytes))
            case 2 if log.exists():
                place = (log.name, chance.randrange(log.stat().st_size))
            case _:
                place = (NAME, chance.randrange(size))
        chosen.append((*place, chance.randrange(8)))
    return chosen


def outcome(state: State, name: str, byte: int, bit: int, folder: Path) -> str:
    """Turn one bit over in a copy, and return what comes of reading and writing it."""
    shutil.copytree(state.folder, folder)
    try:
        damaged = bytearray((folder / name).read_bytes())
        damaged[byte] ^= 1 << bit
        (folder / name).write_bytes(damaged)
        began = time.monotonic()
        try:
            database = DuckDBDatabase(folder / NAME, 20)
            if answer(database) != state.answer:
                return "DIFFERENT"
            merge(database, THIRD)
            if answer(database) != state.answer_after:
                return "DIFFERENT after a merge"
        except DatabaseDamaged:
            is_left = (folder / name).read_bytes() == damaged
            kind = "refused" if is_left else "refused, and CHANGED"
        except DatabaseUnavailable as error:
            kind = f"refused, without naming what: {error}"
        except Exception as error:  # noqa: BLE001 - what it is is the outcome
            kind = f"UNTYPED {type(error).__name__}: {error}"
        else:
            kind = "restored" if any(folder.glob("*.damaged-*")) else "same"
        took = time.monotonic() - began
        return f"{kind}, LATE" if took > LONGEST_SECONDS else kind
    finally:
        shutil.rmtree(folder)


def run(count: int, seed: int, names: Collection[str] = tuple(STATES)) -> dict[str, Counter[str]]:
    """Turn over so many bits in each of some states."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    found = {}
    with tempfile.TemporaryDirectory(prefix="wrong-bits-") as folder:
        for number, name in enumerate(names):
            state = prepare(Path(folder) / str(number), name)
            outcomes = found[name] = Counter[str]()
            for file, byte, bit in places(state, count, chance):
                result = outcome(state, file, byte, bit, Path(folder) / "turned")
                outcomes[result] += 1
                if result not in EXPECTED:
                    print(f"  {name}: {file} byte {byte} bit {bit}: {result}", flush=True)  # noqa: T201
            print(f"{name}: {dict(outcomes)}", flush=True)  # noqa: T201
    return found


def main() -> int:
    """Turn over as many bits as the command line says, in each state."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--places", type=int, default=500, help="in each state")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", choices=STATES, nargs="+", default=list(STATES))
    options = parser.parse_args()
    found = run(options.places, options.seed, options.state)
    return int(any(result not in EXPECTED for outcomes in found.values() for result in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
