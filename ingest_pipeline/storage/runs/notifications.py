"""The queue of notifications: what is to be sent, what was, and how far the change feed has been looked at.

A notification is claimed in a transaction before it is sent, so that no two processes send it, and none that
was being sent when its process ended is sent again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ingest_pipeline.domain.notification import Occurrence
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.state import get_state, set_state

_POSITION = "notifications"
_HELD = "held"
REMEMBERED = timedelta(days=30)
"""How long it is known what was sent; no rule reports what is as old."""
EXPIRY = timedelta(days=1)
"""How long a notification waits at most."""


class NotificationState(StrEnum):
    """What became of a notification; see the table."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """How far the change feed has been looked at.

    Attributes:
        feed_id: The feed.
        position: The last change.
        since: Since when rules are looked at, aware UTC: what happened before is not reported.
    """

    feed_id: str
    position: int
    since: datetime


def read_position(connection: Connection) -> FeedPosition | None:
    """Return how far the feed has been looked at, or None when it never was."""
    stated = json.loads(get_state(connection, _POSITION) or "null")
    if stated is None:
        return None
    return FeedPosition(stated["feed"], stated["position"], datetime.fromisoformat(stated["since"]))


def save_position(connection: Connection, position: FeedPosition) -> None:
    """Note how far the feed has been looked at: first in a transaction, which makes others wait."""
    stated = {
        "feed": position.feed_id,
        "position": position.position,
        "since": position.since.isoformat(),
    }
    set_state(connection, _POSITION, json.dumps(stated))


def queue_occurrences(
    connection: Connection,
    occurrences: Iterable[Occurrence],
    targets: Mapping[str, Sequence[str]],
    *,
    now: datetime,
) -> int:
    """Note what is to be sent and return how much of it is new.

    Args:
        targets: The names of the addresses of each rule.
        now: When, aware UTC.
    """
    rows = [(each, target) for each in occurrences for target in targets[each.rule]]
    if not rows:
        return 0
    return connection.execute(
        "queue_notifications",
        rules=[each.rule for each, _ in rows],
        targets=[target for _, target in rows],
        subjects=[each.subject for each, _ in rows],
        message_ids=[each.message_id for each, _ in rows],
        session_ids=[each.session_id for each, _ in rows],
        data=[None if each.data is None else json.dumps(each.data) for each, _ in rows],
        happened_ats=[each.happened_at for each, _ in rows],
        now=now,
    )


def not_yet_queued(connection: Connection, occurrences: Sequence[Occurrence]) -> tuple[Occurrence, ...]:
    """Return those that are not in the queue and never were."""
    if not occurrences:
        return ()
    subjects = sorted({each.subject for each in occurrences})
    rows = connection.fetch_all("known_notifications", subjects=subjects)
    known = {(row["rule"], row["subject"]) for row in rows}
    return tuple(each for each in occurrences if (each.rule, each.subject) not in known)


def next_due(connection: Connection) -> datetime | None:
    """Return when something is to be done next, aware UTC, or None when nothing waits."""
    found = connection.fetch_one("next_notification")
    return found["next_at"] if found else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification that may be sent.

    Attributes:
        rule: The rule.
        target: The name of the address.
        occurrence: What it is about.
        attempts: How often it was tried.
        together: What is sent together has the same: the delivery that failed, or that it was held back.
    """

    rule: str
    target: str
    occurrence: Occurrence
    attempts: int
    together: str


def due(connection: Connection, now: datetime) -> list[Waiting]:
    """Return what may be sent now, the oldest first; what can no longer be is put aside.

    Args:
        connection: A write transaction.
        now: Aware UTC.
    """
    connection.execute("hold_notifications", key=_POSITION)
    connection.execute("abandon_notifications", now=now)
    connection.execute("expire_notifications", before=now - EXPIRY)
    connection.execute("forget_notifications", before=now - REMEMBERED)
    return [_waiting(row) for row in connection.fetch_all("due_notifications", now=now)]


def _waiting(row: Mapping[str, Any]) -> Waiting:
    data = None if row["data"] is None else json.loads(row["data"])
    occurrence = Occurrence(
        row["rule"], row["subject"], row["happened_at"], row["message_id"], row["session_id"], data
    )
    together = _HELD if row["is_held"] else row["delivery_id"] or row["subject"]
    return Waiting(row["rule"], row["target"], occurrence, row["attempts"], together)


def recent_deliveries(connection: Connection, since: datetime) -> dict[tuple[str, str], tuple[int, datetime]]:
    """Return by rule and address how often something was sent since a time, and when first, aware UTC."""
    rows = connection.fetch_all("recent_deliveries", since=since)
    return {(row["rule"], row["target"]): (row["deliveries"], row["first_at"]) for row in rows}


def claim(
    connection: Connection, some: Sequence[Waiting], delivery_id: str, *, now: datetime, until: datetime
) -> None:
    """Note that notifications of one rule to one address are being sent, together.

    Args:
        until: When they count as lost if nothing is heard of them, aware UTC.
    """
    _move(
        connection,
        some,
        NotificationState.SENDING,
        until,
        attempts=1,
        delivery_id=delivery_id,
        claimed_at=now,
    )


def postpone(connection: Connection, some: Sequence[Waiting], until: datetime) -> None:
    """Let notifications of one rule to one address wait until a time, aware UTC."""
    _move(connection, some, NotificationState.WAITING, until)


def withdraw(connection: Connection, some: Sequence[Waiting], now: datetime) -> None:
    """Note that notifications of one rule to one address are not to be sent any more."""
    _move(connection, some, NotificationState.WITHDRAWN, now)


def _move(
    connection: Connection,
    some: Sequence[Waiting],
    state: NotificationState,
    next_at: datetime,
    *,
    attempts: int = 0,
    delivery_id: str | None = None,
    claimed_at: datetime | None = None,
) -> None:
    connection.execute(
        "move_notifications",
        rule=some[0].rule,
        target=some[0].target,
        subjects=[each.occurrence.subject for each in some],
        state=state.value,
        next_at=next_at,
        attempts=attempts,
        delivery_id=delivery_id,
        claimed_at=claimed_at,
    )


def settle(
    connection: Connection,
    delivery_id: str,
    state: NotificationState,
    *,
    next_at: datetime,
    problem: str | None,
) -> None:
    """Note what became of a delivery.

    Args:
        next_at: For one that waits again: until when, aware UTC.
        problem: What went wrong, without secrets, or None.
    """
    connection.execute(
        "settle_notifications",
        delivery_id=delivery_id,
        state=state.value,
        next_at=next_at,
        problem=problem,
    )


def notification_totals(connection: Connection) -> list[tuple[str, str, int]]:
    """Count notifications as (rule, state, number), at all addresses of the rule."""
    totals: Counter[tuple[str, str]] = Counter()
    for row in connection.fetch_all("count_notifications"):
        totals[row["rule"], row["state"]] += row["n"]
    return [(rule, state, number) for (rule, state), number in sorted(totals.items())]


def count_notifications(connection: Connection, rules: Collection[str]) -> list[dict[str, Any]]:
    """Count notifications of some rules: `rule`, `target`, `state`, `n`, `last_at` (aware UTC), `problem`."""
    return [row for row in connection.fetch_all("count_notifications") if row["rule"] in rules]
