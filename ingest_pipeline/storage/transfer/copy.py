"""Copy of a whole database into another one, such as from DuckDB to PostgreSQL or back.

This project's tables are copied in the order of their keys, a page and its progress in one transaction,
so a copy that was interrupted goes on where it stopped; other tables are left out. The source is read
from one snapshot throughout. At the end the number of rows and a digest of them all are compared, table
by table; the digest does not depend on the order of rows, which the engines are free to choose.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.errors import ConfigurationError, CopyDiffers
from ingest_pipeline.storage.content.kinds import create_tables
from ingest_pipeline.storage.engine.columns import scalar
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.migrations import (
    Table,
    count_rows,
    list_tables,
    order_to_fill,
    recorded_tables,
    split_tables,
)
from ingest_pipeline.storage.engine.queries import quoted

_NULL = scalar("\\N", pa.string())
_TAB = scalar("\t", pa.string())
_NOTHING = scalar("", pa.string())
_UTC = scalar("Z", pa.string())
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
PAGE_ROWS = 20_000
# The search index is derived, and has a form of its own on each engine.
_NOT_COPIED = {"copy_progress", "searchable_messages", "change_feeds"}
# Facts about the project itself, which any look at the target may have left there.
_OVERWRITTEN = "state"

Progress = Callable[[str, int], None]


def row_lines(rows: pa.Table) -> pa.ChunkedArray:
    """Return each row as one line: equal lines mean equal rows.

    Args:
        rows: Columns of any type that casts to text, bytes, and lists of integers.
    """
    columns = [pc.fill_null(_as_text(column), _NULL) for column in rows.itercolumns()]
    return pc.binary_join_element_wise(*columns, _TAB)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type):
        lists = [None if value is None else _array_text(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(lists, pa.string())])
    if pa.types.is_binary(column.type):
        return pa.chunked_array([pa.array([value.hex() for value in column.to_pylist()], pa.string())])
    if pa.types.is_timestamp(column.type) and column.type.tz == "UTC":
        # Many times faster than times of a zone, each of which is looked up in the zone's table.
        local = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
        return pc.binary_join_element_wise(local, _NOTHING, _UTC)
    text = column.cast(pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        for plain, escaped in _ESCAPES:
            text = pc.replace_substring(text, plain, escaped)
    return text


def _array_text(values: list[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table that was copied and verified.

    Attributes:
        name: The table.
        rows: Its rows, the same number on both sides.
        digest: The digest of its rows, the same on both sides: 16 hexadecimal digits.
        resumed_from: Rows that an earlier, interrupted copy had brought.
    """

    name: str
    rows: int
    digest: str
    resumed_from: int


@dataclass(frozen=True, slots=True)
class CopyReport:
    """A finished copy.

    Attributes:
        tables: Every table, by name.
        seconds: Wall time.
        left_out: Other tables of the source's schema, such as a user's own, by name.
    """

    tables: tuple[TableCopy, ...]
    seconds: float
    left_out: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all tables together."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class TableDigest:
    """The number of rows of a table, and their digest.

    Attributes:
        rows: Their number.
        digest: The sum, modulo 2**64, of an 8-byte BLAKE2b of each row's text: 16 hexadecimal digits.
    """

    rows: int
    digest: str


def copy_database(
    source: Database, target: Database, progress: Progress | None = None, *, page_rows: int = PAGE_ROWS
) -> CopyReport:
    """Copy this project's tables of a database into an empty one, or go on with a copy that was interrupted.

    While it runs nobody can write to a DuckDB source; a PostgreSQL source may be written to, and
    what is written after the start is not copied.

    Args:
        source: Read from one snapshot; migrated if need be.
        target: Migrated, then filled.
        progress: Called with a table's name and its rows copied so far, after each page.
        page_rows: Rows in a transaction.

    Raises:
        ConfigurationError: The target has rows of its own, or the two have different tables.
        CopyDiffers: The two sides differ after copying.
        DatabaseBusy: One of them is in use elsewhere.
        DatabaseUnavailable: One of them cannot be reached.
    """
    began = time.monotonic()
    target.migrate()
    with source.read() as reading:
        own, others = split_tables(reading)
        tables = [table for table in own if table.name not in _NOT_COPIED]
        target.run(partial(create_tables, tables=list(recorded_tables(reading).values())))
        with target.read() as connection:
            there = {table.name: table for table in list_tables(connection)}
            _check_alike(tables, there)
            tables = order_to_fill(tables, connection)
        done = target.run(partial(_begin, names=[table.name for table in tables]))
        copying = _Copying(reading, target, there, page_rows, progress)
        copied = tuple(copying.copy(table, *done.get(table.name, (0, None))) for table in tables)
        target.run(_end)
    return CopyReport(copied, time.monotonic() - began, tuple(others))


