"""The journey of a message or of a batch, from Discord to the table, with the times between its stages.

Nothing is written for this but a batch's events and, at the gateway, those of each message. What an
import did with one message follows from the message's own row: its correlation id names the batch that
brought its content, and the batch's events say when it began and ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.messages.message import OBSERVED_AT_UNKNOWN
from ingest_pipeline.domain.snowflake import created_at, parse_snowflake
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.events import AnyEventType, Event, EventType, dagster_run_id
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import (
    count_of_journey,
    find_message,
    find_revisions,
    find_tombstone,
)
from ingest_pipeline.storage.runs.events import events_of_journey, events_of_message
from ingest_pipeline.storage.runs.scan_runs import ScanRun, runs_of_journey

_LONGEST_ID = 200
# At equal times, in this order.
_ORDER = ("posted", "edited", "discord.message.received", "ingestion.started", "read", "stored", "updated")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a journey.

    Attributes:
        name: An event's type, or what a row shows: `posted`, `edited`, `read`, `stored`, `updated`,
            `superseded` (a content that is a revision now), `deleted`; `scan.queued`, `scan.started`,
            `scan.<status>`.
        at: When, aware UTC.
        source: The part that reported it.
        correlation_id: The batch or message journey that it is of; empty for what Discord did.
        data: What else is known.
        seconds: Time since the stage before; 0 for the first.
    """

    name: str
    at: datetime
    source: str
    correlation_id: str
    data: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything known of a message or a batch.

    Attributes:
        identifier: What was asked for.
        kind: `message` or `batch`.
        status: `stored`, `deleted` or `received` for a message; `completed`, `failed` or `started` for a
            batch.
        correlation_id: The journey; a message's is that of its content.
        correlation_ids: All journeys that took part, that one first.
        stages: In the order of time.
        run_id: The Dagster run, or None.
        message: The message's row, or None.
        messages: How many messages have their content from this journey.
    """

    identifier: str
    kind: str
    status: str
    correlation_id: str
    correlation_ids: tuple[str, ...]
    stages: tuple[Stage, ...]
    run_id: str | None
    message: dict[str, Any] | None
    messages: int

    @property
    def completed_stages(self) -> list[str]:
        """The names of the stages, each once, in the order of time."""
        return list(dict.fromkeys(stage.name for stage in self.stages))


def trace(connection: Connection, identifier: str) -> Journey:
    """Return a journey.

    Args:
        identifier: A message's Discord id, or a correlation id (a Dagster run's id is one).

    Raises:
        NothingFound: Neither a message nor a journey with this id is known.
    """
    wanted = identifier.strip()
    message_id = parse_snowflake(wanted)
    if message_id is not None:
        return _trace_message(connection, wanted, message_id)
    journey = _trace_message_journey(connection, wanted)
    return journey or _trace_batch(connection, wanted)


def _trace_message_journey(connection: Connection, wanted: str) -> Journey | None:
    """Return the journey of a gateway message, by `<guild>-<message>`."""
    guild, _, message = wanted.rpartition("-")
    message_id = parse_snowflake(message) if guild.isdecimal() else None
    return None if message_id is None else _trace_message(connection, wanted, message_id)


def _trace_message(connection: Connection, wanted: str, message_id: int) -> Journey:
    row = find_message(connection, message_id)
    tombstone = find_tombstone(connection, message_id)
    own = events_of_message(connection, message_id)
    if row is None and tombstone is None and not own:
        raise NothingFound(f"nothing is known of message {message_id}: is it in a channel that is read?")
    revisions = find_revisions(connection, message_id) if row else []
    known = [
        *([row["correlation_id"]] if row else []),
        *(revision["correlation_id"] for revision in revisions),
        *([tombstone["correlation_id"]] if tombstone else []),
        *(event.correlation_id for event in own),
        *(str(event.data["batch"]) for event in own if "batch" in event.data),
    ]
    journeys = tuple(dict.fromkeys(known))
    seen = {event.event_id for event in own}
    batches = [
        event
        for journey in journeys
        for event in events_of_journey(connection, journey)
        if event.event_id not in seen and event.message_id in {None, message_id}
    ]
    stages = [
        *_row_stages(message_id, row),
        *(_revision_stage(revision) for revision in revisions),
        *([_deletion(tombstone)] if tombstone else []),
        *map(_event_stage, [*own, *batches]),
    ]
    status = "deleted" if tombstone else "stored" if row else "received"
    runs = (dagster_run_id(journey) for journey in journeys)
    return Journey(
        identifier=wanted,
        kind="message",
        status=status,
        correlation_id=journeys[0],
        correlation_ids=journeys,
        stages=_timed(stages),
        run_id=next((run for run in runs if run), None),
        message=row,
        messages=1 if row else 0,
    )


def _trace_batch(connection: Connection, wanted: str) -> Journey:
    events = events_of_journey(connection, wanted) if 0 < len(wanted) <= _LONGEST_ID else []
    scans = runs_of_journey(connection, wanted) if 0 < len(wanted) <= _LONGEST_ID else []
    messages = count_of_journey(connection, wanted) if len(wanted) <= _LONGEST_ID else 0
    if not events and not scans and not messages:
        raise NothingFound(
            f"no journey is called {wanted[:_LONGEST_ID]!r}: give a message id, or a correlation id "
            "from a report, row or event"
        )
    stages = [*map(_event_stage, events), *(stage for run in scans for stage in _scan_stages(run))]
    named = next((event.run_id for event in events if event.run_id), None)
    return Journey(
        identifier=wanted,
        kind="batch",
        status=_batch_status(events, scans),
        correlation_id=wanted,
        correlation_ids=(wanted,),
        stages=_timed(stages),
        run_id=named or dagster_run_id(wanted),
        message=None,
        messages=messages,
    )


def _row_stages(message_id: int, row: dict[str, Any] | None) -> list[Stage]:
    posted = Stage("posted", row["posted_at"] if row else created_at(message_id), "discord", "")
    if row is None:
        return [posted]
    source, journey = row["source"], row["correlation_id"]
    stages = [posted, Stage("stored", row["created_at"], source, journey)]
    if row["first_observed_at"] != OBSERVED_AT_UNKNOWN:
        stages.append(Stage("read", row["first_observed_at"], source, journey))
    if row["edited_at"] is not None:
        stages.append(Stage("edited", row["edited_at"], "discord", ""))
    if row["updated_at"] > row["created_at"] and row["updated_at"] != row["deleted_at"]:
        stages.append(Stage("updated", row["updated_at"], source, journey))
    return stages


def _revision_stage(revision: dict[str, Any]) -> Stage:
    return Stage("superseded", revision["recorded_at"], revision["source"], revision["correlation_id"])


def _deletion(tombstone: dict[str, Any]) -> Stage:
    return Stage("deleted", tombstone["deleted_at"], tombstone["source"], tombstone["correlation_id"])


def _event_stage(event: Event) -> Stage:
    return Stage(
        event.event_type.value, event.created_at, event.source, event.correlation_id, dict(event.data)
    )


def _scan_stages(run: ScanRun) -> Iterable[Stage]:
    data = {"scan_run_id": run.scan_run_id, "channel_id": str(run.channel_id), "kind": run.kind.value}
    yield Stage("scan.queued", run.queued_at, "history", run.correlation_id, data)
    if run.started_at:
        yield Stage("scan.started", run.started_at, "history", run.correlation_id, data)
    if run.finished_at:
        figures = {**data, "messages_read": run.messages_read, "rows_changed": run.rows_changed}
        if run.error:
            figures["error"] = run.error
        yield Stage(f"scan.{run.status.value}", run.finished_at, "history", run.correlation_id, figures)


def _timed(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    order = {name: position for position, name in enumerate(_ORDER)}
    ordered = sorted(stages, key=lambda stage: (stage.at, order.get(stage.name, len(_ORDER))))
    befores = [None, *ordered[:-1]]
    return tuple(
        Stage(
            stage.name,
            stage.at,
            stage.source,
            stage.correlation_id,
            stage.data,
            (stage.at - before.at).total_seconds() if before else 0.0,
        )
        for before, stage in zip(befores, ordered, strict=True)
    )


def _batch_status(events: Sequence[Event], scans: Sequence[ScanRun]) -> str:
    ends: dict[AnyEventType, str] = {
        EventType.INGESTION_COMPLETED: "completed",
        EventType.CATCH_UP_COMPLETED: "completed",
        EventType.INGESTION_FAILED: "failed",
    }
    if scans:
        left = {run.status.value for run in scans}
        if left & {"running", "queued"}:
            return "started"
        return "failed" if left & {"failed", "blocked"} else "completed"
    ended = [ends[event.event_type] for event in events if event.event_type in ends]
    if ended:
        return ended[-1]
    return "started" if events else "completed"
