"""Content kinds of a project's own: what a regular expression finds in messages, as Parquet files.

A kind of content with a table of its own and rules of its own is in `extraction.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.stored_files import new_version, open_root
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import EXPORT_SCHEMA, MessageFilter, message_pages

_COLUMNS = ("discord_id", "channel_id", "session_id", "posted_at", "author_name", "message_text")


@dataclass(frozen=True, slots=True)
class PatternKind:
    """A kind of content that a regular expression finds.

    Attributes:
        name: Of the asset, and of the folder of its files.
        pattern: Its named groups are columns.
        channel_ids: The channels that are looked at.
    """

    name: str
    pattern: re.Pattern[str]
    channel_ids: frozenset[int]

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows: those of the message, then the groups as texts (null where one is not)."""
        own = [EXPORT_SCHEMA.field(name) for name in _COLUMNS]
        return pa.schema([*own, *((name, pa.string()) for name in self.pattern.groupindex)])


def read_pattern(name: str, pattern: str, channel_ids: Collection[int]) -> PatternKind:
    """Return a kind out of what was written.

    Raises:
        ConfigurationError: The name is no name of an asset, or the pattern no regular expression with named
            groups that are no columns yet.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name):
        raise ConfigurationError(f"{name!r} cannot name a content kind: write small letters, digits and _")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"the pattern of {name}, {pattern!r}, is wrong: {error}") from None
    taken = compiled.groupindex.keys() & set(_COLUMNS)
    if taken or not compiled.groupindex:
        problem = f"has the group {min(taken)}, which is a column already" if taken else "has no named group"
        raise ConfigurationError(f"the pattern of {name}, {pattern!r}, {problem}: write (?P<lap>[0-9]+)")
    return PatternKind(name, compiled, frozenset(channel_ids))


def save_matches(services: Services, kind: PatternKind, session: Session, key: str, window: Window) -> int:
    """Find a window's content in its live messages, and replace its file.

    Returns:
        The number of rows: one for each place that matches.

    Raises:
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
        StorageRejected: The file cannot be written; it is as it was.
        StorageUnavailable: The store of files does not answer; the file is as it was, or new.
    """
    wanted = MessageFilter(session_id=session.session_id, since=window.start, until=window.end)
    with services.database.read() as connection:
        table = pa.Table.from_pylist(list(_matches(connection, kind, wanted)), schema=kind.schema)
    target = matches_file(services.settings, kind.name, session.session_id, key)
    with new_version(target) as draft:
        pq.write_table(table, draft)
    return int(table.num_rows)


def matches_file(settings: Settings, name: str, session_id: str, key: str) -> UPath:
    """Return where a window's rows of a kind are."""
    root = open_root(settings.normalized_root)
    return root.with_name(root.name.replace("normalized", "matches")) / name / session_id / f"{key}.parquet"


def _matches(connection: Connection, kind: PatternKind, wanted: MessageFilter) -> Iterator[dict[str, object]]:
    for page in message_pages(connection, wanted):
        for row in page.select(list(_COLUMNS)).to_pylist():
            if row["channel_id"] in kind.channel_ids:
                for match in kind.pattern.finditer(row["message_text"] or ""):
                    yield {**row, **match.groupdict()}
