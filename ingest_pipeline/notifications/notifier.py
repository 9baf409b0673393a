"""Rounds of notification: what happened since the last one is queued, and what may be sent is sent.

The bot takes a round after each of its batches, and a sensor every half a minute; what one has done the other
leaves alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from ingest_pipeline.domain.notification import Occurrence
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.notifications.active_rules import ActiveRules, load_active_rules
from ingest_pipeline.notifications.delivery import deliver_due
from ingest_pipeline.notifications.occurrences import find_occurrences, next_moment
from ingest_pipeline.notifications.transport import prepare
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.changes import newest_position
from ingest_pipeline.storage.runs.notifications import (
    FeedPosition,
    next_due,
    not_yet_queued,
    queue_occurrences,
    read_position,
    save_position,
)
from ingest_pipeline.storage.search.indexed_texts import feed_id

# A position that is not saved costs a second look after a restart.
_SAVE_EVERY = timedelta(minutes=1)
_LOOK_AGAIN = timedelta(minutes=1)


@dataclass(slots=True)
class Notifier:
    """Takes rounds; one at a time.

    Attributes:
        services: The database and the settings.
        position: How far this process has looked.
        saved_at: When that was last saved, aware UTC.
        version: The database as it was looked at last.
        look_at: When to look even if nothing was committed, aware UTC.
    """

    services: Services
    position: FeedPosition | None = None
    saved_at: datetime | None = None
    version: Hashable = None
    look_at: datetime | None = None
    _is_prepared: bool = field(default=False, init=False)

    def round(self) -> int:
        """Queue what happened, send what may be sent, and return how many notifications arrived.

        Without rules, and while nothing is committed and nothing is due, the database is not opened.

        Raises:
            ConfigurationError: A rule is wrong.
            DatabaseBusy: The next round goes on.
            DatabaseUnavailable: The same.
        """
        active = load_active_rules(self.services.settings)
        if not active.rules:
            self.position = None
            return 0
        now, version = datetime.now(UTC), self.services.database.version()
        if version == self.version and self.look_at is not None and now < self.look_at:
            return 0
        has_due = self._look(active, now)
        if not self._is_prepared:
            prepare()
            self._is_prepared = True
        # What this process commits itself is looked at once more, which finds nothing.
        self.version = version
        return deliver_due(self.services.database, active) if has_due else 0

    def _look(self, active: ActiveRules, now: datetime) -> bool:
        """Queue what happened since the last round and return whether something may be sent."""
        while True:
            with self.services.database.read() as connection:
                after = self._after(connection, now)
                found = find_occurrences(connection, active, after, now)
                new = not_yet_queued(connection, found.occurrences)
                due_at = next_due(connection)
                moment = next_moment(connection, active.rules.values(), now)
            reached = replace(after, position=found.position)
            if new or self.saved_at is None or now - self.saved_at > _SAVE_EVERY:
                queued = self.services.database.run(
                    partial(_queue, active=active, position=reached, occurrences=new, now=now)
                )
                due_at = now if queued else due_at
                self.saved_at = now
            self.position = reached
            if found.is_all:
                break
        times = [each for each in (due_at, moment) if each is not None]
        self.look_at = min([now + _LOOK_AGAIN, *times])
        return due_at is not None and due_at <= now

    def _after(self, connection: Connection, now: datetime) -> FeedPosition:
        """Return from where to look; the first time, and in a restored database, from the present."""
        feed = feed_id(connection)
        if self.position is None:
            self.position = read_position(connection)
        if self.position is None or self.position.feed_id != feed:
            self.position = FeedPosition(feed, newest_position(connection), now)
            self.saved_at = None
        return self.position


def _queue(
    connection: Connection,
    active: ActiveRules,
    position: FeedPosition,
    occurrences: Sequence[Occurrence],
    now: datetime,
) -> int:
    # First, so that of two processes one waits for the other.
    save_position(connection, position)
    return queue_occurrences(connection, occurrences, active.targets, now=now)
