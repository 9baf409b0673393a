"""Erasure in the tables: every row of a message that the list of erasures names, in every table.

Tables that are of messages are found in the schema by a column `discord_id` or `message_id`, so those of
further kinds of content are among them. All that is deleted is deleted by the list alone: a sweep that was
broken off is finished by the next one, and a database that was restored from a copy is swept likewise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from ingest_pipeline.domain.erasures import Erasures, Origin, Subject
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.migrations import Table, split_tables
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.erasure.manifests import forget_in_manifests
from ingest_pipeline.storage.erasure_list import (
    erasures_in,
    keep_erasures,
    keep_keys,
    keys_in,
    list_erasures,
    note_erased,
)
from ingest_pipeline.storage.messages.changes import ChangeKind, record_changes
from ingest_pipeline.storage.messages.membership import share_sessions
from ingest_pipeline.storage.runs.state import get_state, set_state

_PAGE_ROWS = 50_000
_AT_ONCE = 20_000
_ID = "discord_id"
_OTHER_ID = "message_id"
_TOMBSTONES = "tombstones"
_PARTS = {"author": "author_id", "channel": "channel_id", "guild": "guild_id"}


@dataclass(frozen=True, slots=True)
class Named:
    """What somebody asks to erase, as it is found now.

    Attributes:
        subject: What it is.
        entity_id: Its id.
        channel_ids: The channels and threads that are erased with it.
        message_ids: Its messages, and those that forward one of them.
    """

    subject: Subject
    entity_id: int
    channel_ids: frozenset[int]
    message_ids: frozenset[int]


@dataclass(slots=True)
class Swept:
    """What a sweep of the tables deleted.

    Attributes:
        rows: How many rows, by table.
        sessions: The sessions that have lost messages.
        clip_paths: Files of clips that no message has any more.
    """

    rows: Counter[str] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)
    clip_paths: set[str] = field(default_factory=set)

    def add(self, other: Swept) -> None:
        """Take in another one."""
        self.rows += other.rows
        self.sessions |= other.sessions
        self.clip_paths |= other.clip_paths


_PENDING = "erasure_pending"


def pending_files(connection: Connection) -> Swept | None:
    """Return what an erasure has left to be done outside the database; None when all is done."""
    noted = get_state(connection, _PENDING)
    if not noted:
        return None
    stated = json.loads(noted)
    return Swept(sessions=set(stated["sessions"]), clip_paths=set(stated["clip_paths"]))


def add_pending(connection: Connection, swept: Swept) -> None:
    """Note what an erasure leaves to be done outside the database, until `end_pending`."""
    earlier = pending_files(connection) or Swept()
    stated = {
        "sessions": sorted(swept.sessions | earlier.sessions),
        "clip_paths": sorted(swept.clip_paths | earlier.clip_paths),
    }
    set_state(connection, _PENDING, json.dumps(stated))


def settle_pending(connection: Connection) -> None:
    """Note that the files are gone, and that there is still free space to be written anew."""
    set_state(connection, _PENDING, json.dumps({"sessions": [], "clip_paths": []}))


def end_pending(connection: Connection) -> None:
    """Note that all is done."""
    set_state(connection, _PENDING, "")


def find_named(connection: Connection, subject: Subject, entity_id: int, before_id: int | None) -> Named:
    """Find what an erasure is of.

    Args:
        connection: A snapshot.
        subject: What is erased.
        entity_id: Its id.
        before_id: Only messages with lower ids are; None for all.
    """
    channels: set[int] = set()
    if subject is Subject.GUILD:
        channels = _ids(connection, "channels_named_of_guild", "channel_id", entity_id=entity_id)
    elif subject is Subject.CHANNEL:
        channels = {entity_id}
    if channels:
        channels |= _ids(connection, "threads_of_channels", "channel_id", channel_ids=sorted(channels))
        found = _ids(connection, "messages_of_channels", _ID, channel_ids=sorted(channels))
    elif subject is Subject.AUTHOR:
        found = _ids(connection, "messages_by_author", _ID, entity_id=entity_id)
    else:
        found = {entity_id}
    if before_id is not None and subject is not Subject.MESSAGE:
        found = {each for each in found if each < before_id}
    fresh = set(found)
    while fresh:
        # A forward can be forwarded again.
        fresh = _ids(connection, "forwards_of", _ID, discord_ids=sorted(fresh)) - found
        found |= fresh
    return Named(subject, entity_id, frozenset(channels - {entity_id}), frozenset(found))


def _ids(connection: Connection, query: str, name: str, **parameters: object) -> set[int]:
    return {int(row[name]) for row in connection.fetch_all(query, **parameters)}


def note_named(connection: Connection, named: Named, *, before_id: int | None, now: datetime) -> None:
    """Put what is erased on the list, from which moment on nothing of it is taken any more.

    Args:
        connection: A write transaction.
        named: What is erased.
        before_id: As for `find_named`; of single messages everything is.
        now: When, aware UTC.
    """
    connection.execute("lock_sessions")
    note_erased(connection, Subject.MESSAGE, named.message_ids, before_id=None, now=now)
    if named.subject is not Subject.MESSAGE:
        note_erased(connection, named.subject, [named.entity_id], before_id=before_id, now=now)
        note_erased(connection, Subject.CHANNEL, named.channel_ids, before_id=before_id, now=now)
    # From here on the erasure is unfinished.
    add_pending(connection, Swept())


def sweep_tables(database: Database, erasures: Erasures | None = None, *, dry_run: bool = False) -> Swept:
    """Delete every row of erased messages, or count them.

    Args:
        database: Which; its own list of erasures counts.
        erasures: The list that counts in its place.
        dry_run: Whether to count only.
    """
    with database.read() as connection:
        counted = erasures or erasures_in(connection)
        found = sorted(_erased_messages(connection, counted)) if counted else []
        users = sorted(_erased_users(connection, counted)) if counted else []
    swept = Swept()
    for first in range(0, len(found), _AT_ONCE):
        some = found[first : first + _AT_ONCE]
        if dry_run:
            with database.read() as connection:
                swept.add(_counted(connection, some))
        else:
            swept.add(database.run(partial(erase_messages, discord_ids=some)))
    if users:
        work = partial(_erase_users, author_ids=users, dry_run=dry_run)
        if dry_run:
            with database.read() as connection:
                swept.rows += work(connection)
        else:
            swept.rows += database.run(work)
    return swept


def _erased_messages(connection: Connection, erasures: Erasures) -> Iterator[int]:
    seen: set[int] = set()
    for table in _tables_of_messages(connection):
        counted = erasures.but_deleted() if table.name == _TOMBSTONES else erasures
        for origins in _origins(connection, table):
            for origin, is_erased in zip(origins, counted.erased(origins), strict=True):
                if is_erased and origin.message_id not in seen:
                    seen.add(origin.message_id)
                    yield origin.message_id


def _tables_of_messages(connection: Connection) -> list[Table]:
    own, _ = split_tables(connection)
    return [table for table in own if table.columns.keys() & {_ID, _OTHER_ID}]


def _id_column(table: Table) -> str:
    return quoted(_ID if _ID in table.columns else _OTHER_ID)


def _origins(connection: Connection, table: Table) -> Iterator[list[Origin]]:
    columns = table.columns
    names = {
        "table": quoted(table.name),
        "id": _id_column(table),
        **{name: part if part in columns else "NULL::BIGINT" for name, part in _PARTS.items()},
        "forwarded": "CASE WHEN forwarded IS NOT NULL THEN reference_id END"
        if "forwarded" in columns
        else "NULL::BIGINT",
    }
    after = 0
    while True:
        page = connection.fetch_arrow("message_origins", names, after=after, maximum=_PAGE_ROWS)
        rows = [Origin(*row) for row in zip(*(each.to_pylist() for each in page.columns), strict=True)]
        if rows:
            yield rows
        if len(rows) < _PAGE_ROWS:
            return
        # Further origins of the last message may be on the next page.
        after = max(rows[-1].message_id - 1, after + 1)


def _erased_users(connection: Connection, erasures: Erasures) -> set[int]:
    known = _ids(connection, "list_user_ids", "user_id")
    return erasures.erased_ids(Subject.AUTHOR, known)


def erase_messages(connection: Connection, discord_ids: Sequence[int]) -> Swept:
    """Delete every row of some messages, in one transaction with the change feed and the manifests.

    Args:
        connection: A write transaction; the messages are on the list of erasures.
        discord_ids: Which.
    """
    now = datetime.now(UTC)
    share_sessions(connection)
    connection.execute("lock_ids", discord_ids=list(discord_ids))
    connection.execute("lock_manifests")
    swept = _counted(connection, discord_ids)
    stored = connection.fetch_all("stored_among", discord_ids=list(discord_ids))
    sealed: dict[str, dict[int, int]] = {}
    for row in connection.fetch_all("count_sealed_among", discord_ids=list(discord_ids)):
        sealed.setdefault(row["session_id"], {})[row["channel_id"]] = row["n"]
    deleted = erasures_in(connection).erased_ids(Subject.DELETED, discord_ids)
    for table in _tables_of_messages(connection):
        names = {"table": quoted(table.name), "id": _id_column(table)}
        ids = [each for each in discord_ids if each not in deleted or table.name != _TOMBSTONES]
        connection.execute("erase_of_messages", names, discord_ids=ids)
    sessions = sorted(swept.sessions)
    if sessions:
        connection.execute("erase_session_rates", session_ids=sessions)
        connection.execute("erase_session_minutes", session_ids=sessions)
    authors = sorted({row["author_id"] for row in stored if row["author_id"]})
    if authors:
        gone = _ids(connection, "authors_without_messages", "author_id", author_ids=authors)
        swept.rows += _erase_users(connection, sorted(gone), dry_run=False)
    add_pending(connection, swept)
    record_changes(connection, ChangeKind.ERASED, {row[_ID] for row in stored}, now=now)
    forget_in_manifests(connection, sealed, set(discord_ids), now=now)
    return swept


def _counted(connection: Connection, discord_ids: Sequence[int]) -> Swept:
    ids = list(discord_ids)
    swept = Swept()
    for table in _tables_of_messages(connection):
        names = {"table": quoted(table.name), "id": _id_column(table)}
        row = connection.fetch_one("count_of_messages", names, discord_ids=ids)
        if row and row["n"]:
            swept.rows[table.name] = row["n"]
    stored = connection.fetch_all("stored_among", discord_ids=ids)
    swept.sessions = {row["session_id"] for row in stored if row["session_id"]}
    sealed = connection.fetch_all("count_sealed_among", discord_ids=ids)
    swept.sessions |= {row["session_id"] for row in sealed}
    swept.clip_paths = {row["file_path"] for row in connection.fetch_all("clip_paths_among", discord_ids=ids)}
    return swept


def _erase_users(connection: Connection, author_ids: Sequence[int], *, dry_run: bool) -> Counter[str]:
    if not author_ids:
        return Counter()
    row = connection.fetch_one("count_users_among", author_ids=list(author_ids))
    if not dry_run:
        connection.execute("erase_users", author_ids=list(author_ids))
        connection.execute("erase_profiles", author_ids=list(author_ids))
    return Counter({"users": row["n"]}) if row and row["n"] else Counter()


def join_lists(connection: Connection, other: Connection) -> None:
    """Take in another database's list of erasures.

    Args:
        connection: A write transaction of the database that gets it.
        other: A snapshot of the other one.
    """
    keep_keys(connection, keys_in(other), now=datetime.now(UTC))
    keep_erasures(connection, list_erasures(other))
