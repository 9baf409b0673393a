"""A channel's history, read forwards; complete, or reported as incomplete.

Discord answers a request for messages with an empty list both when there are none and when the bot
may not read them, and a page may be shorter than asked for though more follow. So neither ends a
reading here. What ends it is an answer with a message in it: one that reaches the pinned head, or
one that shows the channel's newest message to be read already.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound, DiscordUnavailable, IngestError
from ingest_pipeline.sources.discord.discovery import reading_state_now
from ingest_pipeline.sources.discord.rest import DiscordRest, Payload

_MAX_EMPTY_PAGES = 3


@dataclass(frozen=True, slots=True)
class Newest:
    """A channel's newest message at one time.

    Attributes:
        message_id: Its id, 0 when the channel was empty.
        requested_at: When it was asked for, aware UTC.
    """

    message_id: int
    requested_at: datetime

    def head(self, settle: timedelta) -> int:
        """Return up to which id the channel was known then.

        No message had an id above the newest one's, so the rest of the time up to then was empty,
        as far as clocks can be trusted: they may be `settle` apart.
        """
        return max(self.message_id, first_id_at(self.requested_at - settle) - 1)


@dataclass(frozen=True, slots=True)
class Page:
    """All messages of a channel with an id in `(low, high]`.

    Attributes:
        messages: Message objects by ascending id.
        low: The id just below.
        high: The last id it covers.
        requested_at: When Discord was asked, aware UTC.
    """

    messages: list[Payload]
    low: int
    high: int
    requested_at: datetime

    @property
    def ids(self) -> set[int]:
        """The ids of its messages."""
        return {int(message["id"]) for message in self.messages}


async def find_newest(rest: DiscordRest, channel_id: int) -> Newest:
    """Ask for a channel's newest message.

    Raises:
        ChannelForbidden: The bot does not see the channel or may not read its history.
        ChannelNotFound: The channel is gone.
        DiscordUnavailable: Discord did not answer.
    """
    page = await rest.history(channel_id, limit=1)
    if not page.messages:
        # Permission before and after a second answer makes an empty one mean an empty channel.
        await _require_history(rest, channel_id)
        page = await rest.history(channel_id, limit=1)
        if not page.messages:
            await _require_history(rest, channel_id)
    newest = max((int(message["id"]) for message in page.messages), default=0)
    return Newest(newest, page.requested_at)


async def read_history(
    rest: DiscordRest, channel_id: int, low: int, high: int, newest: Newest | None = None
) -> AsyncGenerator[Page, None]:
    """Read all messages of a channel with an id in `(low, high]`, oldest first.

    The pages adjoin: each begins where the one before it ends, the first at `low`, and the last ends
    at `high`. What was posted above `high` is left out.

    Args:
        low: Where to begin.
        high: Where to end; should lie before the present (see `Newest.head`).
        newest: The channel's newest message, when it has just been asked for.

    Raises:
        ChannelForbidden: The bot lost sight of the channel or the permission to read its history; what
            was yielded before is complete nonetheless.
        ChannelNotFound: The channel is gone; the same holds.
        DiscordUnavailable: Discord did not answer; the same holds.
    """
    last = newest or await find_newest(rest, channel_id)
    empty_pages = 0
    while low < min(last.message_id, high):
        answer = await rest.history(channel_id, after=low)
        reached = min(int(answer.messages[-1]["id"]), high) if answer.messages else low
        if reached <= low:
            empty_pages += 1
            last = await find_newest(rest, channel_id)
            if low < last.message_id and empty_pages == _MAX_EMPTY_PAGES:
                raise DiscordUnavailable(
                    f"Discord has messages after {low} in channel {channel_id} and sends none of them: "
                    "try again later"
                )
            continue
        empty_pages = 0
        wanted = [message for message in answer.messages if low < int(message["id"]) <= high]
        yield Page(wanted, low, reached, answer.requested_at)
        low = reached
    if low < high:
        yield Page([], low, high, last.requested_at)


async def batched(pages: AsyncIterator[Page], rows: int) -> AsyncIterator[list[Page]]:
    """Collect pages until they hold a number of messages; what an error leaves over is yielded before it."""
    batch: list[Page] = []
    try:
        async for page in pages:
            batch.append(page)
            if sum(len(each.messages) for each in batch) >= rows:
                yield batch
                batch = []
    except IngestError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


async def absent(rest: DiscordRest, channel_id: int, low: int, ids: Collection[int]) -> dict[int, datetime]:
    """Read a range of a channel again and return which messages are not in it.

    Args:
        low: An id below all of `ids`.
        ids: Messages that were missed in a first reading; not empty.

    Returns:
        The ids of those that are gone, with the time (aware UTC) by which each was.

    Raises:
        IngestError: As for `read_history`: nothing is known then.
    """
    gone: dict[int, datetime] = {}
    async for page in read_history(rest, channel_id, low, max(ids)):
        inside = {message_id for message_id in ids if page.low < message_id <= page.high}
        gone.update(dict.fromkeys(inside - page.ids, page.requested_at))
    return gone


async def _require_history(rest: DiscordRest, channel_id: int) -> None:
    state = await reading_state_now(rest, channel_id)
    if state is ChannelAccess.MISSING:
        raise ChannelNotFound(f"channel {channel_id} is gone: there is nothing left to read")
    if state is not ChannelAccess.READABLE:
        raise ChannelForbidden(
            f"the bot may not read the history of channel {channel_id} ({state.value}): "
            "grant it View Channel and Read Message History there"
        )
