"""A dry run of rules over the past: what they would have reported, without limits and quiet hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ingest_pipeline.domain.notification import Occurrence
from ingest_pipeline.notifications.active_rules import ActiveRules
from ingest_pipeline.notifications.occurrences import message_occurrences, session_occurrences
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import MessageFilter, search_messages

_AT_ONCE = 5_000


def past_occurrences(
    connection: Connection, active: ActiveRules, since: datetime, now: datetime
) -> list[Occurrence]:
    """Return what rules would have reported since a time, the oldest first; failures are not kept.

    Args:
        connection: A snapshot.
        since: Aware UTC.
        now: The present, aware UTC.
    """
    found: list[Occurrence] = []
    after: int | None = None
    wanted = MessageFilter(since=since)
    while True:
        rows = search_messages(connection, wanted, after=after, limit=_AT_ONCE)
        found += message_occurrences(connection, active, [row["discord_id"] for row in rows], None)
        if len(rows) < _AT_ONCE:
            break
        after = rows[-1]["discord_id"]
    rules = [replace(rule, newer_than=now - since) for rule in active.rules.values()]
    found += session_occurrences(connection, rules, since, now)
    return sorted(found, key=lambda each: (each.happened_at, each.subject, each.rule))
