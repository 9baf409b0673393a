"""The data dictionary: docs/sql/tables.md, made of the migrated schemas and docs/sql/descriptions.yaml.

python -m ingest_pipeline_tests.data_dictionary
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psycopg
import yaml
from pydantic import SecretStr

from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline_tests.contract.postgres_server import fresh_schema, running_server

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "sql"
PAGE = FOLDER / "tables.md"
_HEAD = """# Tables

Made by `python -m ingest_pipeline_tests.data_dictionary` of the migrated schemas and
[descriptions.yaml](descriptions.yaml); do not edit it. Ids are Discord's, 64-bit integers. Times are UTC.

"""
_CONSTRAINTS = """
SELECT conrelid::REGCLASS::TEXT, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::REGNAMESPACE AND contype IN ('p', 'f', 'c', 'u') AND conrelid <> 0
ORDER BY 1, 2
"""
_INDEXES = """
SELECT tablename::TEXT, indexdef FROM pg_indexes AS i WHERE schemaname = current_schema()
AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = i.indexname AND contype IN ('p', 'u'))
ORDER BY 1, 2
"""
_TRIGGERS = """
SELECT tgrelid::REGCLASS::TEXT, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
WHERE NOT tgisinternal AND c.relnamespace = current_schema()::REGNAMESPACE ORDER BY 1, 2
"""
_COLUMNS = """
SELECT c.relname::TEXT, a.attname::TEXT, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v') AND c.relnamespace = current_schema()::REGNAMESPACE
ORDER BY c.relname::TEXT COLLATE "C", a.attnum
"""
_DUCKDB_INDEXES = "SELECT table_name, sql FROM duckdb_indexes() ORDER BY 1, 2"
_SHORT = {
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "timestamp with time zone": "timestamptz",
    "VARCHAR": "TEXT",
}


@dataclass
class Relation:
    """A table or view on one engine.

    Attributes:
        columns: Type and whether it may be null, by column.
        facts: Keys, indexes, references and triggers, for people.
    """

    columns: dict[str, tuple[str, bool]] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)


def duckdb_relations(path: Path) -> dict[str, Relation]:
    """Return the tables and views of a DuckDB file."""
    found: dict[str, Relation] = {}
    with closing(duckdb.connect(str(path), read_only=True)) as raw:
        for table, column, kind, is_null in raw.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall():
            found.setdefault(table, Relation()).columns[column] = (_SHORT.get(kind, kind), is_null)
        for table, text in raw.execute(
            "SELECT table_name, constraint_text FROM duckdb_constraints() "
            "WHERE constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY', 'CHECK', 'UNIQUE') ORDER BY 1, 2"
        ).fetchall():
            found[table].facts.append(text)
        for table, text in raw.execute(_DUCKDB_INDEXES).fetchall():
            found[table].facts.append(text.rstrip(";"))
    return found


def postgres_relations(url: str) -> dict[str, Relation]:
    """Return the tables and views of a PostgreSQL schema."""
    found: dict[str, Relation] = {}
    with psycopg.connect(url) as connection:
        schema = str(_first(connection, "SELECT current_schema()::TEXT"))
        for table, column, kind, is_null in _rows(connection, _COLUMNS):
            found.setdefault(table, Relation()).columns[column] = (_SHORT.get(kind, kind), is_null)
        for query in (_CONSTRAINTS, _INDEXES, _TRIGGERS):
            for table, text in _rows(connection, query):
                found[table].facts.append(text.replace(f"{schema}.", ""))
    return found


def _rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def _first(connection: psycopg.Connection[Any], query: str) -> Any:
    return _rows(connection, query)[0][0]


def page(on_duckdb: Mapping[str, Relation], on_postgres: Mapping[str, Relation]) -> str:
    """Return the page.

    Raises:
        KeyError: Something is not described, or what is described is not there.
    """
    described = yaml.safe_load((FOLDER / "descriptions.yaml").read_text(encoding="utf-8"))
    tables, views = described["tables"], described["views"]
    both = dict(on_postgres) | dict(on_duckdb)
    unknown = (tables.keys() | views.keys()) ^ both.keys()
    if unknown:
        raise KeyError(f"described or there, and not both: {sorted(unknown)}")
    lines = [_HEAD]
    lines += [f"- [{name}](#{name}): {tables[name]['about']}\n" for name in sorted(tables)]
    for name in sorted(tables):
        lines += _table(name, tables[name], described["columns"], on_duckdb.get(name), on_postgres.get(name))
    lines.append("\n## Views\n")
    for name in sorted(views):
        columns = ", ".join(f"`{each}`" for each in both[name].columns)
        lines.append(f"\n### {name}\n\n{views[name]}\n\n{columns}\n")
    return "".join(lines)


def _table(
    name: str,
    about: Mapping[str, Any],
    common: Mapping[str, str],
    on_duckdb: Relation | None,
    on_postgres: Relation | None,
) -> Iterator[str]:
    yield f"\n## {name}\n\n{about['about']} Written by `{about['writes']}`.\n\n"
    yield "| column | DuckDB | PostgreSQL | may be null | what it is |\n|---|---|---|---|---|\n"
    shown = (on_postgres or Relation()).columns | (on_duckdb or Relation()).columns
    own = about.get("columns", {})
    if unknown := own.keys() - shown.keys():
        raise KeyError(f"{name} has no {sorted(unknown)}")
    for column, (_, is_null) in shown.items():
        kinds = [each.columns[column][0] if each else "–" for each in (on_duckdb, on_postgres)]
        text = own[column] if column in own else common[column]
        yield f"| `{column}` | {kinds[0]} | {kinds[1]} | {'yes' if is_null else ''} | {text} |\n"
    yield from _facts("DuckDB", on_duckdb)
    yield from _facts("PostgreSQL", on_postgres)


def _facts(engine: str, relation: Relation | None) -> Iterator[str]:
    facts: Sequence[str] = relation.facts if relation else ()
    if facts:
        yield f"\n{engine}:\n\n"
        yield from (f"- `{each}`\n" for each in facts)


def dictionary(postgres_url: str) -> str:
    """Return the page, of schemas that are migrated for it."""
    with TemporaryDirectory() as folder, fresh_schema(postgres_url) as url:
        path = Path(folder) / "ingest.duckdb"
        DuckDBDatabase(path, 20).migrate()
        database = PostgresDatabase(SecretStr(url), 20)
        database.migrate()
        database.close()
        return page(duckdb_relations(path), postgres_relations(url))


if __name__ == "__main__":
    with running_server(os.environ.get("TEST_POSTGRES_URL")) as server:
        PAGE.write_text(dictionary(server), encoding="utf-8")
