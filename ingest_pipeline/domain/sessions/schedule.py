"""A schedule: the sessions that a calendar or a season's list announces.

Every source of schedules is read into a `Schedule`; what it does to stored sessions is decided in
`schedule_plan.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from ingest_pipeline.domain.sessions.session import Session

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


class Version(NamedTuple):
    """How new an entry is; the higher is the newer.

    Attributes:
        sequence: Its number of revisions, 0 when none is stated.
        written_at: When it was written, aware UTC, if that is known.
    """

    sequence: int = 0
    written_at: datetime | None = None

    def is_older_than(self, other: Version) -> bool:
        """Return whether this is surely older: of equal sequences both have to be dated."""
        if self.sequence != other.sequence:
            return self.sequence < other.sequence
        return bool(self.written_at and other.written_at and self.written_at < other.written_at)

    @property
    def rank(self) -> tuple[int, datetime]:
        """A total order for the entries of one file."""
        return self.sequence, self.written_at or _EARLIEST


@dataclass(frozen=True, slots=True)
class ScheduledSession:
    """One session as a schedule has it.

    Attributes:
        session: The session; its id is the same at every reading.
        uid: What the source calls it; the occurrences of a series share one.
        version: How new it is.
        where: Its place in the source, such as `line 12`.
    """

    session: Session
    uid: str
    version: Version = field(default_factory=Version)
    where: str = ""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """An event that does not take place.

    Attributes:
        uid: What the source calls it.
        session_id: The session's id as the source makes it.
        name: What it is called, for people.
        version: How new that is.
        where: Its place in the source.
        is_series: Whether it stands for all occurrences of the UID, if it recurs.
    """

    uid: str
    session_id: str
    name: str
    version: Version = field(default_factory=Version)
    where: str = ""
    is_series: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that is no session, with the reason and what would make it one.

    Attributes:
        where: Its place in the source.
        name: What it is called, for people.
        reason: Why, and the remedy.
        uid: What the source calls it; its sessions stay as they are.
    """

    where: str
    name: str
    reason: str
    uid: str = ""

    def __str__(self) -> str:
        """Name the event and the reason."""
        return f"{self.where}, {self.name!r}: {self.reason}" if self.name else f"{self.where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The content of a source.

    Attributes:
        source: The name of a subscription, or of the kind of file.
        sessions: Its sessions.
        cancelled: What it says is cancelled.
        left_out: What it holds besides.
        series: The UIDs of recurring events, of which only a time range is known.
        partial: The UIDs of recurring events of which only some occurrences are known.
        since: Start of that range, aware UTC.
        until: Its end.
        is_whole: Whether it holds everything that is coming: what is no longer in it is cancelled.
        may_be_empty: Whether that counts for an empty one too, which elsewhere is a fault of the source.
    """

    source: str
    sessions: tuple[ScheduledSession, ...]
    cancelled: tuple[Cancellation, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    series: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()
    since: datetime = _EARLIEST
    until: datetime = _LATEST
    is_whole: bool = False
    may_be_empty: bool = False


def newest_of(entries: Iterable[ScheduledSession]) -> tuple[list[ScheduledSession], list[LeftOut]]:
    """Return the newest entry of each id in their order, and those that contradict one that is as new."""
    best: dict[str, ScheduledSession] = {}
    rivals: list[LeftOut] = []
    for entry in entries:
        session_id = entry.session.session_id
        known = best.setdefault(session_id, entry)
        if known is entry:
            continue
        if known.version.rank != entry.version.rank:
            best[session_id] = max(known, entry, key=lambda each: each.version.rank)
        elif known.session != entry.session:
            reason = f"the id {session_id!r} was already given in {known.where}: give each event its own UID"
            rivals.append(LeftOut(entry.where, entry.session.event_name or "", reason, entry.uid))
    return list(best.values()), rivals
