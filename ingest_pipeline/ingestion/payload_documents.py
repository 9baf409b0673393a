"""Documents of message objects from Discord's REST API: pages of a channel's history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingest_pipeline.domain.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents import Provenance, Tally, normalized_rows, rows_table
from ingest_pipeline.sources.discord.payloads import Payload, raw_message

_NO_CHANNEL = 0


@dataclass(frozen=True, slots=True)
class PayloadDocument:
    """Message objects of one channel, read with one request.

    What a page of history proves is an interval of ids, which its caller records; by itself the
    document proves nothing.

    Attributes:
        channel_id: The channel or thread they were posted in.
        guild_id: Its guild.
        payloads: The message objects.
        policies: How channels' messages are taken; may be filled inside the transaction, before the
            document is read.
        provenance: Where the rows come from.
        parent_id: See `Document`; the catalogue knows it.
        window: See `Document`; none.
        complete: See `Document`; never.
    """

    channel_id: int
    guild_id: int | None
    payloads: Sequence[Payload]
    policies: Mapping[int, ChannelPolicy]
    provenance: Provenance
    parent_id: int | None = None
    window: Window | None = None
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`.

        Discord names a message's channel itself, so a message with its thread's id is a forum post's
        first one and not, as in an export, a copy of what the parent channel has. It is kept: the
        normalizer is not told the channel that it would compare with.
        """
        normalize = build_normalizer(_NO_CHANNEL, self.policies[self.channel_id], None)
        rows = normalized_rows(normalize, [raw_message(payload) for payload in self.payloads], tally)
        if rows.kept:
            yield rows_table(
                rows,
                {
                    "guild_id": self.guild_id,
                    "channel_id": self.channel_id,
                    "source": self.provenance.source,
                    "observed_at": self.provenance.observed_at,
                    "correlation_id": self.provenance.correlation_id,
                },
            )
