"""The tables of a database, from its own catalogue."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.migrations import own_tables
from ingest_pipeline.storage.engine.queries import quoted


@dataclass(slots=True)
class Table:
    """A table's shape.

    Attributes:
        name: Its name.
        columns: Its columns and the engine's names of their types, in order.
        key: The columns of its primary key, in order.
    """

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    key: list[str] = field(default_factory=list)


def list_tables(connection: Connection) -> list[Table]:
    """Return every table of the schema, ordered by name."""
    tables: dict[str, Table] = {}
    keys: dict[str, dict[int, str]] = {}
    for row in connection.fetch_all("list_columns"):
        table = tables.setdefault(row["table_name"], Table(row["table_name"]))
        table.columns[row["column_name"]] = row["data_type"]
        if row["key_position"] is not None:
            keys.setdefault(table.name, {})[row["key_position"]] = row["column_name"]
    for name, columns in keys.items():
        tables[name].key = [columns[position] for position in sorted(columns)]
    return list(tables.values())


def split_tables(connection: Connection) -> tuple[list[Table], list[str]]:
    """Return this project's tables, and the names of others, such as a user's own or Dagster's."""
    own = own_tables(connection.engine)
    tables = list_tables(connection)
    others = [table.name for table in tables if table.name not in own and table.name != "schema_migrations"]
    return [table for table in tables if table.name in own], others


def order_to_fill(tables: list[Table], connection: Connection) -> list[Table]:
    """Return tables in an order in which they can be filled: each after those that its rows refer to.

    Args:
        tables: The tables, by name.
        connection: The database that is to be filled.
    """
    needed: dict[str, set[str]] = {table.name: set() for table in tables}
    for row in connection.fetch_all("list_references"):
        # A table of the user's own may refer to one of these.
        if row["table_name"] in needed:
            needed[row["table_name"]].add(row["needed_table"])
    by_name = {table.name: table for table in tables}
    return [by_name[name] for name in TopologicalSorter(needed).static_order()]


def count_rows(connection: Connection, table: str) -> int:
    """Return how many rows a table has."""
    row = connection.fetch_one("count_rows", {"table": quoted(table)})
    return int(row["n"]) if row else 0
