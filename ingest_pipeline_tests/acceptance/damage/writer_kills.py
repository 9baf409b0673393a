"""Kill a busy writer of a DuckDB file over and over, and see that nothing is lost.

    .venv/bin/python -m ingest_pipeline_tests.acceptance.damage.writer_kills --kills 300

A writer merges batches without a pause and says after each commit which it was. It is killed at a random
time, two times of three while it writes what it committed into the file. Then all batches that were
committed must be there whole, and at most the one after them besides. Prints what was found after the
kills; ends with 1 if anything was lost, torn or refused.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import duckdb

from ingest_pipeline.errors import IngestError
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages

ROWS = 30
LONGEST_SECONDS = 1.0
# Enough tables and columns for several blocks of metadata, which take longer to write.
TABLES = 30
COLUMNS = ", ".join(f"{number} AS c{number}" for number in range(100))


def write(path: Path, first: int, reported: Pipe) -> None:
    """Merge batches from a number on, and print the number of each when it is committed."""
    database = DuckDBDatabase(path, 60)
    number = first
    while True:
        ids = range(number * ROWS, (number + 1) * ROWS)
        rows = staged(Reading(discord_id=each + 1, digest=each % 7) for each in ids)
        database.run(lambda c, rows=rows: merge_messages(c, rows, now=at(1000)))
        reported.send(number)
        number += 1


def batches_in(path: Path) -> int:
    """Return how many batches are stored, all of them whole."""
    with DuckDBDatabase(path, 60).read() as connection:
        ids = [row["discord_id"] for row in stored_messages(connection)]
    assert ids == [*range(1, len(ids) + 1)], "a batch has a gap"
    assert len(ids) % ROWS == 0, "a batch is there in part"
    return len(ids) // ROWS


def _await_commit(path: Path, chance: random.Random) -> None:
    """Wait until the log or the file is written, and for a part of the time that this takes."""
    log = path.with_name(f"{path.name}.wal")
    before = path.stat().st_mtime_ns
    deadline = time.monotonic() + 30
    while not log.exists() and path.stat().st_mtime_ns == before and time.monotonic() < deadline:
        time.sleep(0.0002)
    time.sleep(chance.choice([0, chance.uniform(0, 0.03)]))


def kill_once(path: Path, done: int, chance: random.Random) -> tuple[str, int]:
    """Start a writer, kill it, and return what was found and how many batches are stored."""
    # Nothing of DuckDB is open here meanwhile.
    context = get_context("fork")
    here, there = context.Pipe()
    writer = context.Process(target=write, args=(path, done, there), daemon=True)
    writer.start()
    there.close()
    committed = done
    try:
        committed = here.recv() + 1
        if chance.randrange(3):
            _await_commit(path, chance)
        else:
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
    finally:
        writer.kill()
        writer.join()
    # What it printed until its end.
    try:
        while here.poll(0):
            committed = here.recv() + 1
    except EOFError:
        here.close()
    has_log = path.with_name(f"{path.name}.wal").exists()
    kept = len(list(path.parent.glob("*.damaged-*")))
    try:
        stored = batches_in(path)
    except (IngestError, AssertionError, duckdb.Error) as error:
        return f"LOST: {error}", done
    if stored not in {committed, committed + 1}:
        return f"LOST: {committed} batches were committed, {stored} are there", stored
    if len(list(path.parent.glob("*.damaged-*"))) > kept:
        return "a block put back", stored
    return "a log read" if has_log else "closed", stored


def run(kills: int, seed: int) -> Counter[str]:
    """Kill so many writers, one after the other."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    found = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="writer-kills-") as folder:
        path = Path(folder) / "ingest.duckdb"
        DuckDBDatabase(path, 60).migrate()
        with duckdb.connect(str(path)) as connection:
            connection.begin()
            for number in range(TABLES):
                connection.execute(f"CREATE TABLE t{number} AS SELECT {COLUMNS}")
            connection.commit()
        stored = 0
        for number in range(kills):
            result, stored = kill_once(path, stored, chance)
            found[result] += 1
            if result.startswith("LOST"):
                print(f"kill {number}: {result}", flush=True)  # noqa: T201
    print(f"{kills} kills, {stored} batches of {ROWS}: {dict(found)}", flush=True)  # noqa: T201
    return found


def main() -> int:
    """Kill as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return int(any(result.startswith("LOST") for result in run(options.kills, options.seed)))


if __name__ == "__main__":
    raise SystemExit(main())
