"""One transaction on the embedded database: named queries in, plain rows and Arrow tables out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from ingest_pipeline.storage.engine.columns import as_rows
from ingest_pipeline.storage.engine.database import Names
from ingest_pipeline.storage.engine.queries import load_queries, quoted


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
        statement = self._statement(query, names, parameters)
        self._raw.execute(statement, parameters or None)
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
        statement = self._statement(query, names, parameters)
        return self._raw.sql(statement, params=parameters or None).to_arrow_table()

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

    def _statement(self, query: str, names: Names, parameters: Mapping[str, object]) -> str:
        return self._queries[query].statement(names, parameters)
