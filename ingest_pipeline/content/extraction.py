"""Extraction of content into tables beside the messages: what `kind.py` describes, for all kinds alike.

One function does it for every path: the gateway calls it in the transaction of its batch, the assets for
windows of sessions. A message's content is replaced when it is read differently than before (an edit, a
better parser, a changed table of drivers), withdrawn when the message is deleted, and otherwise left as
it is; so extracting again is free of consequences.

It works in sets: messages come as Arrow, Arrow finds which of them may hold a kind, and the database finds
which rows differ.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.content.kind import Batch, Kind, SettingsOf, Tables
from ingest_pipeline.content.messages import WORDS, columns_of, with_words
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import IngestError
from ingest_pipeline.storage.content.changes import Changes, united
from ingest_pipeline.storage.content.kinds import KindVersion, known_versions, register_kinds
from ingest_pipeline.storage.content.rows import (
    as_table,
    content_ids,
    content_sources,
    lock_content,
    replace_content,
    stage_targets,
    tables_with_rows,
)
from ingest_pipeline.storage.content.tables import ContentTable
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.changes import ChangeKind, record_changes
from ingest_pipeline.storage.messages.deletions import lock_messages
from ingest_pipeline.storage.messages.membership import forget_relinked, relinked_messages

BATCH_MESSAGES = 20_000
# A message of 20 lines of setups becomes 20 objects before they are a table.
_READ_AT_ONCE = 4_000
_RELINKED_AT_ONCE = 20_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContentReport:
    """The result of an extraction.

    Attributes:
        messages: Messages looked at, deleted ones too.
        kinds: By kind, which messages' content changed, in all its tables together. For highlights also of
            messages that were not asked for, whose score changed with the others'.
        tables: The same by table, for the kinds that are read from messages alone.
    """

    messages: int = 0
    kinds: Mapping[str, Changes] = field(default_factory=dict)
    tables: Mapping[str, Changes] = field(default_factory=dict)

    def parsed(self, kinds: Collection[Kind]) -> dict[int, tuple[str, ...]]:
        """Return what was read out of messages for the first time or differently than before, by message.

        Kinds that also depend on other messages are left out: a score changes with what others say.
        """
        return self._kinds_by_message(kinds, lambda changes: (*changes.created, *changes.changed))

    def withdrawn(self, kinds: Collection[Kind]) -> dict[int, tuple[str, ...]]:
        """Return what messages do not say any more, by message; the same kinds are left out."""
        return self._kinds_by_message(kinds, lambda changes: changes.withdrawn)

    def of_changed_kinds(self) -> ContentReport:
        """Leave out the kinds of which nothing has changed."""
        kinds = {
            kind: changes
            for kind, changes in self.kinds.items()
            if changes.created or changes.changed or changes.withdrawn
        }
        return replace(self, kinds=kinds)

    def _kinds_by_message(
        self, kinds: Collection[Kind], choose: Callable[[Changes], Sequence[int]]
    ) -> dict[int, tuple[str, ...]]:
        found: dict[int, tuple[str, ...]] = {}
        for kind in kinds:
            if kind.extract:
                for discord_id in choose(self.kinds.get(kind.name, Changes())):
                    found[discord_id] = (*found.get(discord_id, ()), kind.name)
        return dict(sorted(found.items()))

    def changed_ids(self) -> list[int]:
        """Return the messages of which any content changed, ascending."""
        changes = self.kinds.values()
        ids = (np.array(each, np.int64) for one in changes for each in one.each_ids)
        return list(map(int, united(ids)))

    def __add__(self, other: ContentReport) -> ContentReport:
        """Join the reports of two batches."""
        return ContentReport(
            self.messages + other.messages,
            _added(self.kinds, other.kinds),
            _added(self.tables, other.tables),
        )


def _added(one: Mapping[str, Changes], other: Mapping[str, Changes]) -> dict[str, Changes]:
    return {name: one.get(name, Changes()) + other.get(name, Changes()) for name in {**one, **other}}


def extract_for(
    connection: Connection,
    discord_ids: Sequence[int],
    rules: ContentRules,
    *,
    kinds: Collection[str] | None = None,
    now: datetime | None = None,
) -> ContentReport:
    """Bring the content of messages in line with them, inside an open transaction.

    With them, when all kinds are read, that of messages whose session has become another, and of messages
    that were last read by an older version of a kind.

    Args:
        connection: An open write transaction; when it merges or deletes as well, do that first.
        discord_ids: The messages that came, changed or were deleted; ids of none are ignored.
        rules: What is read by.
        kinds: What to read, by name; everything by default.
        now: When, aware UTC; the present by default.
    """
    moment = now or datetime.now(UTC)
    wanted = [kind for kind in rules.kinds if kinds is None or kind.name in kinds]
    settings_of = _each_once(partial(rules.of, connection))
    report = ContentReport(kinds={kind.name: Changes() for kind in wanted})
    everything = len(wanted) == len(rules.kinds)
    register_kinds(connection, _versions(rules.kinds), discord_ids if everything else (), now=moment)
    relinked = relinked_messages(connection, _RELINKED_AT_ONCE) if everything else []
    if relinked:
        lock_messages(connection, relinked)
    unique = sorted({*discord_ids, *relinked})
    for first in range(0, len(unique), BATCH_MESSAGES):
        batch = unique[first : first + BATCH_MESSAGES]
        report += _extract(connection, batch, rules, settings_of, wanted, now=moment)
    # All at once: what is usual in a session moves once, not with each batch.
    for kind in wanted if unique else ():
        if kind.derive:
            report += ContentReport(kinds={kind.name: kind.derive(connection, unique, settings_of, moment)})
    if relinked:
        forget_relinked(connection, relinked)
    record_changes(connection, ChangeKind.CONTENT, report.changed_ids(), now=moment)
    return report


def _each_once(read: SettingsOf) -> SettingsOf:
    """Return what reads each channel's settings once."""
    known: dict[int, EffectiveSettings] = {}

    def settings_of(channel_ids: Collection[int]) -> Mapping[int, EffectiveSettings]:
        if unknown := set(channel_ids) - known.keys():
            known.update(read(unknown))
        return {channel_id: known[channel_id] for channel_id in channel_ids}

    return settings_of


