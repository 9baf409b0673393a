"""One transaction on the embedded database: named queries in, plain rows and Arrow tables out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ingest_pipeline.storage.engine.columns import as_rows
from ingest_pipeline.storage.engine.database import Names
from ingest_pipeline.storage.engine.queries import load_queries, quoted

# DuckDB takes two microseconds for each number of a list that is a parameter; Arrow's it reads as they lie.
_LONG_LIST = 200
_LIST_OF_IDS = r"\$%s::BIGINT\[\](?![a-z0-9_])"


class DuckDBConnection:
    """A transaction on the embedded database.

    Args:
        raw: A connection, with a transaction begun or about to be.
    """

    engine = "duckdb"

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        """Wrap the connection."""
        self._raw = raw
        self._queries = load_queries(self.engine)
        self._staged: set[str] = set()

    def execute(self, query: str, names: Names = None, /, **parameters: object) -> int:
        """See `Connection`."""
        with self._prepared(query, names, parameters) as (statement, values):
            self._raw.execute(statement, values or None)
            self._raw.complete()
            return max(self._raw.rowcount, 0)

    def fetch_all(self, query: str, names: Names = None, /, **parameters: object) -> list[dict[str, Any]]:
        """See `Connection`."""
        return as_rows(self.fetch_arrow(query, names, **parameters))

    def fetch_one(self, query: str, names: Names = None, /, **parameters: object) -> dict[str, Any] | None:
        """See `Connection`."""
        return next(iter(self.fetch_all(query, names, **parameters)), None)

    def fetch_arrow(self, query: str, names: Names = None, /, **parameters: object) -> pa.Table:
        """See `Connection`.

        Rows come through Arrow, since DuckDB's own Python conversion of times needs pytz.
        """
        with self._prepared(query, names, parameters) as (statement, values):
            return self._raw.sql(statement, params=values or None).to_arrow_table()

    def stage(self, table: str, rows: pa.Table) -> None:
        """See `Connection`; the rows are scanned where they are."""
        if table in self._staged:
            self._raw.unregister(table)
        self._raw.register(table, rows)
        self._staged.add(table)

    def stage_like(self, name: str, table: str, rows: pa.Table) -> None:  # noqa: ARG002 - rows have types here
        """See `Connection`."""
        self.stage(name, rows)

    def load(self, table: str, rows: pa.Table) -> None:
        """See `Connection`."""
        self._raw.register("loaded_rows", rows)
        columns = ", ".join(quoted(name) for name in rows.column_names)
        self.execute("load_rows", {"table": quoted(table), "columns": columns})
        self._raw.unregister("loaded_rows")

    def run_script(self, script: str) -> None:
        """See `Connection`."""
        self._raw.execute(script)
        self._raw.complete()

    @contextmanager
    def _prepared(
        self, query: str, names: Names, parameters: Mapping[str, object]
    ) -> Iterator[tuple[str, dict[str, object]]]:
        """Return a statement and its parameters, of which long lists of ids are tables until it has run."""
        statement = self._queries[query].statement(names, parameters)
        values = dict(parameters)
        tables: list[str] = []
        for name, value in parameters.items():
            if isinstance(value, list) and len(value) >= _LONG_LIST and set(map(type, value)) == {int}:
                table = f"list_{name}"
                placed = re.sub(_LIST_OF_IDS % name, f"(SELECT ids FROM {table})", statement)  # noqa: S608 - a name of code
                # Where it stands as something else as well it is a parameter after all.
                if placed != statement and f"${name}::" not in placed:
                    statement = placed
                    self._raw.register(table, _one_list(value))
                    tables.append(table)
                    del values[name]
        try:
            yield statement, values
        finally:
            for table in tables:
                self._raw.unregister(table)


def _one_list(ids: list[int]) -> pa.Table:
    numbers = np.array(ids, np.int64)
    bounds = np.array([0, len(ids)], np.int32)
    values = pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(numbers)])
    offsets = pa.Array.from_buffers(pa.int32(), 2, [None, pa.py_buffer(bounds)])
    return pa.table({"ids": pa.ListArray.from_arrays(offsets, values)})
