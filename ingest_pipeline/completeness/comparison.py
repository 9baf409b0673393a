"""Differences between the table and a fresh reading of the same ids: missing, extra or stale messages.

The policy of the channel is applied to every message that Discord has, and the result is compared. A
message that it takes is a row. One that it does not take is no row and may be kept as skipped, unless it was
known before: then its row is what it is now on Discord, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ingest_pipeline.domain.erasures import NOTHING_ERASED, Erasures
from ingest_pipeline.domain.messages.details import NO_DETAILS
from ingest_pipeline.domain.messages.normalize import SkipReason
from ingest_pipeline.domain.sessions.membership import Claim
from ingest_pipeline.ingestion.documents.document import Document, Tally
from ingest_pipeline.sources.discord.history import Page
from ingest_pipeline.storage.engine.columns import values_of
from ingest_pipeline.storage.erasure_list import without_erased
from ingest_pipeline.storage.messages.queries import StoredVersion

_COMPARED = ("discord_id", "content_digest", "details_digest", "posted_at", "skip_reason")
# For these reasons there are no values of the message that the policy could be applied to.
_UNREADABLE = (
    SkipReason.MALFORMED,
    SkipReason.NO_ID,
    SkipReason.NO_TIMESTAMP,
    SkipReason.BAD_TIMESTAMP,
)


class DifferenceReason(StrEnum):
    """The reason of a difference.

    Attributes:
        NOT_READ: Discord has it, the table does not, and no complete reading covers it yet: a gap.
        LOST: Discord has it and the table does not, though its id is proven to be read.
        NOT_TAKEN: The policy takes what Discord has, and the table keeps it as skipped: the policy was
            another when it was read, or an edit was missed.
        TAKEN_AS_DELETED: Discord has it, and the table holds it as deleted.
        UNREADABLE: Discord has something that is no message, or one without a usable id or time.
        DELETION_MISSED: The table has it, and Discord does not any more.
        CHANGE_MISSED: Both have it, with different contents, as a row or as skipped.
        ACCEPTED_GAP: Discord has it, and the table does not, in a gap that was accepted.
        SESSION_DIFFERS: Its row is linked to another session than the one that takes its channel and time.
    """

    NOT_READ = "not_read"
    LOST = "lost"
    NOT_TAKEN = "not_taken"
    TAKEN_AS_DELETED = "taken_as_deleted"
    UNREADABLE = "unreadable"
    DELETION_MISSED = "deletion_missed"
    CHANGE_MISSED = "change_missed"
    ACCEPTED_GAP = "accepted_gap"
    SESSION_DIFFERS = "session_differs"


DEFICITS = (
    DifferenceReason.NOT_READ,
    DifferenceReason.LOST,
    DifferenceReason.NOT_TAKEN,
    DifferenceReason.TAKEN_AS_DELETED,
    DifferenceReason.UNREADABLE,
)
"""The differences in which the table lacks what Discord has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One message in which the table differs from Discord."""

    channel_id: int
    discord_id: int
    reason: DifferenceReason


@dataclass(frozen=True, slots=True)
class FreshRow:
    """A message that Discord has.

    Attributes:
        discord_id: Its id.
        content_digest: Its content.
        posted_at: When it was posted, aware UTC.
        requested_at: When Discord was asked for it, aware UTC.
        skip_reason: Why the channel's policy does not take it; None when it does.
        details_digest: Its details; None where the source does not carry any.
    """

    discord_id: int
    content_digest: int
    posted_at: datetime
    requested_at: datetime
    skip_reason: str | None
    details_digest: int | None = None


@dataclass(frozen=True, slots=True)
class FreshReading:
    """Pages of a channel, in the order of ids, normalized.

    Attributes:
        channel_id: The channel.
        pages: The pages.
        rows: The messages, by id, also those that the policy does not take.
        skipped: What became no row, by reason.
    """

    channel_id: int
    pages: tuple[Page, ...]
    rows: Mapping[int, FreshRow]
    skipped: Counter[str]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What the pages cover, as `(low, high]`, adjoining ones joined."""
        joined: list[tuple[int, int]] = []
        for page in self.pages:
            if joined and joined[-1][1] == page.low:
                joined[-1] = joined[-1][0], page.high
            else:
                joined.append((page.low, page.high))
        return joined

    @property
    def low(self) -> int:
        """The id just below what was read."""
        return self.pages[0].low

    @property
    def high(self) -> int:
        """The last id that was read."""
        return self.pages[-1].high


@dataclass(frozen=True, slots=True)
class Comparison:
    """A fresh reading beside the table.

    Attributes:
        on_discord: Messages of the reading that ought to be rows.
        in_table: Live rows between the same ids.
        compared: Messages that either has, skipped ones too.
        skipped: Messages of the reading that are left out, by reason.
        unrecorded: Of these, messages of which nothing is stored.
        reasons: How many differences there are of each reason.
        differences: Those that have an id, by id.
    """

    on_discord: int
    in_table: int
    compared: int
    skipped: Counter[str]
    unrecorded: int
    reasons: Counter[str]
    differences: list[Difference]


