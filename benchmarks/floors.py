"""Floors: engines with rows already parsed, and bare parsers, which nothing can undercut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.jobs import Job
from benchmarks.statements import statement


def duckdb_upsert(job: Job) -> Callable[[], int]:
    """Upsert Arrow rows that lie in memory, in one statement."""
    import pyarrow.parquet as pq

    rows = pq.read_table(job.rows)
    with duckdb.connect(job.target) as connection:
        connection.execute(statement("create_messages").format(json="JSON"))

    def work() -> int:
        with duckdb.connect(job.target) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("parsed_rows", rows)
            connection.execute(statement("upsert_rows"))
        return int(rows.num_rows)

    return work


def postgres_copy(job: Job) -> Callable[[], int]:
    """COPY Arrow rows that lie in memory, as CSV, and upsert them, in one transaction."""
    import psycopg
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    rows = pq.read_table(job.rows)
    options = csv.WriteOptions(include_header=False)
    with psycopg.connect(job.target) as connection:
        connection.execute(statement("create_messages").format(json="JSON"))

    def work() -> int:
        with psycopg.connect(job.target) as connection:
            connection.execute(statement("stage_rows"))
            with connection.cursor().copy(statement("copy_rows")) as copy:
                for batch in rows.to_batches(max_chunksize=20_000):
                    sink = pa.BufferOutputStream()
                    csv.write_csv(batch, sink, options)
                    copy.write(sink.getvalue().to_pybytes())
            connection.execute(statement("upsert_rows"))
        return int(rows.num_rows)

    return work


def read_json(job: Job) -> Callable[[], int]:
    """Let DuckDB read, normalize and upsert the file: the whole path in two statements of SQL."""
    with duckdb.connect(job.target) as connection:
        connection.execute(statement("create_messages").format(json="JSON"))

    def work() -> int:
        with duckdb.connect(job.target) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(statement("read_export"), {"source": job.source})
            connection.execute(statement("upsert_rows"))
            received: Any = connection.execute(statement("count_read")).fetchone()
        return int(received[0])

    return work


def simdjson_parse(job: Job) -> Callable[[], int]:
    """Parse the bytes, and make no Python object of any message."""
    import simdjson

    def work() -> int:
        document: Any = simdjson.Parser().parse(Path(job.source).read_bytes())
        return len(document["messages"])

    return work
