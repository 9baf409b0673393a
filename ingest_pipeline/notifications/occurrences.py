"""Occurrences that rules report: read from the change feed, from sessions and from seals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.content.found import is_known
from ingest_pipeline.domain.notification import Occasion, Occurrence, Rule
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.notifications.active_rules import ActiveRules
from ingest_pipeline.storage.content.rows import rows_of_messages
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.changes import ChangeKind, read_changes
from ingest_pipeline.storage.messages.manifests import sealed_versions
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.runs.notifications import FeedPosition
from ingest_pipeline.storage.search.indexed_texts import text_of_message

CHANGES_AT_ONCE = 20_000
_OF_MESSAGES = frozenset({ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.CONTENT})

Rows = Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]]
"""Rows of kinds of content, by kind and message."""


@dataclass(frozen=True, slots=True)
class Found:
    """What happened after a position of the feed.

    Attributes:
        occurrences: What is to be reported.
        position: The last change that was looked at.
        is_all: Whether nothing follows it yet.
    """

    occurrences: tuple[Occurrence, ...]
    position: int
    is_all: bool


def find_occurrences(
    connection: Connection, active: ActiveRules, after: FeedPosition, now: datetime
) -> Found:
    """Return what happened after a position.

    Args:
        connection: A snapshot.
        now: The present, aware UTC.
    """
    changes = read_changes(connection, after=after.position, limit=CHANGES_AT_ONCE)
    wanted = [rule for rule in active.rules.values() if rule.is_of_messages]
    found: list[Occurrence] = []
    if changes and wanted:
        oldest = max(after.since, now - max(rule.newer_than for rule in wanted))
        # An id says when its message was posted: of an old import no row is read.
        lowest = first_id_at(oldest)
        ids = {each.discord_id for each in changes if each.change in _OF_MESSAGES}
        found += message_occurrences(connection, active, sorted(each for each in ids if each >= lowest), now)
    found += session_occurrences(connection, active.rules.values(), after.since, now)
    position = changes[-1].position if changes else after.position
    return Found(tuple(found), position, len(changes) < CHANGES_AT_ONCE)


def message_occurrences(
    connection: Connection,
    active: ActiveRules,
    discord_ids: Collection[int],
    now: datetime | None,
) -> list[Occurrence]:
    """Return which live messages rules report, by rule.

    Args:
        now: The present, aware UTC; None to report old messages too.
    """
    ids = list(discord_ids)
    if not ids:
        return []
    rows = [
        row for row in connection.fetch_all("changed_messages", discord_ids=ids) if row["deleted_at"] is None
    ]
    content = content_of(connection, active, [row["discord_id"] for row in rows])
    rules = [rule for rule in active.rules.values() if rule.is_of_messages]
    found = []
    for row in sorted(rows, key=lambda row: int(row["discord_id"])):
        text = text_of_message(row)
        discord_id = row["discord_id"]
        for rule in rules:
            is_new = now is None or row["posted_at"] > now - rule.newer_than
            of_kind = content.get(rule.kind or "", {}).get(discord_id, ())
            if is_new and rule.fits_message(row, of_kind, text):
                subject = f"message:{discord_id}"
                found.append(Occurrence(rule.name, subject, row["posted_at"], discord_id, row["session_id"]))
    return found


def content_of(connection: Connection, active: ActiveRules, discord_ids: Sequence[int]) -> Rows:
    """Return the rows of some messages in the tables of the kinds that rules are about."""
    found: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for name, kind in active.kinds.items():
        by_message: dict[int, list[dict[str, Any]]] = defaultdict(list)
        if discord_ids and is_known(connection, kind):
            for row in rows_of_messages(connection, kind.table, discord_ids):
                # Highlights have rows of messages that are none, too.
                if row.get("is_candidate", True):
                    by_message[row["discord_id"]].append(row)
        found[name] = by_message
    return found


def session_occurrences(
    connection: Connection, rules: Iterable[Rule], since: datetime, now: datetime
) -> list[Occurrence]:
    """Return the sessions that began, ended or were sealed a short while ago."""
    wanted = [rule for rule in rules if rule.when in _MOMENTS]
    if not wanted:
        return []
    sessions = list_sessions(connection)
    found = []
    for rule in wanted:
        earliest = max(since, now - rule.newer_than)
        for moment, subject, session, data in _MOMENTS[Occasion(rule.when)](connection, sessions):
            if earliest < moment <= now and rule.fits(session):
                found.append(Occurrence(rule.name, subject, moment, None, session.session_id, data))
    return found


def next_moment(connection: Connection, rules: Iterable[Rule], now: datetime) -> datetime | None:
    """Return when a session begins or ends next, if a rule asks, aware UTC."""
    asked = {rule.when for rule in rules}
    moments = []
    if not asked.isdisjoint({Occasion.SESSION_STARTS, Occasion.SESSION_ENDS}):
        moments = [
            moment
            for session in list_sessions(connection)
            for moment in (session.start_time, session.end_time)
            if moment > now
        ]
    return min(moments, default=None)


Moment = tuple[datetime, str, Session, Mapping[str, Any]]


def _starts(connection: Connection, sessions: Sequence[Session]) -> Iterator[Moment]:
    del connection
    for session in sessions:
        if not session.is_cancelled:
            subject = f"session:{session.session_id}:starts:{session.start_time:%Y%m%dT%H%M%S}"
            yield session.start_time, subject, session, {}


def _ends(connection: Connection, sessions: Sequence[Session]) -> Iterator[Moment]:
    del connection
    for session in sessions:
        if not session.is_cancelled:
            # One that went on ends once more.
            subject = f"session:{session.session_id}:ends:{session.end_time:%Y%m%dT%H%M%S}"
            yield session.end_time, subject, session, {}


def _seals(connection: Connection, sessions: Sequence[Session]) -> Iterator[Moment]:
    by_id = {session.session_id: session for session in sessions}
    for session_id, sealed in sealed_versions(connection).items():
        if session_id in by_id:
            subject = f"session:{session_id}:sealed:{sealed.version}"
            yield sealed.sealed_at, subject, by_id[session_id], {"version": sealed.version}


_MOMENTS: dict[str, Callable[[Connection, Sequence[Session]], Iterator[Moment]]] = {
    Occasion.SESSION_STARTS: _starts,
    Occasion.SESSION_ENDS: _ends,
    Occasion.SESSION_SEALED: _seals,
}
