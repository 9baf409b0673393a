"""Rows of the content tables, kept consistent with the messages.

A message's rows in a table are replaced when they differ from what is wanted, and left alone when they do
not, so that extracting again writes nothing. What the rows are is decided in `content/rows.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

import pyarrow as pa

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.columns import column, repeated
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import quoted

Row = tuple[Any, ...]

_TIME = pa.timestamp("us", tz="UTC")
_PRICE = pa.decimal128(17, 8)
_EXTRACTED_AT = pa.field("extracted_at", _TIME)


@dataclass(frozen=True, slots=True)
class ContentTable:
    """A table whose rows belong to messages.

    Attributes:
        name: Its name.
        key: Its key, `discord_id` first.
        columns: Its columns in order, without `extracted_at`, which comes last.
    """

    name: str
    key: tuple[str, ...]
    columns: pa.Schema

    @property
    def names(self) -> dict[str, str]:
        """The places of `read_content` filled."""
        return {
            "table": quoted(self.name),
            "columns": ", ".join(map(quoted, self.columns.names)),
            "key": ", ".join(map(quoted, self.key)),
        }


_LINE = ("discord_id", "line_number")
RADIO_MESSAGES = ContentTable(
    "radio_messages",
    ("discord_id",),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "driver": pa.string(),
            "radio_text": pa.string(),
            "driver_code": pa.string(),
            "driver_name": pa.string(),
            "driver_number": pa.int32(),
            "driver_team": pa.string(),
            "driver_season": pa.int32(),
            "parser_version": pa.int32(),
        }
    ),
)
TRADE_SETUPS = ContentTable(
    "trade_setups",
    _LINE,
    pa.schema(
        {
            "discord_id": pa.int64(),
            "line_number": pa.int32(),
            "ticker": pa.string(),
            "trading_day": pa.date32(),
            "kind": pa.string(),
            "direction": pa.string(),
            "aggressiveness": pa.string(),
            "trigger_price": _PRICE,
            "zone_low": _PRICE,
            "zone_high": _PRICE,
            "stop_price": _PRICE,
            "targets": pa.string(),
            "has_suspect_targets": pa.bool_(),
            "label": pa.string(),
            "parser_version": pa.int32(),
        }
    ),
)
TICKER_BIASES = ContentTable(
    "ticker_biases",
    _LINE,
    pa.schema(
        {
            "discord_id": pa.int64(),
            "line_number": pa.int32(),
            "ticker": pa.string(),
            "trading_day": pa.date32(),
            "bias_text": pa.string(),
            "stance": pa.string(),
            "parser_version": pa.int32(),
        }
    ),
)
UNPARSED_LINES = ContentTable(
    "unparsed_lines",
    _LINE,
    pa.schema(
        {
            "discord_id": pa.int64(),
            "line_number": pa.int32(),
            "ticker": pa.string(),
            "line_text": pa.string(),
            "reason": pa.string(),
            "parser_version": pa.int32(),
        }
    ),
)
CLIPS = ContentTable(
    "clips",
    ("discord_id", "clip_number"),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "clip_number": pa.int32(),
            "clip_key": pa.string(),
            "origin": pa.string(),
            "url": pa.string(),
            "file_name": pa.string(),
            "content_type": pa.string(),
            "size_bytes": pa.int64(),
            "expires_at": _TIME,
            "part": pa.string(),
            "is_stream_clip": pa.bool_(),
            "clip_created_at": _TIME,
            "parser_version": pa.int32(),
        }
    ),
)
HIGHLIGHTS = ContentTable(
    "highlights",
    ("discord_id",),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "score": pa.float64(),
            "is_candidate": pa.bool_(),
            "reasons": pa.string(),
            "rule_version": pa.int32(),
            "rule_digest": pa.string(),
        }
    ),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Which messages' rows in a table changed, by id, ascending.

    Attributes:
        created: Messages that had none and have some now.
        changed: Messages that have other rows now.
        withdrawn: Messages that have none any more.
        rows: Rows that the looked-at messages have now.
        kept: Messages whose rows are as they were.
    """

    created: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    withdrawn: tuple[int, ...] = ()
    rows: int = 0
    kept: tuple[int, ...] = field(default=(), compare=False, repr=False)

    def beside(self, other: Changes) -> Changes:
        """Join the changes of the same messages in another table, as if both tables were one."""
        both = self, other
        differing = {each for part in both for each in (*part.created, *part.changed, *part.withdrawn)}
        had = {each for part in both for each in (*part.changed, *part.withdrawn, *part.kept)}
        have = {each for part in both for each in (*part.created, *part.changed, *part.kept)}
        return Changes(
            created=tuple(sorted(differing & have - had)),
            changed=tuple(sorted(differing & have & had)),
            withdrawn=tuple(sorted(differing & had - have)),
            rows=self.rows + other.rows,
            kept=tuple(sorted((have & had) - differing)),
        )

    def __add__(self, other: Changes) -> Changes:
        """Join the changes of two sets of messages."""
        return Changes(
            _joined(self.created, other.created),
            _joined(self.changed, other.changed),
            _joined(self.withdrawn, other.withdrawn),
            self.rows + other.rows,
            _joined(self.kept, other.kept),
        )


