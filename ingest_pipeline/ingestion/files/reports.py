"""Reports of an import of files: what became of each file, and of all messages together."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ingest_pipeline.domain.messages.normalize import SkipReason
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents.document import Tally
from ingest_pipeline.ingestion.ingest import IngestReport
from ingest_pipeline.landing.files.member_streams import Damage
from ingest_pipeline.storage.runs.imported_files import ImportedFile

_ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
_logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of a file.

    Attributes:
        IMPORTED: It is whole, and its messages are in the table or counted as skipped.
        UNCHANGED: It was imported before and has not changed since, so it was not read.
        SALVAGED: It is damaged, and the messages before the damage were taken.
        DAMAGED: It is damaged or cannot be read, and nothing of it was taken.
        OTHER_CHANNEL: It is of a channel that was not asked for.
        OUTSIDE: All its messages lie outside the bounds that were asked for.
        OTHER_FORM: It is no export as JSON.
    """

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    SALVAGED = "salvaged"
    DAMAGED = "damaged"
    OTHER_CHANNEL = "other_channel"
    OUTSIDE = "outside"
    OTHER_FORM = "other_form"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file.

    Attributes:
        file: Its path; in an archive behind it, after an exclamation mark, its place.
        outcome: What became of it.
        channel_id: Its channel, as far as it is known.
        channel_name: The channel's name in it; empty for one that was not read.
        messages: How many messages it holds.
        first_id: The smallest id of its messages, 0 without any.
        last_id: The largest id of its messages, 0 without any.
        skipped: Messages that were not taken, by reason.
        detail: What is wrong with it, and the remedy.
        correlation_id: The journey of its rows.
    """

    file: str
    outcome: Outcome
    channel_id: int | None = None
    channel_name: str = ""
    messages: int = 0
    first_id: int = 0
    last_id: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    detail: str = ""
    correlation_id: str | None = None

    @property
    def first_at(self) -> datetime | None:
        """When its first message was posted, aware UTC."""
        return created_at(self.first_id) if self.first_id else None

    @property
    def last_at(self) -> datetime | None:
        """When its last message was posted, aware UTC."""
        return created_at(self.last_id) if self.last_id else None

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: ids as strings, times as ISO 8601 in UTC."""
        return {
            "file": self.file,
            "outcome": self.outcome.value,
            "channel_id": None if self.channel_id is None else str(self.channel_id),
            "channel_name": self.channel_name,
            "messages": self.messages,
            "first": self.first_at.isoformat() if self.first_at else None,
            "last": self.last_at.isoformat() if self.last_at else None,
            "skipped": dict(self.skipped),
            "detail": self.detail,
            "correlation_id": self.correlation_id,
        }


@dataclass(frozen=True, slots=True)
class ImportScope:
    """What to take of the files.

    Attributes:
        channel_ids: Their channels; any if empty.
        after: Messages posted then or later, aware UTC, or None.
        before: Messages posted earlier, aware UTC, or None.
        salvage: Whether to take what stands before the damage of a damaged file.
        again: Whether to read files again that have not changed since they were imported.
    """

    channel_ids: frozenset[int] = frozenset()
    after: datetime | None = None
    before: datetime | None = None
    salvage: bool = False
    again: bool = False

    @property
    def window(self) -> Window | None:
        """The bounds as a window, or None for none."""
        if self.after is None and self.before is None:
            return None
        return Window(self.after or _ALWAYS[0], self.before or _ALWAYS[1])

    def is_within(self, earlier: ImportedFile) -> bool:
        """Return whether an earlier import of the file took all that this one asks for."""
        return (
            (not earlier.is_salvaged or self.salvage)
            and (not self.channel_ids or earlier.channel_id in {None, *self.channel_ids})
            and (earlier.after is None or (self.after is not None and earlier.after <= self.after))
            and (earlier.before is None or (self.before is not None and self.before <= earlier.before))
        )


