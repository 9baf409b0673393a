"""The audit of windows: landed documents, normalized rows, stored rows and proofs compared.

Everything is counted again from the files and the table, not taken from what earlier steps reported of
themselves. No Dagster here; `checks.py` shows the findings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import pyarrow as pa

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window, window_key
from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.documents.normalized_store import StoredDocument, read_rows
from ingest_pipeline.ingestion.refresh import document_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.exports.reader import read_document
from ingest_pipeline.landing.store import Landed
from ingest_pipeline.landing.stored_files import file_exists
from ingest_pipeline.monitoring.retention import is_past_retention
from ingest_pipeline.storage.engine.columns import values_of
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import gaps
from ingest_pipeline.storage.messages.deletions import count_in_window, ids_in_window
from ingest_pipeline.storage.messages.membership import count_mislinked
from ingest_pipeline.storage.messages.queries import stored_between

_EXAMPLES = 5


class Rule(StrEnum):
    """Rules for every window that was read.

    Attributes:
        UNIQUE: A message is there once, in the files and in the table.
        INSIDE: Every row was posted in its window.
        COUNTS: Every landed message is a row or a counted skip, and every row is in the table, if
            only as deleted; one that its channel's policy does not take is there or kept as skipped.
        PROVEN: A window that had ended and settled when it was read is proven by the ledger.
        LINKED: The session's rows are the messages of its channels and time that no session takes before it.
    """

    UNIQUE = "discord_ids_are_unique"
    INSIDE = "rows_are_inside_their_window"
    COUNTS = "counts_agree"
    PROVEN = "ended_windows_are_proven"
    LINKED = "rows_belong_to_their_session"


@dataclass(slots=True)
class Findings:
    """The scope of an audit and the problems it found.

    Attributes:
        windows: Windows looked at, once for each channel.
        landed: Messages in their landed documents.
        rows: Rows in their normalized documents that their channels' policies take.
        problems: What is wrong, by rule; each names session, window and channel.
    """

    windows: int = 0
    landed: int = 0
    rows: int = 0
    problems: dict[Rule, list[str]] = field(default_factory=lambda: {rule: [] for rule in Rule})


@dataclass(frozen=True, slots=True)
class _Part:
    """One channel's share of one window, or of a part of a long one, with its normalized ids and times.

    Its files may be gone because of their age. What was landed before windows had parts is of a whole
    window, and parts of it may have been read again since.
    """

    label: str
    channel_id: int
    window: Window
    landed: Landed
    stored: StoredDocument | None
    ids: list[int]
    posted_at: list[datetime]
    may_be_gone: bool
    is_whole: bool

    def is_within(self, whole: _Part) -> bool:
        """Return whether this part's time and channel are in those of another that is of a whole window."""
        return (
            not self.is_whole
            and self.channel_id == whole.channel_id
            and self.window.intersection(whole.window) == self.window
        )


