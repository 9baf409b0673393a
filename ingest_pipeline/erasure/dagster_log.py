"""Erasure in Dagster's event log, whose metadata quotes messages, such as lines that were not parsed.

A text in Markdown may be of any message, and the log does not say of which. So all such texts but the
pictures are taken out of the log, in every table that keeps events: Dagster writes an event down several
times.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline.storage.engine.queries import Query, parse_queries, quoted, sql_folder

POSTGRES_VARIABLE = "INGEST_DAGSTER_POSTGRES_URL"
TABLES = {
    "event_logs": "event",
    "asset_keys": "last_materialization",
    "asset_check_executions": "evaluation_event",
}
_TEXT = "md_str"
_IN_PLACE = "taken out when messages were erased"
_WAIT_SECONDS = 30.0


def erase_from_dagster(home: Path, *, dry_run: bool = False) -> tuple[int, list[str]]:
    """Take texts in Markdown out of Dagster's log.

    Args:
        home: Dagster's own folder.
        dry_run: Whether to count only.

    Returns:
        How many entries had such texts, and remarks on files that could not be written anew.
    """
    url = os.environ.get(POSTGRES_VARIABLE)
    if url:
        return _in_postgres(url, dry_run=dry_run), []
    count, remarks = 0, []
    for path in sorted((home / "history").rglob("*.db")):
        if not _may_quote(path):
            continue
        try:
            count += _in_file(path, dry_run=dry_run)
        except sqlite3.OperationalError as error:
            remarks.append(f"{path} could not be written anew ({error}): stop Dagster and run it again")
    return count, remarks


def _may_quote(path: Path) -> bool:
    beside = path.with_name(f"{path.name}-wal")
    return any(_TEXT.encode() in each.read_bytes() for each in (path, beside) if each.exists())


@cache
def _queries() -> dict[str, Query]:
    text = (sql_folder("sqlite") / "dagster_log.sql").read_text(encoding="utf-8")
    return {query.name: query for query in parse_queries(text)}


def _in_file(path: Path, *, dry_run: bool) -> int:
    queries = _queries()
    count = 0
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as log:
        log.execute(queries["overwrite_deleted"].text)
        for table, column in TABLES.items():
            if not log.execute(queries["has_table"].text, {"table": table}).fetchone():
                continue
            names = {"table": quoted(table), "field": quoted(column)}
            found = log.execute(queries["list_quoting"].statement(names, {})).fetchall()
            for number, entry in found:
                after = _without_texts(entry)
                if after != entry:
                    count += 1
                    if not dry_run:
                        values = {"entry": after, "id": number}
                        log.execute(queries["replace_entry"].statement(names, values), values)
        if not dry_run:
            log.execute(queries["vacuum_log"].text)
            log.execute(queries["empty_log"].text)
    return count


def _in_postgres(url: str, *, dry_run: bool) -> int:
    count = 0
    database = PostgresDatabase(SecretStr(url), _WAIT_SECONDS, POSTGRES_VARIABLE, is_patient=False)
    with database.outside_transactions() as connection:
        for table, column in TABLES.items():
            if not connection.fetch_one("find_dagster_table", table=table):
                continue
            names = {"table": quoted(table), "field": quoted(column)}
            changed = 0
            for row in connection.fetch_all("list_quoting", names):
                after = _without_texts(row["entry"])
                if after != row["entry"]:
                    changed += 1
                    if not dry_run:
                        connection.execute("replace_entry", names, entry=after, id=row["id"])
            if changed and not dry_run:
                connection.execute("vacuum_table", {"table": quoted(table)})
            count += changed
    return count


def _without_texts(entry: str) -> str:
    try:
        stated = json.loads(entry)
    except ValueError:
        return entry
    texts = [each for each in _texts(stated) if not each[_TEXT].startswith(("![", _IN_PLACE))]
    for each in texts:
        each[_TEXT] = _IN_PLACE
    return json.dumps(stated) if texts else entry


def _texts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get(_TEXT), str):
            yield value
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
