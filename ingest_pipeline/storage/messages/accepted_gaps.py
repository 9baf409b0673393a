"""Accepted gaps: ranges of ids that no reading proves and that somebody has accepted as missing.

They prove nothing: a reading of such a range is recorded in the ledger as ever, and the acceptance then says
no more.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class AcceptedGap:
    """The ids in `(low, high]` of a channel may be missing.

    Attributes:
        channel_id: The channel.
        low: The id just below.
        high: The last id.
        reason: Why, in the words of the user who accepted it.
        accepted_at: When, aware UTC.
    """

    channel_id: int
    low: int
    high: int
    reason: str
    accepted_at: datetime


def accept_gap(connection: Connection, gap: AcceptedGap) -> None:
    """Accept a range; the same range again takes the new reason."""
    connection.execute("accept_gap", **asdict(gap))


def withdraw_acceptance(connection: Connection, channel_id: int, low: int, high: int) -> int:
    """Accept the ranges of a channel that touch `(low, high]` no more, and return how many there were."""
    return connection.execute("withdraw_accepted_gaps", channel_id=channel_id, low=low, high=high)


def accepted_gaps(connection: Connection, channel_id: int | None = None) -> list[AcceptedGap]:
    """Return the accepted ranges of a channel, or of all, in order."""
    return [AcceptedGap(**row) for row in connection.fetch_all("list_accepted_gaps", channel_id=channel_id)]