def fresh_reading(
    channel_id: int,
    pages: Sequence[Page],
    documents: Iterable[Document],
    erasures: Erasures = NOTHING_ERASED,
) -> FreshReading:
    """Normalize pages, each given as a document too, the way the merge does: without what was erased."""
    rows: dict[int, FreshRow] = {}
    tally = Tally()
    for page, document in zip(pages, documents, strict=True):
        for read in document.batches(tally):
            table = without_erased(erasures, read)
            if table is not read:
                tally.skipped[SkipReason.ERASED.value] += len(read) - len(table)
            columns = (values_of(table[name]) for name in _COMPARED)
            for discord_id, digest, details, posted_at, reason in zip(*columns, strict=True):
                if page.low < discord_id <= page.high:
                    rows[discord_id] = FreshRow(
                        discord_id, digest, posted_at, page.requested_at, reason, details
                    )
    return FreshReading(channel_id, tuple(pages), rows, tally.skipped)


def compare(
    reading: FreshReading,
    stored: Mapping[int, StoredVersion],
    unproven: Sequence[tuple[int, int]],
    claims: Sequence[Claim],
    *,
    shows_starter: bool,
    accepted: Sequence[tuple[int, int]] = (),
) -> Comparison:
    """Compare the table with a reading, by id.

    What the table read later than the reading did is newer, and no difference: it may have been
    posted, edited or deleted since.

    Args:
        reading: What Discord has.
        stored: What the table has between the same ids, deleted and skipped messages too.
        unproven: The gaps `(low, high]` of the channel.
        claims: What all sessions claim of the channel.
        shows_starter: Whether the channel's history holds the message with the channel's own id.
        accepted: The ranges `(low, high]` of the channel that were accepted as missing.
    """
    found = {
        discord_id: reason
        for discord_id, row in reading.rows.items()
        if (reason := _difference(row, stored.get(discord_id), unproven, claims))
    }
    found.update(
        (discord_id, DifferenceReason.ACCEPTED_GAP)
        for discord_id, reason in found.items()
        if reason is DifferenceReason.NOT_READ and any(low < discord_id <= high for low, high in accepted)
    )
    extra = _extra(reading, stored, shows_starter=shows_starter)
    found.update((each, DifferenceReason.DELETION_MISSED) for each in extra)
    left_out = [row for row in reading.rows.values() if _is_left_out(row, stored.get(row.discord_id))]
    unreadable = sum(reading.skipped[reason] for reason in _UNREADABLE)
    reasons = Counter(reason.value for reason in found.values())
    if unreadable:
        reasons[DifferenceReason.UNREADABLE.value] = unreadable
    return Comparison(
        on_discord=len(reading.rows) - len(left_out),
        in_table=sum(version.is_live for version in stored.values()),
        compared=len(reading.rows) + len(extra) + unreadable,
        skipped=reading.skipped + Counter(row.skip_reason for row in left_out if row.skip_reason),
        unrecorded=sum(row.discord_id not in stored for row in left_out),
        reasons=reasons,
        differences=[Difference(reading.channel_id, each, found[each]) for each in sorted(found)],
    )


def _is_left_out(row: FreshRow, stored: StoredVersion | None) -> bool:
    """Return whether a message is rightly no row: the policy skips it, and it was not known before."""
    return row.skip_reason is not None and (stored is None or stored.skip_reason is not None)


def _difference(
    row: FreshRow,
    stored: StoredVersion | None,
    unproven: Sequence[tuple[int, int]],
    claims: Sequence[Claim],
) -> DifferenceReason | None:
    if stored is not None and stored.deleted_at is not None:
        is_newer = stored.deleted_at >= row.requested_at
        return None if is_newer else DifferenceReason.TAKEN_AS_DELETED
    if stored is not None:
        return _stale(row, stored) or _mislinked(row, stored, claims)
    if row.skip_reason is not None:
        return None
    is_gap = any(low < row.discord_id <= high for low, high in unproven)
    return DifferenceReason.NOT_READ if is_gap else DifferenceReason.LOST


def _stale(row: FreshRow, stored: StoredVersion) -> DifferenceReason | None:
    is_same = stored.content_digest == row.content_digest and _has_same_details(row, stored)
    if not is_same and stored.observed_at >= row.requested_at:
        return None
    if row.skip_reason is None and stored.skip_reason is not None:
        return DifferenceReason.NOT_TAKEN
    return None if is_same else DifferenceReason.CHANGE_MISSED


def _has_same_details(row: FreshRow, stored: StoredVersion) -> bool:
    return row.details_digest is None or row.details_digest == (stored.details_digest or NO_DETAILS)


def _mislinked(row: FreshRow, stored: StoredVersion, claims: Sequence[Claim]) -> DifferenceReason | None:
    # The definition itself, in place of what the merge computes by it.
    owner = min((each for each in claims if each.start <= row.posted_at < each.end), default=None)
    is_linked = stored.skip_reason is not None or stored.session_id == (owner and owner.session_id)
    return None if is_linked else DifferenceReason.SESSION_DIFFERS


def _extra(reading: FreshReading, stored: Mapping[int, StoredVersion], *, shows_starter: bool) -> list[int]:
    """Return what the table has, as rows or as skipped, and Discord has not."""
    extra = []
    for page in reading.pages:
        ids = page.ids
        extra += [
            version.discord_id
            for version in stored.values()
            if page.low < version.discord_id <= page.high
            and version.deleted_at is None
            and version.discord_id not in ids
            and (shows_starter or version.discord_id != reading.channel_id)
            and version.observed_at < page.requested_at
        ]
    return extra
