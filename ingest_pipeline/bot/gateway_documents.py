"""Documents of single messages, each with its own time of reading: from the gateway or from a refetch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from ingest_pipeline.bot.gateway_events import SeenMessage, correlation_of
from ingest_pipeline.domain.message import RawMessage
from ingest_pipeline.domain.normalize import ChannelPolicy, build_normalizer, policy_skip
from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window, WindowGrid
from ingest_pipeline.ingestion.documents import Provenance, Tally, normalized_rows, rows_table
from ingest_pipeline.sources.discord.payloads import raw_message
from ingest_pipeline.storage.gateway.dirty_windows import TouchedWindow

_NO_CHANNEL = 0
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SeenDocument:
    """One channel's messages as they were seen, one by one; each has its own time and journey.

    Attributes:
        channel_id: The channel.
        guild_id: Its guild.
        messages: What was seen, in the order it was seen.
        policies: How channels' messages are taken; may be filled inside the transaction, before the
            document is read.
        provenance: The source, and what the report of the batch carries.
        known: Messages that the table has already. It is filled inside the transaction, before the
            document is read: a creation tells nothing about such a message.
        skipped: When the messages that were read and never taken were first read (aware UTC), by id;
            filled likewise. A creation may tell the text that such a message had before.
        parent_id: See `Document`; the catalogue knows it.
    """

    channel_id: int
    guild_id: int | None
    messages: Sequence[SeenMessage]
    policies: Mapping[int, ChannelPolicy]
    provenance: Provenance
    known: Collection[int] = ()
    skipped: Mapping[int, datetime] = field(default_factory=dict)
    parent_id: int | None = None
    window: Window | None = None
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`.

        Discord names a message's channel itself, so a message with its thread's id is a forum post's
        first one, which is kept: the normalizer is not told the channel that it would compare with.
        """
        policy = self.policies[self.channel_id]
        normalize = build_normalizer(_NO_CHANNEL, policy, None)
        informative = list(self._informative(policy))
        rows = normalized_rows(normalize, [raw for raw, _ in informative], tally)
        if rows.kept:
            yield rows_table(
                rows,
                {
                    "guild_id": self.guild_id,
                    "channel_id": self.channel_id,
                    "source": self.provenance.source,
                    "observed_at": [informative[position][1] for position in rows.kept],
                    "correlation_id": [
                        correlation_of(self.guild_id, discord_id) for discord_id in rows.columns["discord_id"]
                    ],
                },
            )

    def _informative(self, policy: ChannelPolicy) -> Iterator[tuple[RawMessage, datetime]]:
        """Return the messages with the times they count as read at, without creations that tell nothing.

        Those are of messages seen before, in the table or in this document. A message of which only readings
        were seen that are not taken is the exception: its creation, which is older than all of them, may be.
        """
        known, skipped = set(self.known), dict(self.skipped)
        for seen in self.messages:
            raw, seen_at = raw_message(seen.payload), seen.seen_at
            is_taken = policy_skip(raw, policy) is None
            earliest = skipped.get(seen.message_id)
            if seen.is_creation and (seen.message_id in known or (earliest and not is_taken)):
                continue
            if seen.is_creation and earliest:
                seen_at = min(seen_at, earliest - _INSTANT)
            if is_taken:
                known.add(seen.message_id)
            else:
                skipped.setdefault(seen.message_id, seen_at)
            yield raw, seen_at


def sessions_of(channel_id: int, parent_id: int | None, sessions: Sequence[Session]) -> list[Session]:
    """Return the sessions of a channel, or of a thread and its parent, the earliest first."""
    found = [session for session in sessions if {channel_id, parent_id}.intersection(session.channel_ids)]
    return sorted(found, key=lambda session: (session.start_time, session.session_id))


def windows_at(
    moments: Mapping[int, Collection[datetime]],
    parents: Mapping[int, int],
    sessions: Sequence[Session],
    grid: WindowGrid,
) -> set[TouchedWindow]:
    """Return the windows of channels' sessions that some times lie in.

    Args:
        moments: Times, aware UTC, by channel or thread.
        parents: The parents of those that are known as threads.
        grid: The grid of windows.
    """
    return {
        TouchedWindow(session.session_id, key)
        for channel_id, times in moments.items()
        for session in sessions_of(channel_id, parents.get(channel_id), sessions)
        for moment in times
        if moment in session.window
        for key in grid.keys_touching(Window(moment, moment + _INSTANT), session.window)
    }


def windows_of(
    message_ids: Mapping[int, Collection[int]],
    parents: Mapping[int, int],
    sessions: Sequence[Session],
    grid: WindowGrid,
) -> set[TouchedWindow]:
    """Return the windows of channels' sessions that some messages, by channel, were posted in."""
    moments = {channel_id: {created_at(each) for each in ids} for channel_id, ids in message_ids.items()}
    return windows_at(moments, parents, sessions, grid)
