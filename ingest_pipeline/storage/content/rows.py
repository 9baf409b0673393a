"""Rows of the content tables, kept consistent with the messages.

A message's rows in a table are replaced when they differ from what is wanted, and left alone when they do
not, so that extracting again writes nothing. What the rows are is decided in `content/rows.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.content.changes import Changes, changes_of, unique_ids, united
from ingest_pipeline.storage.content.tables import TIME, ContentTable
from ingest_pipeline.storage.engine.columns import column, repeated
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import quoted

Row = tuple[Any, ...]

_EXTRACTED_AT = pa.field("extracted_at", TIME)


def stage_targets(connection: Connection, discord_ids: Sequence[int]) -> None:
    """Stage the messages that content is extracted of, for the functions below."""
    ids = column(discord_ids, pa.int64())
    connection.stage("content_targets", pa.table({"discord_id": ids}))


def content_sources(connection: Connection, columns: Sequence[str]) -> pa.Table:
    """Return what content of the staged messages is read from, deleted ones too, by ascending id.

    Args:
        columns: Columns of the statement `content_sources`.

    Returns:
        `discord_id`, `is_live`, `channel_id` and the columns asked for.
    """
    names = dict.fromkeys(("discord_id", "is_live", "channel_id", *columns))
    return connection.fetch_arrow("content_sources", {"columns": ", ".join(map(quoted, names))})


def rows_of_messages(
    connection: Connection, table: ContentTable, discord_ids: Collection[int]
) -> list[dict[str, Any]]:
    """Return the rows of some messages in a table, in the order of its key."""
    return connection.fetch_all("read_content", table.names, discord_ids=list(discord_ids))


def content_ids(
    connection: Connection, channel_ids: Sequence[int], window: Window, *, after_id: int, limit: int
) -> list[int]:
    """Return the next messages of some channels posted in a window, deleted ones too, by ascending id.

    Args:
        window: When they were posted.
        after_id: Only messages above this id.
        limit: How many at most.
    """
    rows = connection.fetch_all(
        "content_ids",
        channel_ids=list(channel_ids),
        start=window.start,
        end=window.end,
        after_id=after_id,
        maximum=limit,
    )
    return [row["discord_id"] for row in rows]


def lock_content(connection: Connection, channel_ids: Iterable[int]) -> None:
    """Take turns, until the transaction ends, with every other extraction from these channels.

    A transaction that merges or locks messages has to do so before.
    """
    connection.execute("lock_content", channel_ids=sorted(set(channel_ids)))


def tables_with_rows(connection: Connection, tables: Collection[ContentTable]) -> frozenset[ContentTable]:
    """Return in which of some tables the staged messages have rows."""
    if not tables:
        return frozenset()
    parts = ", ".join(table.has_rows for table in tables)
    found = connection.fetch_one("tables_with_content", {"tables": parts}) or {}
    return frozenset(table for table in tables if found[table.name])


@dataclass(frozen=True, slots=True)
class TableChanges:
    """Which of the staged messages have other rows in a table than they should.

    Attributes:
        differing: Their ids, int64, ascending.
        any_stored: Whether any staged message has rows in the table.
    """

    differing: np.ndarray
    any_stored: bool


def replace_content(
    connection: Connection,
    wanted: Mapping[ContentTable, pa.Table],
    stored: Collection[ContentTable],
    *,
    now: datetime,
) -> tuple[Changes, dict[str, Changes]]:
    """Make the rows of the staged messages in some tables what they should be, writing only what differs.

    Args:
        wanted: All rows that the messages should have, by table.
        stored: The tables in which they have rows.
        now: `extracted_at` of rows that are written, aware UTC.

    Returns:
        The changes as if the tables were one, and those of each table by its name.
    """
    found = {
        table: _compare(connection, table, rows, is_stored=table in stored) for table, rows in wanted.items()
    }
    differing = united(each.differing for each in found.values())
    if not len(differing):
        return Changes(rows=sum(map(len, wanted.values()))), {
            table.name: Changes(rows=len(rows)) for table, rows in wanted.items()
        }
    have = {table: unique_ids(rows) for table, rows in wanted.items()}
    had = {
        table: _stored_among(connection, table, differing) if each.any_stored else differing[:0]
        for table, each in found.items()
    }
    for table, rows in wanted.items():
        if len(found[table].differing):
            _replace(connection, table, rows, found[table], now)
    each = {
        table.name: changes_of(found[table].differing, had[table], have[table], len(rows))
        for table, rows in wanted.items()
    }
    total = sum(map(len, wanted.values()))
    return changes_of(differing, united(had.values()), united(have.values()), total), each


def _compare(
    connection: Connection, table: ContentTable, wanted: pa.Table, *, is_stored: bool
) -> TableChanges:
    if not is_stored:
        return TableChanges(unique_ids(wanted), any_stored=False)
    connection.stage_like(table.wanted, table.name, wanted)
    found = connection.fetch_arrow("differing_content", {**table.compared, "wanted": quoted(table.wanted)})
    return TableChanges(unique_ids(found), any_stored=True)


def _stored_among(connection: Connection, table: ContentTable, discord_ids: np.ndarray) -> np.ndarray:
    names = {"table": quoted(table.name)}
    return unique_ids(connection.fetch_arrow("content_among", names, discord_ids=discord_ids.tolist()))


def _replace(
    connection: Connection, table: ContentTable, wanted: pa.Table, changes: TableChanges, now: datetime
) -> None:
    if changes.any_stored:
        differing = changes.differing.tolist()
        connection.execute("withdraw_content", {"table": quoted(table.name)}, discord_ids=differing)
        names = {**table.names, "wanted": quoted(table.wanted)}
        connection.execute("insert_content", names, discord_ids=differing, now=now)
        return
    connection.load(table.name, extracted(wanted, now))


def extracted(rows: pa.Table, now: datetime) -> pa.Table:
    """Return rows of a content table with `extracted_at`, aware UTC."""
    return rows.append_column(_EXTRACTED_AT, repeated(now, TIME, len(rows)))


def as_table(table: ContentTable, rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table of the content table's columns."""
    columns = zip(*rows, strict=True) if rows else [()] * len(table.columns)
    arrays = [column(values, field.type) for values, field in zip(columns, table.columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=table.columns)