def content_sources(connection: Connection, discord_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return what content is read from, deleted messages too, by ascending id.

    Returns:
        `discord_id`, `session_id`, `channel_id`, `author_name`, `posted_at` and `deleted_at` (aware UTC),
        `raw_content`, `attachments` and `embeds` (JSON text) with their counts, `parts`, `details` and
        `details_parts` (JSON text or None), and `season`, the year of the session or else of posting.
    """
    return connection.fetch_all("content_sources", discord_ids=list(discord_ids))


def content_ids(
    connection: Connection, channel_ids: Sequence[int], window: Window, *, after_id: int, limit: int
) -> list[int]:
    """Return the next messages of some channels posted in a window, deleted ones too, by ascending id.

    Args:
        window: When they were posted.
        after_id: Only messages above this id.
        limit: At most so many.
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
    """Take turns, until the transaction ends, with whoever else extracts from these channels.

    A transaction that merges or locks messages has to do so before.
    """
    connection.execute("lock_content", channel_ids=sorted(set(channel_ids)))


def replace_rows(
    connection: Connection,
    table: ContentTable,
    discord_ids: Sequence[int],
    rows: Iterable[Row],
    *,
    now: datetime,
) -> Changes:
    """Make the rows of some messages what they should be, writing only what differs.

    Args:
        discord_ids: The messages; those without a row in `rows` have none afterwards.
        rows: Values of `table.columns`, in the order of the table's key.
        now: `extracted_at` of rows that are written, aware UTC.
    """
    wanted = _by_message(rows)
    found = connection.fetch_all("read_content", table.names, discord_ids=list(discord_ids))
    stored = _by_message(tuple(row.values()) for row in found)
    touched = sorted(wanted.keys() | stored.keys())
    differing = [each for each in touched if wanted.get(each) != stored.get(each)]
    if differing:
        connection.execute("withdraw_content", {"table": quoted(table.name)}, discord_ids=differing)
        _write(connection, table, [row for each in differing for row in wanted.get(each, ())], now)
    return Changes(
        created=tuple(each for each in differing if each not in stored),
        changed=tuple(each for each in differing if each in stored and each in wanted),
        withdrawn=tuple(each for each in differing if each not in wanted),
        rows=sum(len(each) for each in wanted.values()),
        kept=tuple(each for each in touched if wanted.get(each) == stored.get(each)),
    )


def _by_message(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    return {discord_id: list(group) for discord_id, group in groupby(rows, key=lambda row: row[0])}


def _write(connection: Connection, table: ContentTable, rows: Sequence[Row], now: datetime) -> None:
    if not rows:
        return
    arrays = [
        column(values, field.type)
        for values, field in zip(zip(*rows, strict=True), table.columns, strict=True)
    ]
    arrays.append(repeated(now, _TIME, len(rows)))
    connection.load(table.name, pa.Table.from_arrays(arrays, schema=table.columns.append(_EXTRACTED_AT)))


def _joined(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    # Batches go up by id, so nearly always one follows the other.
    if not one or not other or one[-1] < other[0]:
        return one + other
    return tuple(sorted({*one, *other}))
