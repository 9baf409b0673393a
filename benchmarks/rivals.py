"""Rivals: common ways to write tables, each as its documentation shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job
from benchmarks.ours import normalized
from benchmarks.statements import statement

# PostgreSQL takes 65,535 parameters in a statement at most.
_CHUNK_ROWS = 2_000


def json_parse(job: Job) -> Callable[[], int]:
    """Parse the whole document with the standard library."""

    def work() -> int:
        return len(json.loads(Path(job.source).read_text(encoding="utf-8"))["messages"])

    return work


def sqlite_utils_upsert(job: Job) -> Callable[[], int]:
    """`upsert_all` with the primary key, fed with dictionaries as the file is read."""
    import sqlite_utils

    database = sqlite_utils.Database(job.target)
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for table in normalized(job.source):
            count += table.num_rows
            yield from table.to_pylist()

    def work() -> int:
        database["messages"].upsert_all(rows(), pk="discord_id")
        return count

    return work


def pandas_to_sql(job: Job) -> Callable[[], int]:
    """`to_sql` with the insertion method that the pandas documentation gives for conflicts."""
    import pandas as pd
    import pyarrow as pa
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import insert

    engine = sa.create_engine(job.target.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        connection.execute(sa.text(statement("create_messages").format(json="TEXT")))

    kinds: dict[Any, Any] = {
        column["name"]: column["type"] for column in sa.inspect(engine).get_columns("messages")
    }

    def insert_or_update(table: Any, connection: Any, keys: list[str], data: Iterable[Any]) -> int:
        values = insert(table.table).values([dict(zip(keys, row, strict=True)) for row in data])
        newer = {column.key: column for column in values.excluded if column.key != "discord_id"}
        done = connection.execute(values.on_conflict_do_update(index_elements=["discord_id"], set_=newer))
        return int(done.rowcount)

    def work() -> int:
        frame: pd.DataFrame = pa.concat_tables(chain(normalized(job.source))).to_pandas()
        nulls = frame.astype(object).where(frame.notna(), None)
        nulls.to_sql(
            "messages",
            engine,
            if_exists="append",
            index=False,
            chunksize=_CHUNK_ROWS,
            method=insert_or_update,
            dtype=kinds,
        )
        return len(frame)

    return work
