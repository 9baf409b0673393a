"""Contenders: what each is measured on, and how much of a large file each gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from benchmarks.jobs import Job

Work = Callable[[], int]
Engine = Literal["duckdb", "sqlite", "postgres"]
ROWWISE = 1_000


@dataclass(frozen=True, slots=True)
class Contender:
    """Someone who brings an export into a table, or does a part of that.

    Attributes:
        name: What it is called in results.
        place: `module:function` that prepares the work: imports and connects, and returns it.
        engine: What it writes into; None for those that only read.
        title: What it is called in tables.
        most: The largest file it is given; of larger ones it gets as many messages, and the rate counts.
        is_floor: Whether it does less than the others: rows already parsed, or no rows at all.
    """

    name: str
    place: str
    engine: Engine | None
    title: str
    most: int | None = None
    is_floor: bool = False


CONTENDERS = (
    Contender("ours-duckdb", "ours:merge", "duckdb", "**ingest_pipeline**"),
    Contender("dlt-arrow-duckdb", "dlt_rival:merge_arrow", "duckdb", "dlt, upsert, Arrow tables"),
    Contender(
        "dlt-dicts-duckdb", "dlt_rival:merge_dicts", "duckdb", "dlt, upsert, dictionaries", most=5 * ROWWISE
    ),
    Contender("read-json-duckdb", "floors:read_json", "duckdb", "DuckDB SQL over read_json"),
    Contender(
        "sqlite-utils",
        "rivals:sqlite_utils_upsert",
        "sqlite",
        "sqlite-utils, upsert_all (SQLite)",
        most=100 * ROWWISE,
    ),
    Contender(
        "django-sqlite",
        "django_rival:update_or_create",
        "sqlite",
        "Django, update_or_create (SQLite)",
        most=ROWWISE,
    ),
    Contender(
        "floor-duckdb",
        "floors:duckdb_upsert",
        "duckdb",
        "floor: DuckDB's own upsert, rows parsed",
        None,
        True,
    ),
    Contender("ours-postgres", "ours:merge", "postgres", "**ingest_pipeline**"),
    Contender("dlt-arrow-postgres", "dlt_rival:merge_arrow", "postgres", "dlt, upsert, Arrow tables"),
    Contender(
        "dlt-dicts-postgres",
        "dlt_rival:merge_dicts",
        "postgres",
        "dlt, upsert, dictionaries",
        most=5 * ROWWISE,
    ),
    Contender(
        "pandas-postgres",
        "rivals:pandas_to_sql",
        "postgres",
        "pandas.to_sql, ON CONFLICT",
        most=10 * ROWWISE,
    ),
    Contender(
        "django-postgres",
        "django_rival:update_or_create",
        "postgres",
        "Django, update_or_create",
        most=ROWWISE,
    ),
    Contender(
        "floor-postgres",
        "floors:postgres_copy",
        "postgres",
        "floor: COPY and upsert, rows parsed",
        None,
        True,
    ),
)
MERGERS = (
    Contender("tables-duckdb", "ours:merge_tables", "duckdb", "**ingest_pipeline**"),
    Contender("tables-dlt-duckdb", "dlt_rival:merge_tables", "duckdb", "dlt, upsert"),
    Contender("tables-postgres", "ours:merge_tables", "postgres", "**ingest_pipeline**"),
    Contender("tables-dlt-postgres", "dlt_rival:merge_tables", "postgres", "dlt, upsert"),
)
READERS = (
    Contender("ours-reader", "ours:read", None, "**ingest_pipeline**: read and normalized"),
    Contender(
        "simdjson", "floors:simdjson_parse", None, "floor: bare simdjson parse, no rows", is_floor=True
    ),
    Contender("json", "rivals:json_parse", None, "json.loads, no rows", is_floor=True),
)
PIPED = (
    Contender("piped-duckdb", "ours:merge_piped", "duckdb", "**ingest_pipeline**, through a pipe"),
    Contender("piped-postgres", "ours:merge_piped", "postgres", "**ingest_pipeline**, through a pipe"),
)
BY_NAME = {contender.name: contender for contender in (*CONTENDERS, *MERGERS, *READERS, *PIPED)}


def prepare(job: Job) -> Work:
    """Import and connect whatever a contender needs, and return its work."""
    module, _, function = BY_NAME[job.contender].place.partition(":")
    work: Work = getattr(import_module(f"benchmarks.{module}"), function)(job)
    return work