class Audit:
    """One pass over windows of sessions.

    Args:
        is_underway: Returns for a correlation id whether its import has not ended yet. What another run
            has normalized meanwhile is left to that run.
        now: The present, aware UTC; the real one by default.
    """

    def __init__(
        self, services: Services, is_underway: Callable[[str], bool], now: datetime | None = None
    ) -> None:
        """Begin without findings."""
        self.findings = Findings()
        self._services = services
        self._is_underway = is_underway
        self._now = now or datetime.now(UTC)

    def look_at(self, session: Session, keys: Sequence[str]) -> None:
        """Look at those of a session's windows, or parts of windows, that have begun.

        The files are read before the table: what they hold then has to be in the table by then.
        """
        looked_at = [
            self._part(session, key, window, channel_id)
            for key, window in document_windows(self._services, session, keys, self._now)
            for channel_id in session.channel_ids
        ]
        wholes = [part for part in looked_at if part.is_whole]
        parts = [part for part in looked_at if part.stored or not any(map(part.is_within, wholes))]
        seen: set[int] = set()
        for part in parts:
            self._compare_files(part)
            again = [other.window for other in parts if other.is_within(part)] if part.is_whole else []
            self._look_at_rows(part, again, seen)
        with self._services.database.read() as connection:
            for part in parts:
                self._look_at_table(connection, part, session.channel_ids)
                self._look_at_ledger(connection, part)
            if mislinked := count_mislinked(connection, session):
                problem = f"{mislinked} rows have another session than their channel and time call for"
                self.findings.problems[Rule.LINKED].append(f"{session.session_id}: {problem}")

    def _part(self, session: Session, key: str, window: Window, channel_id: int) -> _Part:
        path = self._services.normalized.path(session.session_id, key, channel_id)
        stored = (
            self._services.normalized.load(session.session_id, key, channel_id) if path.exists() else None
        )
        rows = _rows(stored) if stored else None
        of = stored.window if stored else None
        whole = self._services.grid.window(window_key(key), session.window)
        is_whole = bool(of and whole and of.start == window.start and window.end < of.end <= whole.end)
        self.findings.windows += 1
        self.findings.rows += stored.tally.taken if stored else 0
        return _Part(
            label=f"{session.session_id} {key} channel {channel_id}",
            channel_id=channel_id,
            window=of if is_whole and of else window,
            landed=self._services.landing.document(session.session_id, key, window, channel_id),
            stored=stored,
            ids=rows["discord_id"].to_pylist() if rows else [],
            posted_at=values_of(rows["posted_at"]) if rows else [],
            is_whole=is_whole,
            may_be_gone=is_past_retention(session, self._services.settings, self._now),
        )

    def _compare_files(self, part: _Part) -> None:
        if not file_exists(part.landed.path) or part.stored is None:
            # One that has not ended may have begun since the run read its windows.
            if part.window.end <= self._now and not part.may_be_gone:
                self._report(Rule.COUNTS, part, "has not been read and normalized: materialise it")
            return
        try:
            read_at = part.landed.header().read_at
            landed = count_landed(part.landed)
        except BadInput as error:
            self._report(Rule.COUNTS, part, f"has a damaged landed document: {error}")
            return
        self.findings.landed += landed
        kept = part.stored.tally.taken
        skipped = len(part.ids) - kept + part.stored.tally.skipped.total()
        is_replaced = read_at is not None and read_at > part.stored.provenance.observed_at
        if landed != kept + skipped and not is_replaced:
            self._report(Rule.COUNTS, part, f"landed {landed} messages, normalized {kept}, skipped {skipped}")

    def _look_at_rows(self, part: _Part, again: Sequence[Window], seen: set[int]) -> None:
        outside = [
            discord_id
            for discord_id, posted_at in zip(part.ids, part.posted_at, strict=True)
            if posted_at not in part.window
        ]
        if outside:
            self._report(Rule.INSIDE, part, f"holds messages of other times: {_some(outside)}")
        twice: list[int] = []
        for discord_id, posted_at in zip(part.ids, part.posted_at, strict=True):
            if any(posted_at in window for window in again):
                continue
            (twice.append if discord_id in seen else seen.add)(discord_id)
        if twice:
            self._report(Rule.UNIQUE, part, f"repeats messages of the session: {_some(twice)}")

    def _look_at_table(self, connection: Connection, part: _Part, channel_ids: Sequence[int]) -> None:
        rows = count_in_window(connection, [part.channel_id], part.window)
        messages = len(ids_in_window(connection, [part.channel_id], part.window))
        if rows != messages:
            self._report(Rule.UNIQUE, part, f"has {rows} rows in the table for {messages} messages")
        missing = set(part.ids)
        # Its own channel first: a message seen in two channels is kept under one of them.
        for channel_id in (part.channel_id, *channel_ids):
            if missing:
                missing -= stored_between(connection, channel_id, min(missing) - 1, max(missing)).keys()
        if missing and part.stored and not self._is_underway(part.stored.provenance.correlation_id):
            self._report(Rule.COUNTS, part, f"lacks rows in the table: {_some(missing)}")

    def _look_at_ledger(self, connection: Connection, part: _Part) -> None:
        read_at = part.stored.provenance.observed_at if part.stored else self._now
        if part.window.end + self._services.settings.settle > read_at:
            return
        unproven = gaps(connection, part.channel_id, part.window.low, part.window.high)
        if unproven:
            self._report(
                Rule.PROVEN, part, f"is not proven complete in {len(unproven)} places: read it again"
            )

    def _report(self, rule: Rule, part: _Part, problem: str) -> None:
        self.findings.problems[rule].append(f"{part.label} {problem}")


def count_landed(document: Landed) -> int:
    """Count the messages of a landed document by reading it whole.

    Raises:
        BadInput: The document is damaged.
    """
    with document.open() as stream:
        _, slices = read_document(stream, str(document.path))
        return sum(len(elements) for elements in slices)


def _rows(stored: StoredDocument) -> pa.Table:
    return read_rows(stored.path, ["discord_id", "posted_at"])


def _some(ids: Collection[int]) -> str:
    shown = ", ".join(map(str, sorted(ids)[:_EXAMPLES]))
    return f"{shown} and {len(ids) - _EXAMPLES} more" if len(ids) > _EXAMPLES else shown
