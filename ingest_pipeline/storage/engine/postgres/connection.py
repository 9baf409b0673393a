"""One transaction on PostgreSQL: named queries in, plain rows and Arrow tables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg.rows import dict_row, tuple_row

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.engine.columns import column
from ingest_pipeline.storage.engine.database import Connection, Names
from ingest_pipeline.storage.engine.queries import load_queries, pyformat, quoted

# A row stands in memory three times on its way.
# As many fill ten pages and more.
_FEW_ROWS = 2_000
_COPIED_ROWS = 2_000
_ARROW_TYPES = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "int8[]": pa.list_(pa.int64()),
    "float8": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "json": pa.string(),
    "jsonb": pa.string(),
    "name": pa.string(),
}
_CONVERTED = {kind for kind in _ARROW_TYPES.values() if kind not in {pa.int16(), pa.list_(pa.int64())}}
OLDEST_VERSION = 150_000


class PostgresConnection:
    """A transaction on PostgreSQL.

    Args:
        raw: A connection with a transaction begun.
    """

    engine = "postgres"

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        """Wrap the connection."""
        self._raw = raw
        self._queries = load_queries(self.engine)
        self._staged: set[str] = set()

    def execute(self, query: str, names: Names = None, /, **parameters: object) -> int:
        """See `Connection`."""
        cursor = self._raw.execute(self._statement(query, names, parameters), parameters)
        # A SELECT reports the rows it returned: those are not changes.
        return 0 if cursor.description else max(cursor.rowcount, 0)

    def fetch_all(self, query: str, names: Names = None, /, **parameters: object) -> list[dict[str, Any]]:
        """See `Connection`."""
        with self._raw.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._statement(query, names, parameters), parameters).fetchall()

    def fetch_one(self, query: str, names: Names = None, /, **parameters: object) -> dict[str, Any] | None:
        """See `Connection`."""
        with self._raw.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._statement(query, names, parameters), parameters).fetchone()

    def fetch_arrow(self, query: str, names: Names = None, /, **parameters: object) -> pa.Table:
        """See `Connection`."""
        with self._raw.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(self._statement(query, names, parameters), parameters)
            return self._as_arrow(cursor)

    def stage(self, table: str, rows: pa.Table) -> None:
        """See `Connection`."""
        if table in self._staged:
            self.execute("empty_staged", {"table": quoted(table)})
        else:
            self.execute(f"create_{table}")
        self._fill(table, rows)

    def stage_like(self, name: str, table: str, rows: pa.Table) -> None:
        """See `Connection`."""
        if name in self._staged:
            self.execute("empty_staged", {"table": quoted(name)})
        else:
            columns = ", ".join(map(quoted, rows.column_names))
            self.execute("create_staged", {"name": quoted(name), "table": quoted(table), "columns": columns})
        self._fill(name, rows)

    def _fill(self, table: str, rows: pa.Table) -> None:
        self._staged.add(table)
        self.load(table, rows)
        if len(rows) < _FEW_ROWS:
            self.execute("analyze_staged", {"table": quoted(table)})

    def load(self, table: str, rows: pa.Table) -> None:
        """See `Connection`."""
        names = {"table": quoted(table), "columns": ", ".join(quoted(name) for name in rows.column_names)}
        statement = self._statement("load_rows", names, {})
        rows = _typed(rows)
        encoder = ArrowToPostgresBinaryEncoder(rows.schema)
        with self._raw.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in rows.to_batches(max_chunksize=_COPIED_ROWS):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())

    def run_script(self, script: str) -> None:
        """See `Connection`."""
        self._raw.execute(script)

    def _statement(self, query: str, names: Names, parameters: Mapping[str, object]) -> str:
        return pyformat(self._queries[query].statement(names, parameters))

    def _as_arrow(self, cursor: psycopg.Cursor[Any]) -> pa.Table:
        described = cursor.description or ()
        types = [_ARROW_TYPES.get(column.type_display) for column in described]
        rows = cursor.fetchall()
        columns = zip(*rows, strict=True) if rows else [()] * len(types)
        arrays = [_array(values, kind) for values, kind in zip(columns, types, strict=True)]
        return pa.table(arrays, names=[column.name for column in described])


def _array(values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    # Others, such as lists and decimals, are few: `pa.array` imports pandas.
    return column(values, kind) if kind in _CONVERTED else pa.array(values, kind)


def _typed(rows: pa.Table) -> pa.Table:
    """Return rows whose columns all have a type."""
    # A page of decimals that are all NULL has no type; NULL is the same bytes in every type.
    fields = [each.with_type(pa.string()) if pa.types.is_null(each.type) else each for each in rows.schema]
    return rows.cast(pa.schema(fields))


def require_usable(connection: Connection) -> None:
    """Check version, encoding and search path of a database.

    Raises:
        ConfigurationError: One of them does not do; the message says how to get one that does.
    """
    found = connection.fetch_one("describe_server")
    if found is None:
        return
    name = found["database_name"]
    if found["version_number"] < OLDEST_VERSION:
        raise ConfigurationError(
            f"PostgreSQL {found['version']} is too old: use version 15 or newer in INGEST_DATABASE_URL"
        )
    if found["encoding"] != "UTF8":
        raise ConfigurationError(
            f"database {name} is encoded in {found['encoding']}, which cannot hold every character: "
            "create one in UTF8 (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0) and name it in "
            "INGEST_DATABASE_URL"
        )
    if found["schema_name"] is None:
        raise ConfigurationError(
            f"no schema of the search path ({found['search_path'] or 'empty'}) exists in database {name}: "
            "create one, or name one that exists (ALTER ROLE … SET search_path = public; or "
            "?options=-csearch_path%3Dpublic at the end of INGEST_DATABASE_URL)"
        )