def table_digest(connection: Connection, table: Table, page_rows: int = PAGE_ROWS) -> TableDigest:
    """Return the number of a table's rows and their digest, which no order of rows changes."""
    rows = total = 0
    for page in table_pages(connection, table, None, page_rows):
        rows += page.num_rows
        for line in row_lines(page).to_pylist():
            total += int.from_bytes(blake2b(line.encode(), digest_size=8).digest(), "big")
    return TableDigest(rows, f"{total % 2**64:016x}")


def _check_alike(tables: list[Table], there: dict[str, Table]) -> None:
    for table in tables:
        if not table.key:
            raise ConfigurationError(f"table {table.name} has no primary key: it cannot be copied in order")
        if table.name not in there or there[table.name].columns.keys() != table.columns.keys():
            raise ConfigurationError(
                f"table {table.name} is not the same in the target: remove tables that are not "
                "ingest_pipeline's own"
            )


def _begin(connection: Connection, names: list[str]) -> dict[str, tuple[int, str | None]]:
    """Return how far each table has come: rows and position; refuse a target with rows of its own."""
    found = connection.fetch_all("list_copy_progress")
    if found:
        return {row["table_name"]: (row["copied_rows"], row["position"]) for row in found}
    filled = [name for name in names if name != _OVERWRITTEN and count_rows(connection, name)]
    if filled:
        raise ConfigurationError(
            f"the target has rows already in {', '.join(filled)}: copy into an empty database"
        )
    connection.execute("clear_table", {"table": quoted(_OVERWRITTEN)})
    for name in names:
        connection.execute("set_copy_progress", table_name=name, position=None, copied_rows=0)
    return dict.fromkeys(names, (0, None))


def _end(connection: Connection) -> None:
    connection.execute("end_copy")
    connection.execute("align_changes")


@dataclass(frozen=True, slots=True)
class _Copying:
    """A copy under way."""

    reading: Connection
    target: Database
    there: dict[str, Table]
    page_rows: int
    progress: Progress | None

    def copy(self, table: Table, resumed_from: int, position: str | None) -> TableCopy:
        """Copy what is missing of a table and verify it; copy it again when a resumed one is not the same."""
        expected = table_digest(self.reading, table, self.page_rows)
        found = self._append_pages(table, resumed_from, position)
        if found != expected and resumed_from:
            # The source has changed since the interrupted copy.
            resumed_from = 0
            self.target.run(partial(_restart, table=table.name))
            found = self._append_pages(table, 0, None)
        if found != expected:
            raise CopyDiffers(
                f"table {table.name} differs after copying: {expected.rows} rows with digest "
                f"{expected.digest} here, {found.rows} rows with digest {found.digest} there. "
                "Let nothing write to the target, empty it and copy again"
            )
        return TableCopy(table.name, expected.rows, expected.digest, resumed_from)

    def _append_pages(self, table: Table, copied: int, position: str | None) -> TableDigest:
        for page in table_pages(self.reading, table, position, self.page_rows):
            copied += page.num_rows
            last = _last(page, table)
            self.target.run(partial(_append, table=table.name, page=page, position=last, copied=copied))
            if self.progress:
                self.progress(table.name, copied)
        there = self.there[table.name]
        # In the source's order of columns, so that rows read alike.
        same = Table(table.name, {name: there.columns[name] for name in table.columns}, there.key)
        with self.target.read() as connection:
            return table_digest(connection, same, self.page_rows)


def _append(connection: Connection, table: str, page: pa.Table, position: str, copied: int) -> None:
    """Append a page, unless an attempt whose end is unknown has done so."""
    done = connection.fetch_one("find_copy_progress", table_name=table)
    if done is not None and done["copied_rows"] >= copied:
        return
    connection.load(table, page)
    connection.execute("set_copy_progress", table_name=table, position=position, copied_rows=copied)


def _restart(connection: Connection, table: str) -> None:
    connection.execute("clear_table", {"table": quoted(table)})
    connection.execute("set_copy_progress", table_name=table, position=None, copied_rows=0)


def table_pages(
    connection: Connection, table: Table, position: str | None, page_rows: int
) -> Iterator[pa.Table]:
    """Read a table in the order of its key, from behind a position to the end."""
    names = {
        "table": quoted(table.name),
        "columns": ", ".join(quoted(column) for column in table.columns),
        "key": ", ".join(quoted(column) for column in table.key),
    }
    casts = ", ".join(f"$key_{index}::{table.columns[name]}" for index, name in enumerate(table.key))
    while True:
        if position is None:
            page = connection.fetch_arrow("read_first_page", names, maximum=page_rows)
        else:
            values = {f"key_{index}": value for index, value in enumerate(json.loads(position))}
            next_names = {**names, "position": casts}
            page = connection.fetch_arrow("read_next_page", next_names, **values, maximum=page_rows)
        if page.num_rows:
            yield page
            position = _last(page, table)
        if page.num_rows < page_rows:
            return


def _last(page: pa.Table, table: Table) -> str:
    """Return the key of a page's last row as JSON."""
    last: dict[str, Any] = page.slice(page.num_rows - 1).select(table.key).to_pylist()[0]
    return json.dumps([_plain(last[column]) for column in table.key])


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
