"""How the table differs from a fresh reading of the same ids: what is missing, extra or stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ingest_pipeline.capture.history import Page
from ingest_pipeline.ingestion.documents import Tally
from ingest_pipeline.ingestion.payload_documents import PayloadDocument
from ingest_pipeline.storage.readings import StoredVersion


class DifferenceReason(StrEnum):
    """What a difference is, and why it is there as far as can be told.

    Attributes:
        NOT_READ: Discord has it, the table does not, and no complete reading covers it yet: a gap.
        LOST: Discord has it and the table does not, though its id is proven to be read.
        TAKEN_AS_DELETED: Discord has it, and the table holds it as deleted.
        DELETION_MISSED: The table has it, and Discord does not any more.
        CHANGE_MISSED: Both have it, with different contents.
    """

    NOT_READ = "not_read"
    LOST = "lost"
    TAKEN_AS_DELETED = "taken_as_deleted"
    DELETION_MISSED = "deletion_missed"
    CHANGE_MISSED = "change_missed"


DEFICITS = (DifferenceReason.NOT_READ, DifferenceReason.LOST, DifferenceReason.TAKEN_AS_DELETED)
"""The differences in which the table lacks what Discord has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One message in which the table differs from Discord."""

    channel_id: int
    discord_id: int
    reason: DifferenceReason


@dataclass(frozen=True, slots=True)
class FreshRow:
    """A message that ought to be in the table.

    Attributes:
        discord_id: Its id.
        content_digest: Its content.
        requested_at: When Discord was asked for it, aware UTC.
    """

    discord_id: int
    content_digest: int
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class FreshReading:
    """Pages of a channel, in the order of ids, normalised.

    Attributes:
        channel_id: The channel.
        pages: The pages.
        rows: The messages that ought to be in the table, by id.
        skipped: Messages that the channel's policy leaves out.
    """

    channel_id: int
    pages: tuple[Page, ...]
    rows: Mapping[int, FreshRow]
    skipped: int

    @property
    def stretches(self) -> list[tuple[int, int]]:
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


def fresh_reading(
    channel_id: int, pages: Sequence[Page], documents: Sequence[PayloadDocument]
) -> FreshReading:
    """Normalise pages, each given as a document too, the way the merge does."""
    rows: dict[int, FreshRow] = {}
    tally = Tally()
    for page, document in zip(pages, documents, strict=True):
        for table in document.batches(tally):
            ids, digests = table["discord_id"].to_pylist(), table["content_digest"].to_pylist()
            rows.update(
                (discord_id, FreshRow(discord_id, digest, page.requested_at))
                for discord_id, digest in zip(ids, digests, strict=True)
            )
    return FreshReading(channel_id, tuple(pages), rows, sum(tally.skipped.values()))


def compare(
    reading: FreshReading, stored: Mapping[int, StoredVersion], unproven: Sequence[tuple[int, int]]
) -> list[Difference]:
    """Return how the table differs from a reading, by id.

    What the table read later than the reading did is newer, and no difference: it may have been
    posted, edited or deleted since.

    Args:
        reading: What Discord has.
        stored: What the table has between the same ids, deleted messages too.
        unproven: The gaps `(low, high]` of the channel.
    """
    found = {
        discord_id: reason
        for discord_id, row in reading.rows.items()
        if (reason := _lack(row, stored.get(discord_id), unproven))
    }
    found.update((each, DifferenceReason.DELETION_MISSED) for each in _extra(reading, stored))
    return [Difference(reading.channel_id, each, found[each]) for each in sorted(found)]


def _lack(
    row: FreshRow, stored: StoredVersion | None, unproven: Sequence[tuple[int, int]]
) -> DifferenceReason | None:
    if stored is None:
        is_gap = any(low < row.discord_id <= high for low, high in unproven)
        return DifferenceReason.NOT_READ if is_gap else DifferenceReason.LOST
    if stored.deleted_at is not None:
        is_newer = stored.deleted_at >= row.requested_at
        return None if is_newer else DifferenceReason.TAKEN_AS_DELETED
    is_same = stored.content_digest == row.content_digest
    return None if is_same or stored.observed_at >= row.requested_at else DifferenceReason.CHANGE_MISSED


def _extra(reading: FreshReading, stored: Mapping[int, StoredVersion]) -> list[int]:
    """Return the live rows of messages that Discord does not have; those a policy leaves out it has."""
    extra = []
    for page in reading.pages:
        ids = page.ids
        extra += [
            version.discord_id
            for version in stored.values()
            if page.low < version.discord_id <= page.high
            and version.deleted_at is None
            and version.discord_id not in ids
            and version.observed_at < page.requested_at
        ]
    return extra
