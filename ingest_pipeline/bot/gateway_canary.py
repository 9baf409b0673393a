"""Detection of a silent gateway: connected, with heartbeats acknowledged, but without events.

Discord's REST API is asked for the newest message of each live channel. One that the gateway has not
told of, and still not a while later, means that it does not tell any more.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.sources.discord.rest import DiscordRest


@dataclass(slots=True)
class DeafnessWatch:
    """What is known of one gateway session's hearing.

    Attributes:
        grace_seconds: How long the gateway may be behind REST.
        known: The newest message of each channel when it was first looked at in this session.
        unheard: Messages the gateway has not told of, by channel, with when that was first seen, on the
            monotonic clock.
    """

    grace_seconds: float
    known: dict[int, int] = field(default_factory=dict)
    unheard: dict[int, tuple[int, float]] = field(default_factory=dict)

    async def look(self, rest: DiscordRest, channel_ids: Collection[int], heard: Mapping[int, int]) -> None:
        """Ask for the newest message of some channels; those that cannot be read are left out.

        Args:
            heard: The newest message that the gateway told of in each channel.

        Raises:
            DiscordUnavailable: Discord did not answer.
        """
        for channel_id in channel_ids:
            try:
                page = await rest.history(channel_id, limit=1)
            except (ChannelForbidden, ChannelNotFound):
                continue
            newest = max((int(message["id"]) for message in page.messages), default=0)
            self._note(channel_id, newest, heard.get(channel_id, 0), time.monotonic())

    def is_deaf(self, heard: Mapping[int, int], now: float) -> bool:
        """Tell whether a message stayed unheard for longer than the grace.

        Args:
            heard: As for `look`.
            now: The monotonic clock.
        """
        return any(
            heard.get(channel_id, 0) < message_id and now - since >= self.grace_seconds
            for channel_id, (message_id, since) in self.unheard.items()
        )

    def _note(self, channel_id: int, newest: int, heard: int, now: float) -> None:
        # What was there when the session began was never to be heard of in it.
        known = self.known.setdefault(channel_id, newest)
        earlier = self.unheard.get(channel_id)
        if earlier and heard >= earlier[0]:
            del self.unheard[channel_id]
            earlier = None
        if earlier is None and newest > max(known, heard):
            self.unheard[channel_id] = (newest, now)
