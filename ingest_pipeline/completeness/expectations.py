"""Expected ranges of ids, by which `gaps`, repair and verification work.

- A channel that is monitored, or that an import was begun for, is expected whole: from its first
  message to the newest known to exist.
- A session's channels are expected for the session's time, as far as that is settled.
- A channel that is asked for by its id, and that nothing else expects, is expected as far as messages of it
  are stored; so are the channels of such a guild.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.snowflake import created_at, first_id_at
from ingest_pipeline.storage.catalogue.guilds import list_channels, list_monitored
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import channels_of_guild, stored_bounds
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.runs.scan_runs import imported_channels


@dataclass(frozen=True, slots=True)
class Expectation:
    """Ids in `(low, high]` of a channel ought to be in the table.

    Attributes:
        channel_id: The channel or thread.
        low: The id just below.
        high: The last id.
        session_id: The session it is expected for, or None for a whole channel.
    """

    channel_id: int
    low: int
    high: int
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which expectations to look at; None leaves out nothing.

    Attributes:
        guild_id: Only those of this guild's channels, of the catalogue or of stored messages.
        channel_id: Only those of this channel.
        since: Of the sessions, only those that ended after this time, aware UTC.
        posted_from: Only what was posted then or later, aware UTC.
        posted_before: Only what was posted earlier, aware UTC.
    """

    guild_id: int | None = None
    channel_id: int | None = None
    since: datetime | None = None
    posted_from: datetime | None = None
    posted_before: datetime | None = None

    def includes(self, expectation: Expectation, of_guild: Collection[int]) -> bool:
        """Return whether an expectation is looked at, given the channels of the scope's guild."""
        if self.channel_id is not None and expectation.channel_id != self.channel_id:
            return False
        is_session = expectation.session_id is not None
        if is_session and self.since is not None and created_at(expectation.high) < self.since:
            return False
        return self.guild_id is None or expectation.channel_id in of_guild

    def clipped(self, expectation: Expectation) -> Expectation | None:
        """Return the part of an expectation that lies between the scope's times, or None."""
        low, high = expectation.low, expectation.high
        if self.posted_from is not None:
            low = max(low, first_id_at(self.posted_from) - 1)
        if self.posted_before is not None:
            high = min(high, first_id_at(self.posted_before) - 1)
        return replace(expectation, low=low, high=high) if low < high else None


def expectations(
    connection: Connection, now: datetime, settle: timedelta, scope: Scope | None = None
) -> list[Expectation]:
    """Return what ought to be in the table, by channel, each whole channel before its sessions.

    A session whose time lies in its channel's expectation is not named again.

    Args:
        settle: How long after its end a time range may still change.
        scope: What to look at.
    """
    known = {channel.channel_id: channel for channel in list_channels(connection)}
    found = _largest(chain(_whole_channels(connection, known), _sessions(connection, now - settle)))
    wanted = scope or Scope()
    of_guild = set() if wanted.guild_id is None else channels_of_guild(connection, wanted.guild_id)
    included = [each for each in found if wanted.includes(each, of_guild)]
    included = included or _stored_channels(connection, wanted, of_guild)
    return [clipped for each in included if (clipped := wanted.clipped(each))]


def _stored_channels(connection: Connection, wanted: Scope, of_guild: Collection[int]) -> list[Expectation]:
    """Return what is stored of channels that are asked for by an id though nothing else expects them."""
    if wanted.channel_id is None and wanted.guild_id is None:
        return []
    found = [
        Expectation(channel_id, stored.oldest - 1, stored.newest)
        for channel_id, stored in sorted(stored_bounds(connection).items())
        if wanted.channel_id in {None, channel_id}
    ]
    return [each for each in found if wanted.includes(each, of_guild)]


def _whole_channels(connection: Connection, known: dict[int, Channel]) -> Iterable[Expectation]:
    bounds = stored_bounds(connection)
    ids = {channel.channel_id for channel in list_monitored(connection)} | imported_channels(
        connection
    ).keys()
    for channel_id in sorted(ids):
        channel = known.get(channel_id)
        if channel is not None and channel.holds_messages:
            stored = bounds.get(channel_id)
            high = max(channel.last_message_id or 0, stored.newest if stored else 0)
            if high:
                yield Expectation(channel_id, 0, high)


def _sessions(connection: Connection, settled: datetime) -> Iterable[Expectation]:
    for session in list_sessions(connection):
        window = session.window
        high = min(window.high, first_id_at(settled) - 1)
        if high > window.low and not session.is_cancelled:
            for channel_id in session.channel_ids:
                yield Expectation(channel_id, window.low, high, session.session_id)


def _largest(found: Iterable[Expectation]) -> list[Expectation]:
    """Return the expectations that lie in no other of their channel."""
    kept: list[Expectation] = []
    for each in sorted(found, key=lambda item: (item.channel_id, item.low, -item.high)):
        last = kept[-1] if kept else None
        if last is None or last.channel_id != each.channel_id or last.high < each.high:
            kept.append(each)
    return kept
