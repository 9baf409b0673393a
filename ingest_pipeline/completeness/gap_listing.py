"""Gaps: the missing ranges, and the reason of each.

A gap is a range of ids that ought to be in the table and that no complete reading covers. Most
gaps hold nothing that is missing: messages seen live are stored, but only a reading proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from ingest_pipeline.completeness.expectations import Expectation, Scope, expectations
from ingest_pipeline.domain.guild import Channel, ChannelAccess
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.catalogue.guilds import list_channels
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.accepted_gaps import AcceptedGap, accepted_gaps
from ingest_pipeline.storage.messages.coverage import (
    Proof,
    gaps,
    proofs,
    read_without_media,
    read_without_words,
)
from ingest_pipeline.storage.runs.scan_runs import RunKind, ScanRun, unfinished_runs


class GapReason(StrEnum):
    """Why a range is not proven.

    Attributes:
        NEVER_READ: Nothing of the channel has been read completely.
        BEFORE_FIRST: It lies before all that has been read.
        BETWEEN: It lies between two readings.
        AFTER_LAST: It came after the last reading.
        IMPORT_UNFINISHED: An import was cut off before it.
        NO_HISTORY: The bot lacks Read Message History.
        FORBIDDEN: The bot does not see the channel.
        MISSING: The channel is gone.
        WITHOUT_WORDS: It was read by a version that took no words of embeds, forwards, components and polls.
        WITHOUT_MEDIA: It was read when the channel's policy left out messages that have media and no words.
    """

    NEVER_READ = "never_read"
    BEFORE_FIRST = "before_first_reading"
    BETWEEN = "between_readings"
    AFTER_LAST = "after_last_reading"
    IMPORT_UNFINISHED = "import_unfinished"
    NO_HISTORY = "no_permission_for_history"
    FORBIDDEN = "channel_not_visible"
    MISSING = "channel_gone"
    WITHOUT_WORDS = "read_without_words"
    WITHOUT_MEDIA = "read_without_media"


_BARRED = {
    ChannelAccess.NO_HISTORY: GapReason.NO_HISTORY,
    ChannelAccess.FORBIDDEN: GapReason.FORBIDDEN,
    ChannelAccess.MISSING: GapReason.MISSING,
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids in `(low, high]` of a channel that ought to be proven and are not.

    Attributes:
        channel_id: The channel or thread.
        guild_id: Its guild, or None for a session's channel that the bot does not know.
        channel_name: Its name, or None likewise.
        low: The id just below.
        high: The last id.
        reason: Why.
        session_id: The session it is expected for, or None for a whole channel.
        accepted: Why it was accepted, or None when it was not.
    """

    channel_id: int
    guild_id: int | None
    channel_name: str | None
    low: int
    high: int
    reason: GapReason
    session_id: str | None = None
    accepted: str | None = None

    @property
    def is_deficit(self) -> bool:
        """Whether anything wanted can still be missing: not when it is accepted or the channel is gone."""
        return self.reason is not GapReason.MISSING and self.accepted is None

    @property
    def start(self) -> datetime:
        """The earliest time a message in it can have been posted, aware UTC."""
        return created_at(self.low + 1)

    @property
    def end(self) -> datetime:
        """The latest time a message in it can have been posted, aware UTC."""
        return created_at(self.high)

    def as_dict(self) -> dict[str, Any]:
        """Return the gap as JSON values: ids as strings, times as ISO 8601 in UTC."""
        return {
            "guild_id": None if self.guild_id is None else str(self.guild_id),
            "channel_id": str(self.channel_id),
            "channel_name": self.channel_name,
            "session_id": self.session_id,
            "low": str(self.low),
            "high": str(self.high),
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "reason": self.reason.value,
            "accepted": self.accepted,
        }


def list_gaps(services: Services, scope: Scope | None = None, now: datetime | None = None) -> list[Gap]:
    """Return what is missing, by channel and id, from the ledger alone: Discord is not asked."""
    moment = now or datetime.now(UTC)
    found: list[Gap] = []
    settings = services.settings
    # A live session lags behind by its polls: what the next one or two will read is no gap yet.
    settle = settings.settle + timedelta(seconds=2 * settings.poll_interval_seconds)
    with services.database.read() as connection:
        wanted = expectations(connection, moment, settle, scope)
        known = {channel.channel_id: channel for channel in list_channels(connection)}
        imports = unfinished_runs(connection, RunKind.IMPORT)
        for expected in wanted:
            found += _missing(connection, expected, known, imports)
    return found


