"""Documents of Discord's own message objects: pages of history, and whatever the gateway sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ingest_pipeline.capture.discord_payloads import Payload, raw_message
from ingest_pipeline.documents import Provenance, Tally, normalised_batches
from ingest_pipeline.domain.normalize import ChannelPolicy
from ingest_pipeline.domain.session import Session, live_sessions
from ingest_pipeline.domain.snowflake import created_at, parse_snowflake
from ingest_pipeline.domain.window import Window

_SLICE = 1000
_NO_CHANNEL = 0


@dataclass(frozen=True, slots=True)
class PayloadDocument:
    """Message objects of one channel, read at one time.

    What a page of history proves is an interval of ids, which its caller records; the document by
    itself proves nothing.

    Attributes:
        channel_id: The channel or thread they were posted in.
        guild_id: Its guild.
        payloads: Message objects as REST and the gateway give them.
        policy: How the channel's messages are taken.
        provenance: See `Document`.
        window: See `Document`; none.
        complete: See `Document`; never.
    """

    channel_id: int
    guild_id: int | None
    payloads: Sequence[Payload]
    policy: ChannelPolicy
    provenance: Provenance
    window: Window | None = None
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`.

        Discord names a message's channel itself, so a message with its channel's id is a forum post's
        first one and not, as in an export, a copy of the parent channel's. It is kept: the normaliser
        is not told the channel that it would compare with.
        """
        for table in normalised_batches(
            map(_raw_messages, self._slices()),
            guild_id=self.guild_id,
            channel_id=_NO_CHANNEL,
            policy=self.policy,
            window=self.window,
            provenance=self.provenance,
            tally=tally,
        ):
            index = table.schema.get_field_index("channel_id")
            channel = pa.repeat(pa.scalar(self.channel_id, pa.int64()), table.num_rows)
            yield table.set_column(index, table.schema.field(index), channel)

    def _slices(self) -> Iterator[Sequence[Payload]]:
        return (self.payloads[first : first + _SLICE] for first in range(0, len(self.payloads), _SLICE))


def _raw_messages(payloads: Sequence[Payload]) -> list[Any]:
    return [raw_message(payload) for payload in payloads]


def split_by_session(document: PayloadDocument, sessions: Sequence[Session]) -> list[PayloadDocument]:
    """Cut a document by the session that was live when each message was posted.

    Args:
        document: Of one channel, for no session.
        sessions: Sessions; those of other channels are left aside. Of several live ones the first to
            start is taken, as in "Live Polling Loop".

    Returns:
        A document for each session that has messages, and one for those of none.
    """
    own = [session for session in sessions if document.channel_id in session.channel_ids]
    if not own:
        return [document]
    parts: dict[str | None, list[Payload]] = {}
    for payload in document.payloads:
        message_id = parse_snowflake(payload.get("id"))
        live = live_sessions(own, created_at(message_id)) if message_id else []
        parts.setdefault(live[0].session_id if live else None, []).append(payload)
    return [
        replace(document, payloads=payloads, provenance=replace(document.provenance, session_id=session_id))
        for session_id, payloads in parts.items()
    ]
