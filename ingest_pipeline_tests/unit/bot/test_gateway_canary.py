"""When a gateway counts as deaf."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from ingest_pipeline.bot.gateway_state import StaleGatewayDetector
from ingest_pipeline.domain.snowflake import DISCORD_EPOCH
from ingest_pipeline.errors import ChannelForbidden
from ingest_pipeline.sources.discord.rest import HistoryPage

RADIO, PIT = 1, 2


@dataclass
class Newest:
    """Discord's REST API, as far as the newest message of a channel goes."""

    ids: dict[int, int] = field(default_factory=dict)

    async def history(self, channel_id: int, *, limit: int) -> HistoryPage:
        """Return the newest message."""
        assert limit == 1
        if self.ids.get(channel_id) == -1:
            raise ChannelForbidden("not for you")
        newest = self.ids.get(channel_id, 0)
        return HistoryPage([{"id": str(newest)}] if newest else [], DISCORD_EPOCH)


def look(watch: StaleGatewayDetector, newest: Newest, heard: dict[int, int]) -> None:
    """Look once at both channels."""
    asyncio.run(watch.look(newest, [RADIO, PIT], heard))  # type: ignore[arg-type]


def is_stale(watch: StaleGatewayDetector, heard: dict[int, int], *, after: float) -> bool:
    """Return whether it counts as deaf some seconds later."""
    return watch.is_stale(heard, time.monotonic() + after)


def test_what_was_there_before_was_never_to_be_heard_of() -> None:
    """The first look finds what that is."""
    watch, newest = StaleGatewayDetector(10.0), Newest({RADIO: 100})
    look(watch, newest, {})
    look(watch, newest, {})
    assert not is_stale(watch, {}, after=60)


def test_a_message_that_stays_unheard_means_deaf() -> None:
    """Not before the grace is over."""
    watch, newest = StaleGatewayDetector(10.0), Newest({RADIO: 100})
    look(watch, newest, {})
    newest.ids[RADIO] = 101
    look(watch, newest, {RADIO: 100})
    assert not is_stale(watch, {RADIO: 100}, after=9)
    assert is_stale(watch, {RADIO: 100}, after=11)


def test_a_message_heard_late_means_nothing() -> None:
    """The gateway may be behind REST; and the next one is watched again."""
    watch, newest = StaleGatewayDetector(10.0), Newest({RADIO: 100})
    look(watch, newest, {})
    newest.ids[RADIO] = 101
    look(watch, newest, {})
    assert not is_stale(watch, {RADIO: 101}, after=60)
    newest.ids[RADIO] = 102
    look(watch, newest, {RADIO: 101})
    assert is_stale(watch, {RADIO: 101}, after=60)


def test_channels_that_cannot_be_read_are_left_out() -> None:
    """The others are looked at all the same; an empty channel is one, too."""
    watch, newest = StaleGatewayDetector(10.0), Newest({RADIO: -1, PIT: 0})
    look(watch, newest, {})
    newest.ids[PIT] = 5
    look(watch, newest, {})
    assert is_stale(watch, {}, after=60)
