"""The fingerprint of a contender's table: a digest that shows whether it did the whole work.

`python -m benchmarks.fingerprint ENGINE TARGET TABLE` prints the number of rows and their digest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from benchmarks.jobs import PROJECT
from benchmarks.statements import statement


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a table holds.

    Attributes:
        rows: How many rows.
        digest: Of their ids, times, drivers, texts and counts, in the order of ids.
    """

    rows: int
    digest: str


def fingerprint(engine: str, target: str, table: str) -> Fingerprint:
    """Take the fingerprint of a table, or of a Parquet file, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.fingerprint", engine, target, table],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return Fingerprint(**json.loads(finished.stdout))


def _rows(engine: str, target: str, table: str) -> Iterator[Iterable[Any]]:
    query = statement("fingerprint_columns").format(table=table)
    if engine == "postgres":
        import psycopg

        with psycopg.connect(target) as connection, connection.cursor("rows") as cursor:
            cursor.itersize = 50_000
            yield from cursor.execute(query)
    elif engine == "sqlite":
        import sqlite3

        yield from sqlite3.connect(target).execute(query)
    else:
        import duckdb

        with duckdb.connect(*(() if engine == "parquet" else (target,))) as database:
            database.execute("SET TimeZone = 'UTC'")
            result = database.execute(query)
            while rows := result.fetchmany(50_000):
                yield from rows


def _plain(value: object) -> object:
    """Return times, which SQLite keeps as text, as milliseconds since 1970."""
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] in {" ", "T"}:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    return value


def main() -> None:
    """Print the fingerprint as JSON."""
    digest, count = blake2b(digest_size=8), 0
    for row in _rows(*sys.argv[1:4]):
        digest.update(repr([_plain(value) for value in row]).encode())
        count += 1
    print(json.dumps({"rows": count, "digest": digest.hexdigest()}))


if __name__ == "__main__":
    main()
