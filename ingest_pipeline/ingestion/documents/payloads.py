"""Documents of message objects: pages of a channel's history over REST, and messages seen live."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from ingest_pipeline.domain.messages.details import Payload
from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, Rows, build_normalizer, policy_skip
from ingest_pipeline.domain.messages.profiles import note_payload
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents.document import Provenance, Tally, normalized_rows, rows_table
from ingest_pipeline.sources.discord.payloads import raw_message

_NO_CHANNEL = 0
_INSTANT = timedelta(microseconds=1)


def correlation_of(guild_id: int | None, message_id: int) -> str:
    """Return the correlation id of a message's whole journey: the same wherever it is computed."""
    return f"{guild_id or 0}-{message_id}"


@dataclass(frozen=True, slots=True)
class ObservedMessage:
    """A whole message, in an event or in an answer of Discord.

    Attributes:
        message_id: Its id.
        payload: The message object.
        seen_at: When the event was received or the answer asked for, aware UTC.
        is_creation: Whether this is the message as it was posted, which any other reading supersedes.
    """

    message_id: int
    payload: Payload
    seen_at: datetime
    is_creation: bool = False


@dataclass(frozen=True, slots=True)
class PayloadDocument:
    """Message objects of one channel: a page of its history, or messages seen one by one.

    What a page of history proves is an interval of ids, which its caller records; by itself the
    document proves nothing.

    Attributes:
        channel_id: The channel.
        guild_id: Its guild.
        messages: What was seen, in the order it was seen.
        policies: How channels' messages are taken; may be filled inside the transaction, before the
            document is read.
        provenance: Where the rows come from; each was read when its message was seen.
        own_journeys: Whether each message has a journey of its own, see `correlation_of`.
        known: Messages that the table has already. It is filled inside the transaction, before the
            document is read: a creation is no news of such a message.
        skipped: When the messages that were read and never taken were first read (aware UTC), by id;
            filled likewise. A creation may bring the text that such a message had before.
        parent_id: See `Document`; the catalogue knows it.
    """

    channel_id: int
    guild_id: int | None
    messages: Sequence[ObservedMessage]
    policies: Mapping[int, ChannelPolicy]
    provenance: Provenance
    own_journeys: bool = False
    known: Collection[int] = ()
    skipped: Mapping[int, datetime] = field(default_factory=dict)
    parent_id: int | None = None
    window: Window | None = None
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`.

        Discord names a message's channel itself, so a message with its thread's id is a forum post's
        first one and not, as in an export, a copy of what the parent channel has. It is kept: the
        normalizer does not get the channel that it would compare with.
        """
        policy = self.policies[self.channel_id]
        normalize = build_normalizer(_NO_CHANNEL, policy, None)
        informative = list(self._informative(policy))
        for seen in self.messages:
            note_payload(tally.profiles, seen.payload)
        rows = normalized_rows(normalize, [raw for raw, _ in informative], tally)
        if rows.kept:
            yield rows_table(
                rows,
                {
                    "guild_id": self.guild_id,
                    "channel_id": self.channel_id,
                    "source": self.provenance.source,
                    "observed_at": [informative[position][1] for position in rows.kept],
                    "correlation_id": self._journeys(rows),
                },
            )

    def _informative(self, policy: ChannelPolicy) -> Iterator[tuple[RawMessage, datetime]]:
        """Return the messages with the times they count as read at, without creations that are no news.

        Those are of messages seen before, in the table or in this document. A message of which only readings
        were seen that are not taken is the exception: its creation, which is older than all of them, may be.
        """
        if not any(seen.is_creation for seen in self.messages):
            yield from ((raw_message(seen.payload), seen.seen_at) for seen in self.messages)
            return
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

    def _journeys(self, rows: Rows) -> str | list[str]:
        if not self.own_journeys:
            return self.provenance.correlation_id
        return [correlation_of(self.guild_id, discord_id) for discord_id in rows.columns["discord_id"]]
