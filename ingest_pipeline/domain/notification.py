"""Notification rules: what somebody wants to be notified of, where, how often and when not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from ingest_pipeline.domain.search.query import Node, matches
from ingest_pipeline.domain.search.words import SearchableText
from ingest_pipeline.domain.sessions.session import Session


class Occasion(StrEnum):
    """What a rule is about, if not a kind of content."""

    MESSAGE = "message"
    SESSION_STARTS = "session_starts"
    SESSION_ENDS = "session_ends"
    SESSION_SEALED = "session_sealed"
    FAILURE = "failure"


KIND_ALIASES = {"radio": "team_radio", "setup": "trade_setups", "clip": "clips", "highlight": "highlights"}
"""What `--kind` of the search calls kinds of content."""

_OTHERS = frozenset(Occasion)
_DRIVER_COLUMNS = ("driver", "driver_name", "driver_code")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of each day in which nothing is sent.

    Attributes:
        start: When it begins, by the clock of the zone.
        end: When it ends; before `start` for one over midnight.
        zone: Whose clock.
    """

    start: time
    end: time
    zone: ZoneInfo

    def end_after(self, moment: datetime) -> datetime | None:
        """Return when the quiet time ends that a moment is in, aware UTC, or None outside of it."""
        local = moment.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None)
        if self.start <= self.end:
            is_quiet = self.start <= clock < self.end
        else:
            is_quiet = clock >= self.start or clock < self.end
        if not is_quiet:
            return None
        day = local.date() + timedelta(days=clock >= self.end)
        return datetime.combine(day, self.end, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is to be reported where.

    Attributes:
        name: What it is called.
        when: An `Occasion`, or the name of a kind of content.
        to: Names of the addresses.
        words: What the message must say, or None.
        drivers: Of which of these drivers, in small letters; empty for any.
        tickers: With a setup of which of these, in capitals; empty for any.
        channel_ids: In which of these channels; empty for any.
        session: A pattern of the session's id, or None for any or none.
        title: A template of the title, or None for the usual one.
        text: A template of the text, or None for the usual one.
        per_hour: How often in an hour at most, at each address.
        quiet: When not.
        newer_than: How old what happened may be.
    """

    name: str
    when: str
    to: tuple[str, ...]
    words: Node | None = None
    drivers: frozenset[str] = frozenset()
    tickers: frozenset[str] = frozenset()
    channel_ids: frozenset[int] = frozenset()
    session: str | None = None
    title: str | None = None
    text: str | None = None
    per_hour: int = 60
    quiet: QuietHours | None = None
    newer_than: timedelta = timedelta(minutes=30)

    @property
    def kind(self) -> str | None:
        """The kind of content that the rule is about, or None."""
        return None if self.when in _OTHERS else self.when

    @property
    def is_of_messages(self) -> bool:
        """Whether the rule is about single messages."""
        return self.when == Occasion.MESSAGE or self.kind is not None

    def fits_message(
        self, row: Mapping[str, Any], found: Sequence[Mapping[str, Any]], text: SearchableText
    ) -> bool:
        """Return whether a live message is to be reported.

        Args:
            row: Its row of `messages`.
            found: The rows of the rule's kind for it.
            text: Its words.
        """
        return (
            (self.kind is None or bool(found))
            and (not self.channel_ids or row["channel_id"] in self.channel_ids)
            and self.fits_session(row["session_id"])
            and (not self.drivers or not self.drivers.isdisjoint(_drivers(row, found)))
            and (not self.tickers or any(each.get("ticker") in self.tickers for each in found))
            and (self.words is None or matches(self.words, text))
        )

    def fits_session(self, session_id: str | None) -> bool:
        """Return whether something about a session, or about none, is to be reported."""
        return self.session is None or (session_id is not None and fnmatchcase(session_id, self.session))

    def fits(self, session: Session) -> bool:
        """Return whether a session's beginning, end or seal is to be reported."""
        is_there = not self.channel_ids or not self.channel_ids.isdisjoint(session.channel_ids)
        return is_there and self.fits_session(session.session_id)


def _drivers(row: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> set[str]:
    named = {row.get("driver"), *(each.get(name) for each in found for name in _DRIVER_COLUMNS)}
    return {name.lower() for name in named if name}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that is to be reported by a rule.

    Attributes:
        rule: The rule's name.
        subject: What it is about; at one address a rule reports a subject once.
        happened_at: When, aware UTC.
        message_id: The message it is about, or None.
        session_id: The session it is about, or None.
        data: What a text is made of that is in no other table, as JSON values.
    """

    rule: str
    subject: str
    happened_at: datetime
    message_id: int | None = None
    session_id: str | None = None
    data: Mapping[str, Any] | None = None