@dataclass(slots=True)
class FilesReport:
    """What became of all files.

    Attributes:
        files: One report for each, in the order of reading.
        received: Messages in the files that were read.
        created: New rows.
        updated: Rows really changed.
        unchanged: Messages that were there already.
        stale: Messages older than what was there.
        skipped: Messages that were not taken, by reason.
        others: Files in folders that were not looked at, by suffix.
        is_complete: Whether every file that was asked for is in the table, whole.
        seconds: Wall time.
    """

    files: list[FileReport] = field(default_factory=list)
    received: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    is_complete: bool = True
    seconds: float = 0.0

    def add(self, merged: IngestReport) -> None:
        """Add what a merge did."""
        self.received += merged.received
        self.created += merged.created
        self.updated += merged.updated
        self.unchanged += merged.unchanged
        self.stale += merged.stale
        self.skipped.update(merged.skipped)

    @property
    def outcomes(self) -> Counter[str]:
        """How many files ended how."""
        return Counter(each.outcome.value for each in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "outcomes": dict(self.outcomes),
            "received": self.received,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "stale": self.stale,
            "skipped": dict(self.skipped),
            "other_files": dict(self.others),
            "is_complete": self.is_complete,
            "seconds": round(self.seconds, 3),
            "files": [each.as_dict() for each in self.files],
        }


def judged(read: FileReport, tally: Tally, damage: Damage | None, scope: ImportScope) -> FileReport:
    """Return what became of a file that was read to its end, or to its damage."""
    done = replace(
        read,
        messages=tally.received,
        first_id=tally.first_id,
        last_id=tally.last_id,
        skipped=tally.left_out,
    )
    if damage and damage.error:
        detail = f"{tally.taken} of its messages were taken, which stand before the damage: {damage.error}"
        return replace(done, outcome=Outcome.SALVAGED, detail=detail)
    outside = tally.skipped[SkipReason.OUTSIDE_WINDOW] + tally.skipped[SkipReason.THREAD_STARTER]
    return _outside(done, scope) if tally.received and outside == tally.received else done


def unchanged(name: str, record: ImportedFile, scope: ImportScope) -> FileReport:
    """Return the report of a file that was imported before and is not read again."""
    done = FileReport(
        name,
        Outcome.UNCHANGED,
        record.channel_id,
        messages=record.messages,
        first_id=record.first_id or 0,
        last_id=record.last_id or 0,
        detail="what stands before its damage was imported earlier" if record.is_salvaged else "",
        correlation_id=record.correlation_id,
    )
    window, first, last = scope.window, done.first_at, done.last_at
    is_outside = window and first and last and (last < window.start or first >= window.end)
    return _outside(done, scope) if is_outside else done


def _outside(done: FileReport, scope: ImportScope) -> FileReport:
    asked = " and ".join(
        f"{word} {moment.isoformat()}"
        for word, moment in (("after", scope.after), ("before", scope.before))
        if moment
    )
    detail = f"none of its messages was posted {asked}; they are {_span(done)}"
    return replace(done, outcome=Outcome.OUTSIDE, detail=detail)


def other_channel(read: FileReport, tally: Tally, scope: ImportScope) -> FileReport:
    """Return what became of a file of a channel that was not asked for."""
    done = replace(
        read,
        outcome=Outcome.OTHER_CHANNEL,
        messages=tally.received,
        first_id=tally.first_id,
        last_id=tally.last_id,
    )
    asked = " or ".join(map(str, sorted(scope.channel_ids)))
    detail = f"it is of channel {read.channel_id} ({read.channel_name}), not of {asked}; its messages are"
    return replace(done, detail=f"{detail} {_span(done)}")


def warned(done: FileReport) -> FileReport:
    """Warn of a file of which not all was taken, and return its report."""
    if done.detail:
        _logger.warning("%s: %s", done.file, done.detail)
    return done


def _span(done: FileReport) -> str:
    if not (done.first_at and done.last_at):
        return "none"
    return f"from {done.first_at:%Y-%m-%d %H:%M:%S} to {done.last_at:%Y-%m-%d %H:%M:%S} UTC"
