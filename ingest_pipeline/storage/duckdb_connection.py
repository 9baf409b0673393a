"""One transaction on the embedded database: named queries in, plain rows and Arrow tables out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from ingest_pipeline.storage.database import Names
from ingest_pipeline.storage.queries import load_queries, quoted
from ingest_pipeline.storage.schema import staged


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
        self._is_staged = False

    def execute(self, query: str, names: Names = None, /, **parameters: object) -> int:
        """See `Connection`."""
        statement = self._statement(query, names, parameters)
        self._raw.execute(statement, parameters or None)
        self._raw.complete()
        return max(self._raw.rowcount, 0)

    def fetch_all(self, query: str, names: Names = None, /, **parameters: object) -> list[dict[str, Any]]:
        """See `Connection`."""
        rows: list[dict[str, Any]] = self.fetch_arrow(query, names, **parameters).to_pylist()
        return rows

    def fetch_one(self, query: str, names: Names = None, /, **parameters: object) -> dict[str, Any] | None:
        """See `Connection`."""
        return next(iter(self.fetch_all(query, names, **parameters)), None)

    def fetch_arrow(self, query: str, names: Names = None, /, **parameters: object) -> pa.Table:
        """See `Connection`.

        Rows come through Arrow, since DuckDB's own Python conversion of times needs pytz.
        """
        statement = self._statement(query, names, parameters)
        return self._raw.sql(statement, params=parameters or None).to_arrow_table()

    def stage(self, rows: pa.Table) -> None:
        """See `Connection`; the rows are scanned where they are."""
        if self._is_staged:
            self._raw.unregister("staged_messages")
        self._raw.register("staged_messages", staged(rows))
        self._is_staged = True

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
