"""A kind of content: all that the project knows of something messages may say, in one object.

Everything else is made from it: tables on both engines, extraction, the Dagster asset and its check, the
command, the route, the report's section, events. `docs/kinds.md` shows how to write one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.storage.content.changes import Changes
from ingest_pipeline.storage.content.tables import ContentTable
from ingest_pipeline.storage.engine.database import Connection

Tables = Mapping[str, pa.Table]
Found = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows of a kind's tables, by table."""
SettingsOf = Callable[[Collection[int]], Mapping[int, EffectiveSettings]]
"""Returns the settings of some channels."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Live messages that content is read from.

    Attributes:
        messages: A row for each, by ascending id, with the columns that some kind reads; see `COLUMNS`.
        settings: The settings of the messages' channels.
        drivers: Who a driver's name means.
    """

    messages: pa.Table
    settings: Mapping[int, EffectiveSettings]
    drivers: DriverTable


Extract = Callable[[Batch], Tables]
Derive = Callable[[Connection, Sequence[int], SettingsOf, datetime], Changes]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of content.

    Attributes:
        name: Names its asset, its command, its route and the content in events: lower-case words and `_`.
        version: The number of its parser or rule; when it rises, all messages are read again.
        description: What it is, for Dagster and the command's help.
        tables: Its tables, the one that is shown first.
        reads: Columns of the messages that it reads; see `COLUMNS`.
        extract: Returns the rows of its tables for a batch; a table without rows may be left out.
        prefilter: Returns by Arrow which messages may hold it, as a column of booleans; all by default.
            `extract` gets only these.
        derive: In place of `extract`, brings the content of some messages in line itself: for what also
            depends on other messages. Called with the transaction, the messages, what returns the settings
            of channels, and the time.
        is_view: Its table is a view of this project's schema, so that nothing is extracted.
        queries: Named statements that read the rows of tables in some channels and a window, by table; by
            default the common one.
        describe: Returns from these rows what the asset shows of a window besides the number of rows:
            numbers, texts, aware UTC times, and lists of lines in Markdown.
        title: The heading of its section in the report; no section without it.
        shows: Columns of the first table that the report and the command show; all by default.
        event: The event of a message that has rows of the first table and had none before; none by default.
        event_data: That event's figures, from the message's rows.
    """

    name: str
    version: int
    description: str
    tables: tuple[ContentTable, ...]
    reads: tuple[str, ...] = ()
    extract: Extract | None = None
    prefilter: Callable[[pa.Table], pa.ChunkedArray] | None = None
    derive: Derive | None = None
    is_view: bool = False
    queries: Mapping[str, str] = field(default_factory=dict)
    describe: Callable[[Found], Mapping[str, Any]] | None = None
    title: str = ""
    shows: tuple[str, ...] = ()
    event: str = ""
    event_data: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]] | None = None

    @property
    def table(self) -> ContentTable:
        """The table that is shown."""
        return self.tables[0]