def _versions(kinds: Collection[Kind]) -> list[KindVersion]:
    return [KindVersion(kind.name, kind.version, kind.tables) for kind in kinds if not kind.is_view]


def any_relinked(connection: Connection, rules: ContentRules) -> bool:
    """Return whether the session of any messages has become another, or a kind has a newer version."""
    known = known_versions(connection)
    if any(known.get(kind.name, 0) < kind.version for kind in _versions(rules.kinds)):
        return True
    return bool(relinked_messages(connection, 1))


def extract_relinked(connection: Connection, rules: ContentRules) -> bool:
    """Bring the content of these messages in line; return whether there were any.

    There may be more of them; call it again in another transaction until there are none.
    """
    return extract_for(connection, (), rules).messages > 0


def extract_window(
    database: Database,
    channel_ids: Sequence[int],
    window: Window,
    rules: ContentRules,
    *,
    kinds: Collection[str] | None = None,
    now: datetime | None = None,
) -> ContentReport:
    """Bring the content of a time range in line with its messages, a batch for each transaction.

    Args:
        database: Where.
        window: When the messages were posted.
        rules: What is read by.
        kinds: What to read, by name; everything by default.
        now: When, aware UTC; the present by default.

    Raises:
        DatabaseBusy: Another process held the database for too long; what was done before stays.
        DatabaseUnavailable: The database cannot be reached; what was done before stays.
    """
    moment = now or datetime.now(UTC)
    report, after = ContentReport(), 0

    def work(connection: Connection) -> tuple[list[int], ContentReport]:
        ids = content_ids(connection, channel_ids, window, after_id=after, limit=BATCH_MESSAGES)
        # As a merge does: what it changes and what is read here must not pass each other.
        lock_messages(connection, ids)
        return ids, extract_for(connection, ids, rules, kinds=kinds, now=moment)

    while True:
        ids, done = database.run(work)
        report += done
        if len(ids) < BATCH_MESSAGES:
            return report
        after = ids[-1]


def _extract(
    connection: Connection,
    discord_ids: Sequence[int],
    rules: ContentRules,
    settings_of: SettingsOf,
    kinds: Collection[Kind],
    *,
    now: datetime,
) -> ContentReport:
    stage_targets(connection, discord_ids)
    reads = {name for kind in kinds for name in kind.reads}
    sources = content_sources(connection, columns_of(reads))
    channel_ids = set(pc.unique(sources["channel_id"]).to_pylist())
    lock_content(connection, channel_ids)
    live = sources.filter(sources["is_live"])
    batch = Batch(with_words(live) if WORDS in reads else live, settings_of(channel_ids), rules.drivers)
    done: dict[str, Changes] = {}
    tables: dict[str, Changes] = {}
    read = [kind for kind in kinds if kind.extract]
    stored = tables_with_rows(connection, [table for kind in read for table in kind.tables])
    for kind in read:
        done[kind.name], changes = replace_content(connection, _rows_of(kind, batch), stored, now=now)
        tables |= changes
    return ContentReport(len(sources), done, tables)


def _rows_of(kind: Kind, batch: Batch) -> dict[ContentTable, pa.Table]:
    """Return the rows that some messages should have in each table of a kind."""
    messages = batch.messages
    if kind.prefilter and len(messages):
        messages = messages.filter(kind.prefilter(messages))
    found = [
        tables
        for first in range(0, len(messages), _READ_AT_ONCE)
        for tables in _read(kind, replace(batch, messages=messages.slice(first, _READ_AT_ONCE)))
    ]
    return {
        table: pa.concat_tables(
            [as_table(table, ()), *(each[table.name] for each in found if table.name in each)]
        )
        for table in kind.tables
    }


def _read(kind: Kind, batch: Batch) -> list[Tables]:
    """Read messages; a fault of a parser costs no more than what the one message says that it failed at."""
    try:
        return [kind.extract(batch)] if kind.extract else []
    except IngestError:
        raise
    except Exception:
        messages = batch.messages
        if len(messages) == 1:
            discord_id = messages["discord_id"][0].as_py()
            _logger.exception("%s: message %s cannot be read: please report it", kind.name, discord_id)
            return []
        middle = len(messages) // 2
        halves = messages.slice(0, middle), messages.slice(middle)
        return [tables for half in halves for tables in _read(kind, replace(batch, messages=half))]