def gaps_between(connection: Connection, channel_ids: Sequence[int], window: Window) -> list[Gap]:
    """Return what is not proven of some channels and a time, whether anything is expected there or not."""
    known = {channel.channel_id: channel for channel in list_channels(connection)}
    imports = unfinished_runs(connection, RunKind.IMPORT)
    found: list[Gap] = []
    for channel_id in channel_ids:
        expected = Expectation(channel_id, max(window.low, 0), window.high)
        found += _missing(connection, expected, known, imports)
    return found


def _missing(
    connection: Connection,
    expected: Expectation,
    known: Mapping[int, Channel],
    imports: Mapping[int, ScanRun],
) -> Iterator[Gap]:
    channel_id = expected.channel_id
    missing = gaps(connection, channel_id, expected.low, expected.high)
    if not missing:
        return
    diagnose = _Diagnosis(
        expected, known.get(channel_id), imports.get(channel_id), proofs(connection, channel_id)
    )
    accepted = accepted_gaps(connection, channel_id)
    for low, high in missing:
        yield from _split(diagnose.gap(low, high), accepted)


def _split(gap: Gap, accepted: Sequence[AcceptedGap]) -> Iterator[Gap]:
    """Cut a gap at the ends of accepted ranges, which are ordered."""
    reached = gap.low
    for each in accepted:
        low, high = max(each.low, reached), min(each.high, gap.high)
        if low < high:
            if reached < low:
                yield replace(gap, low=reached, high=low)
            yield replace(gap, low=low, high=high, accepted=each.reason)
            reached = high
    if reached < gap.high:
        yield replace(gap, low=reached)


def list_read_in_part(services: Services, scope: Scope | None = None) -> dict[GapReason, list[Gap]]:
    """Return what an earlier version has read without words, or a narrower policy without media, by reason.

    No message need be missing there, so these are no gaps; a repair reads them again all the same.
    """
    with services.database.read() as connection:
        wordless = _read_in_part(services, connection, scope, GapReason.WITHOUT_WORDS, read_without_words)
        found = _read_in_part(services, connection, scope, GapReason.WITHOUT_MEDIA, read_without_media)
        policies = services.policies(connection, {gap.channel_id for gap in found})
    narrow = [gap for gap in found if policies[gap.channel_id].keep_media_only]
    return {GapReason.WITHOUT_WORDS: wordless, GapReason.WITHOUT_MEDIA: narrow}


def _read_in_part(
    services: Services,
    connection: Connection,
    scope: Scope | None,
    reason: GapReason,
    parts: Callable[[Connection, int, int, int], list[tuple[int, int]]],
) -> list[Gap]:
    known = {channel.channel_id: channel for channel in list_channels(connection)}
    return [
        Gap(
            channel_id=expected.channel_id,
            guild_id=channel.guild_id,
            channel_name=channel.name,
            low=low,
            high=high,
            reason=_BARRED.get(channel.reading_state, reason),
            session_id=expected.session_id,
        )
        for expected in expectations(connection, datetime.now(UTC), services.settings.settle, scope)
        if (channel := known.get(expected.channel_id))
        for low, high in parts(connection, expected.channel_id, expected.low, expected.high)
    ]


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    """The state of a channel with gaps."""

    expected: Expectation
    channel: Channel | None
    unfinished: ScanRun | None
    proofs: Sequence[Proof]

    def gap(self, low: int, high: int) -> Gap:
        """Return the gap `(low, high]` with its reason."""
        return Gap(
            channel_id=self.expected.channel_id,
            guild_id=self.channel.guild_id if self.channel else None,
            channel_name=self.channel.name if self.channel else None,
            low=low,
            high=high,
            reason=self._reason(low, high),
            session_id=self.expected.session_id,
        )

    def _reason(self, low: int, high: int) -> GapReason:
        if self.channel is not None and self.channel.reading_state in _BARRED:
            return _BARRED[self.channel.reading_state]
        if self.unfinished is not None and low >= self.unfinished.cursor_id:
            return GapReason.IMPORT_UNFINISHED
        if not self.proofs:
            return GapReason.NEVER_READ
        if high <= min(proof.low for proof in self.proofs):
            return GapReason.BEFORE_FIRST
        if low >= max(proof.high for proof in self.proofs):
            return GapReason.AFTER_LAST
        return GapReason.BETWEEN


def is_repairable(gap: Gap) -> bool:
    """Return whether the bot can read a gap, as far as is known, and is wanted to."""
    return gap.guild_id is not None and gap.reason not in _BARRED.values() and gap.accepted is None
