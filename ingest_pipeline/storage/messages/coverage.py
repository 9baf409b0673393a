"""The coverage ledger: intervals of ids proven complete, and how the last verification ended.

An interval `(low, high]` is proven by one complete, contiguous reading, recorded in the same
transaction as its rows. Live events prove nothing, and nothing here guesses: what no reading
covers is a gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256

from ingest_pipeline.domain.messages.normalize import NORMALIZER_VERSION
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.state import get_state, set_state

_KEY = "last_verification"
_HISTORY = "history"
_FIRST_READER_OF_WORDS = 2


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
        reader_version: Which `NORMALIZER_VERSION` read the messages; None if that was before it was noted.
        keeps_media: Whether messages that have media and no words were taken; None likewise.
    """

    channel_id: int
    low: int
    high: int
    source: str
    observed_at: datetime
    correlation_id: str
    reader_version: int | None = NORMALIZER_VERSION
    keeps_media: bool | None = None

    @property
    def lacks_words(self) -> bool:
        """Whether history was read without words outside contents; exports are read again from landing."""
        return self.source == _HISTORY and (self.reader_version or 0) < _FIRST_READER_OF_WORDS


def record_proof(connection: Connection, proof: Proof) -> None:
    """Record an interval.

    Those of the channel wholly inside it are replaced by it. With those that it overlaps or touches, read by
    the same source, version and policy, it becomes one, read last when it was: a channel that is polled for
    months has one row for each stretch without a gap. Intervals of history stay as they were begun.
    """
    # Two readings of a channel at a time would each keep what the other replaces.
    connection.execute("lock_coverage", channel_id=proof.channel_id)
    stated = asdict(proof)
    begun = {key: value for key, value in stated.items() if key != "observed_at"}
    before = connection.fetch_one("read_by_another_version", **begun)
    # What an older version or another policy began was read without what is taken now: the rest is its proof.
    if before and before["high"] is not None:
        stated["low"] = before["high"]
    if proof.source != _HISTORY:
        asked = ("channel_id", "low", "high", "source", "reader_version", "keeps_media")
        joined = connection.fetch_one("find_joined", **{name: stated[name] for name in asked}) or {}
        stated |= {name: value for name, value in joined.items() if value is not None}
    connection.execute(
        "absorb_proofs",
        channel_id=proof.channel_id,
        low=stated["low"],
        high=stated["high"],
        source=proof.source,
        first_reader_of_words=_FIRST_READER_OF_WORDS,
    )
    connection.execute("insert_proof", **stated)


def proofs(connection: Connection, channel_id: int) -> list[Proof]:
    """Return a channel's intervals, ordered by `(low, high)`."""
    return [Proof(**row) for row in connection.fetch_all("list_proofs", channel_id=channel_id)]


def gaps(connection: Connection, channel_id: int, low: int, high: int) -> list[tuple[int, int]]:
    """Return the parts `(low, high]` of an interval of ids that nothing proves, in order."""
    if low >= high:
        return []
    rows = connection.fetch_all("find_gaps", channel_id=channel_id, low=low, high=high)
    return [(row["low"], row["high"]) for row in rows]


def read_without_words(connection: Connection, channel_id: int, low: int, high: int) -> list[tuple[int, int]]:
    """Return the parts of `(low, high]` that history has read without all words, and not again, in order."""
    known = proofs(connection, channel_id)
    whole = [each for each in known if each.source == _HISTORY and not each.lacks_words]
    return _lacking([each for each in known if each.lacks_words], whole, low, high)


def read_without_media(connection: Connection, channel_id: int, low: int, high: int) -> list[tuple[int, int]]:
    """Return the parts of `(low, high]` read without messages that have media and no words, in order.

    What history has read so, only history read again has whole: exports carry no media of components.
    """
    known = proofs(connection, channel_id)
    taken = [each for each in known if each.keeps_media]
    found: list[tuple[int, int]] = []
    for is_history in (True, False):
        lacking = [each for each in known if not each.keeps_media and (each.source == _HISTORY) is is_history]
        whole = [each for each in taken if each.source == _HISTORY or not is_history]
        found += _lacking(lacking, whole, low, high)
    return _joined(found)


def _lacking(lacking: Sequence[Proof], whole: Sequence[Proof], low: int, high: int) -> list[tuple[int, int]]:
    """Return the parts of `(low, high]` inside some intervals and outside others, both ordered."""
    found: list[tuple[int, int]] = []
    for each in lacking:
        found += _without(max(each.low, low), min(each.high, high), whole)
    return _joined(found)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _without(low: int, high: int, proven: Sequence[Proof]) -> Iterator[tuple[int, int]]:
    """Yield the parts of `(low, high]` outside intervals, which are ordered."""
    for each in proven:
        if each.low >= high:
            break
        if low < each.low:
            yield low, each.low
        low = max(low, each.high)
    if low < high:
        yield low, high


def proven_until(connection: Connection, channel_id: int, low: int) -> int:
    """Return up to which id everything above `low` is proven; `low` itself when nothing is."""
    first = next(iter(gaps(connection, channel_id, low, MAX_SNOWFLAKE)), None)
    return first[0] if first else MAX_SNOWFLAKE


def ledger_mark(connection: Connection, settled: datetime) -> str:
    """Return what differs whenever something was proven or sealed, or a session was changed or ended.

    Args:
        settled: The time by which sessions ended, aware UTC.
    """
    row = connection.fetch_one("ledger_mark", settled=settled) or {}
    return digest_of(row.values())


def coverage_marks(connection: Connection, sessions: Iterable[Session]) -> dict[str, str]:
    """Return for each session with a proof what differs whenever something of it was proven."""
    spans = [(session, channel_id) for session in sessions for channel_id in session.channel_ids]
    rows = connection.fetch_all(
        "coverage_of_sessions",
        session_ids=[session.session_id for session, _ in spans],
        channel_ids=[channel_id for _, channel_id in spans],
        lows=[session.window.low for session, _ in spans],
        highs=[session.window.high for session, _ in spans],
    )
    return {row["session_id"]: digest_of((row["ids"], row["observed_at"])) for row in rows}


def digest_of(values: Iterable[object]) -> str:
    """Return a short digest of some values as they are written; times have to be aware."""
    stated = [value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for value in values]
    return sha256(repr(stated).encode()).hexdigest()[:16]


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
