"""Kinds of content as the database knows them: their versions, and the tables of kinds that came later.

The tables of the first kinds are made by migrations; those of others are made when they are first used, from
their Arrow schemas, and are recorded, so that they are copied, listed and counted like this project's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.content.rows import stage_targets
from ingest_pipeline.storage.content.tables import ContentTable
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.migrations import own_tables, recorded_tables
from ingest_pipeline.storage.engine.queries import quoted

_TYPES = {
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.float64(): "DOUBLE PRECISION",
    pa.string(): "TEXT",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


@dataclass(frozen=True, slots=True)
class KindVersion:
    """A kind of content on its way into the database.

    Attributes:
        name: Its name.
        version: The version that reads it now.
        tables: Its tables.
    """

    name: str
    version: int
    tables: tuple[ContentTable, ...]


def known_versions(connection: Connection) -> dict[str, int]:
    """Return the version that all messages were last read by, or are being read by, of each known kind."""
    return {row["kind"]: row["version"] for row in connection.fetch_all("list_content_kinds")}


def register_kinds(
    connection: Connection, kinds: Sequence[KindVersion], read_now: Sequence[int], *, now: datetime
) -> None:
    """Make the tables of kinds that are new, and have all messages read again for new or newer ones.

    Args:
        read_now: Messages that are read in this transaction, all kinds of them.

    Raises:
        ConfigurationError: A table's name is taken.
    """
    known = known_versions(connection)
    if all(known.get(kind.name, 0) >= kind.version for kind in kinds):
        return
    connection.execute("lock_migrations")
    known = known_versions(connection)
    newer = [kind for kind in kinds if known.get(kind.name, 0) < kind.version]
    for kind in newer:
        defined = [
            _definition(table) for table in kind.tables if table.name not in own_tables(connection.engine)
        ]
        _make_tables(connection, kind.name, defined)
        values = {"kind": kind.name, "version": kind.version, "tables": json.dumps(defined), "now": now}
        connection.execute("register_content_kind", **values)
    if newer:
        stage_targets(connection, read_now)
        connection.execute("read_all_again")


def create_tables(connection: Connection, tables: Sequence[Mapping[str, Any]]) -> None:
    """Make tables as `recorded_tables` describes them, unless they are there."""
    taken = {row["name"] for row in connection.fetch_all("list_names")}
    for table in tables:
        if table["name"] not in taken:
            connection.execute(
                "create_content_table",
                {
                    "table": quoted(table["name"]),
                    "definitions": ", ".join(
                        f"{quoted(name)} {kind}" for name, kind in table["columns"].items()
                    ),
                    "key": ", ".join(map(quoted, table["key"])),
                },
            )


def _make_tables(connection: Connection, kind: str, tables: Sequence[Mapping[str, Any]]) -> None:
    recorded = recorded_tables(connection)
    taken = {row["name"] for row in connection.fetch_all("list_names")}
    for table in tables:
        before = recorded.get(table["name"])
        if before is None and table["name"] in taken:
            raise ConfigurationError(
                f"kind {kind!r} has a table {table['name']!r}, which the database has of "
                "something else: choose another name"
            )
        if before is not None and before != table:
            connection.execute("drop_content_table", {"table": quoted(table["name"])})
    create_tables(connection, tables)


def _definition(table: ContentTable) -> dict[str, Any]:
    columns = {field.name: _sql_type(table.name, field) for field in table.columns}
    return {"name": table.name, "key": list(table.key), "columns": columns}


def _sql_type(table: str, field: pa.Field) -> str:
    if pa.types.is_decimal(field.type):
        name = f"DECIMAL({field.type.precision}, {field.type.scale})"
    elif field.type in _TYPES:
        name = _TYPES[field.type]
    else:
        raise ConfigurationError(
            f"column {field.name} of table {table} is of type {field.type}: use one of "
            f"{', '.join(map(str, _TYPES))} or decimal128"
        )
    return name if field.nullable else f"{name} NOT NULL"
