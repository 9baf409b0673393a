"""Delivery of what waits: claimed in one transaction, sent outside of it, settled in another.

What is held back, by the limit of an hour or by quiet hours, goes out in one notification when it may.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.domain.notification import Rule
from ingest_pipeline.notifications.active_rules import ActiveRules
from ingest_pipeline.notifications.transport import Delivery, Result, send
from ingest_pipeline.notifications.values import values_of
from ingest_pipeline.notifications.wording import Wording, word, word_together
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.runs.notifications import (
    NotificationState,
    Waiting,
    claim,
    due,
    postpone,
    recent_deliveries,
    settle,
    withdraw,
)

ATTEMPTS = 10
RETRIES = Backoff(first_seconds=5.0, longest_seconds=1800.0)
"""Some 40 minutes in all."""
# Longer than any delivery takes; then its process has ended.
_LOST_AFTER = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
_UNREACHABLE = timedelta(minutes=1)
_STATES = {
    Result.SENT: NotificationState.SENT,
    Result.FAILED: NotificationState.WAITING,
    Result.UNKNOWN: NotificationState.UNKNOWN,
    Result.REFUSED: NotificationState.FAILED,
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notification that this process is to send.

    Attributes:
        delivery_id: Its own.
        rule: The rule.
        target: The name of the address.
        wording: What it says.
        attempts: How often it was tried before.
    """

    delivery_id: str
    rule: str
    target: str
    wording: Wording
    attempts: int


def deliver_due(database: Database, active: ActiveRules) -> int:
    """Send what may be sent now, and return how many notifications arrived.

    Raises:
        DatabaseBusy: What was claimed and not settled counts as unknown later.
        DatabaseUnavailable: The same.
    """
    claimed = database.run(lambda connection: claim_due(connection, active, datetime.now(UTC)))
    sent = 0
    failing: dict[str, Delivery] = {}
    for each in claimed:
        # Where one did not arrive, the next would only wait in vain.
        delivery = failing.get(each.target) or send(active.addresses[each.target], each.wording)
        if delivery.result is Result.FAILED:
            failing[each.target] = delivery
        _log(each, delivery)
        database.run(partial(_settle, each=each, delivery=delivery))
        sent += delivery.result is Result.SENT
    return sent


def claim_due(connection: Connection, active: ActiveRules, now: datetime) -> list[Claimed]:
    """Claim what may be sent now, and return it in its order; the rest is left to wait.

    Args:
        connection: A write transaction.
        now: The present, aware UTC.
    """
    groups: dict[tuple[str, str], list[Waiting]] = defaultdict(list)
    for each in due(connection, now):
        groups[each.rule, each.target].append(each)
    recent = recent_deliveries(connection, now - _HOUR) if groups else {}
    claimed = []
    for key, some in groups.items():
        rule = active.rules.get(key[0])
        if rule is None:
            withdraw(connection, some, now)
        elif key[1] not in active.addresses:
            # Another process may have it.
            postpone(connection, some, now + _UNREACHABLE)
        else:
            done, first_at = recent.get(key, (0, now))
            free = rule.per_hour - done
            held_until = (rule.quiet.end_after(now) if rule.quiet else None) or (
                first_at + _HOUR if free <= 0 else None
            )
            if held_until is not None:
                postpone(connection, some, held_until)
            else:
                claimed += _claim(connection, active, rule, some, now=now, free=free)
    return claimed


def _claim(
    connection: Connection,
    active: ActiveRules,
    rule: Rule,
    some: Sequence[Waiting],
    *,
    now: datetime,
    free: int,
) -> list[Claimed]:
    values = values_of(connection, active, [each.occurrence for each in some])
    gone = [each for each, found in zip(some, values, strict=True) if found is None]
    if gone:
        withdraw(connection, gone, now)
    worded = [
        (each, word(rule, found, str(found.get("level", "info"))))
        for each, found in zip(some, values, strict=True)
        if found is not None
    ]
    parts: dict[str, list[tuple[Waiting, Wording]]] = defaultdict(list)
    for each, wording in worded:
        parts[each.together].append((each, wording))
    if len(parts) > free:
        parts = {"": worded}
    claimed = []
    for part in parts.values():
        delivery_id = uuid4().hex
        waiting = [each for each, _ in part]
        claim(connection, waiting, delivery_id, now=now, until=now + _LOST_AFTER)
        attempts = max(each.attempts for each in waiting)
        wording = word_together(rule, [wording for _, wording in part])
        claimed.append(Claimed(delivery_id, rule.name, waiting[0].target, wording, attempts))
    return claimed


def _settle(connection: Connection, each: Claimed, delivery: Delivery) -> None:
    state, now = _STATES[delivery.result], datetime.now(UTC)
    if state is NotificationState.WAITING and each.attempts + 1 >= ATTEMPTS:
        state = NotificationState.FAILED
    pause = timedelta(seconds=RETRIES.delay(each.attempts + 1))
    settle(connection, each.delivery_id, state, next_at=now + pause, problem=delivery.problem)


def _log(each: Claimed, delivery: Delivery) -> None:
    if delivery.result is Result.SENT:
        _logger.info("notification %s sent to %s", each.rule, each.target)
    else:
        attempt = f"attempt {each.attempts + 1} of {ATTEMPTS}"
        _logger.warning(
            "notification %s did not arrive at %s (%s): %s", each.rule, each.target, attempt, delivery.problem
        )
