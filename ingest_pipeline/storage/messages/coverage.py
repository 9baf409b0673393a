"""The coverage ledger: intervals of ids proven complete, and how the last verification ended.

An interval `(low, high]` is proven by one complete, contiguous reading, recorded in the same
transaction as its rows. Live events prove nothing, and nothing here guesses: what no reading
covers is a gap.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.state import get_state, set_state

_KEY = "last_verification"


@dataclass(frozen=True, slots=True)
class Proof:
    """The ids in `(low, high]` of a channel were read completely.

    Attributes:
        channel_id: The channel.
        low: The id just below the interval.
        high: The last id of the interval; above `low`.
        source: `export` or `history`.
        observed_at: When Discord was read, aware UTC.
        correlation_id: The journey of the reading.
    """

    channel_id: int
    low: int
    high: int
    source: str
    observed_at: datetime
    correlation_id: str


def record_proof(connection: Connection, proof: Proof) -> None:
    """Record an interval. Those of the channel wholly inside it are replaced by it, others are kept."""
    connection.execute("lock_coverage", channel_id=proof.channel_id)
    connection.execute("absorb_proofs", channel_id=proof.channel_id, low=proof.low, high=proof.high)
    connection.execute("insert_proof", **asdict(proof))


def proofs(connection: Connection, channel_id: int) -> list[Proof]:
    """Return a channel's intervals, ordered by `(low, high)`."""
    return [Proof(**row) for row in connection.fetch_all("list_proofs", channel_id=channel_id)]


def gaps(connection: Connection, channel_id: int, low: int, high: int) -> list[tuple[int, int]]:
    """Return the parts `(low, high]` of an interval of ids that nothing proves, in order."""
    if low >= high:
        return []
    rows = connection.fetch_all("find_gaps", channel_id=channel_id, low=low, high=high)
    return [(row["low"], row["high"]) for row in rows]


def proven_until(connection: Connection, channel_id: int, low: int) -> int:
    """Return up to which id everything above `low` is proven; `low` itself when nothing is."""
    first = next(iter(gaps(connection, channel_id, low, MAX_SNOWFLAKE)), None)
    return first[0] if first else MAX_SNOWFLAKE


@dataclass(frozen=True, slots=True)
class LastVerification:
    """A comparison of the table with Discord.

    Attributes:
        at: When it ended, aware UTC.
        is_exact: Whether nothing differed and everything could be read.
        has_deficit: Whether something that Discord has was missing, or may have been.
        differences: How many messages differed.
    """

    at: datetime
    is_exact: bool
    has_deficit: bool
    differences: int


def note_verification(connection: Connection, verification: LastVerification) -> None:
    """Keep how a comparison ended, in place of the one before."""
    set_state(connection, _KEY, json.dumps({**asdict(verification), "at": verification.at.isoformat()}))


def last_verification(connection: Connection) -> LastVerification | None:
    """Return how the last comparison ended, or None without any."""
    noted = get_state(connection, _KEY)
    if noted is None:
        return None
    stated = json.loads(noted)
    return LastVerification(**{**stated, "at": datetime.fromisoformat(stated["at"])})
