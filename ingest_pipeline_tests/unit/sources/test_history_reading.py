"""A channel's history is read complete, or not claimed to be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound, DiscordUnavailable, IngestError
from ingest_pipeline.sources.discord.history import Page, absent, find_newest, read_history
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.thoroughness import examples

HISTORY = "history"
SETTLE = timedelta(seconds=60)


@pytest.fixture(scope="module")
def running() -> Iterator[DiscordServer]:
    """A server for the whole module, that discord.py is attached to."""
    with DiscordServer() as server, attached(server):
        yield server


@pytest.fixture
def server(running: DiscordServer) -> DiscordServer:
    """The server, with nothing wrong and nothing noted."""
    running.faults.clear()
    running.journal.requests.clear()
    return running


@pytest.fixture
def radio(server: DiscordServer) -> int:
    """A text channel that the bot can read."""
    return server.channels.create(server.guilds.create("Paddock"), "team-radio")


def ask(server: DiscordServer, work: Callable[[DiscordRest], Awaitable[Any]]) -> Any:
    """Log in, do work, log out."""

    async def logged_in() -> Any:
        async with open_rest(SecretStr(server.token)) as rest:
            rest.attempts, rest.pause_seconds = 2, 0.01
            return await work(rest)

    return asyncio.run(logged_in())


def read(
    server: DiscordServer, channel: int, low: int = 0, high: int | None = None
) -> tuple[list[Page], IngestError | None]:
    """Read a channel up to a head, or up to the present; return the pages and what ended them early."""

    async def work(rest: DiscordRest) -> tuple[list[Page], IngestError | None]:
        pages: list[Page] = []
        newest = await find_newest(rest, channel)
        head = newest.head(SETTLE) if high is None else high
        try:
            async for page in read_history(rest, channel, low, head, newest):
                pages.append(page)  # noqa: PERF401 - what came before an error counts
        except IngestError as error:
            return pages, error
        return pages, None

    found: tuple[list[Page], IngestError | None] = ask(server, work)
    return found


def ids_of(pages: list[Page]) -> list[int]:
    """Return the ids of pages in the order they came."""
    return [int(message["id"]) for page in pages for message in page.messages]


def assert_adjoining(pages: list[Page], low: int) -> None:
    """Check that pages begin where the one before ended and hold only what they cover."""
    for page in pages:
        assert page.low == low
        assert page.high > page.low
        assert all(page.low < message_id <= page.high for message_id in page.ids)
        low = page.high


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(0, 230),
    deleted=st.sets(st.integers(0, 229)),
    max_page=st.sampled_from([None, 1, 37, 99]),
    bounds=st.tuples(st.integers(-1, 231), st.integers(-1, 231)),
)
def test_any_stretch_is_read_whole(
    server: DiscordServer, count: int, deleted: set[int], max_page: int | None, bounds: tuple[int, int]
) -> None:
    """Whatever was deleted and however short the pages, exactly the messages of the range come."""
    channel = server.channels.create(server.guilds.create("Paddock"), "team-radio")
    server.faults.max_page = max_page if count < 100 else None if max_page == 1 else max_page
    ids = server.messages.bulk_load(channel, count, ends=datetime.now(UTC) - timedelta(hours=1))
    server.messages.bulk_delete(channel, [ids[index] for index in deleted if index < count])
    marks = [0, *ids, first_id_at(datetime.now(UTC) - SETTLE)]
    low, high = sorted(marks[min(max(bound, 0), len(marks) - 1)] for bound in bounds)
    pages, error = read(server, channel, low, high)
    assert error is None
    assert_adjoining(pages, low)
    assert low == high or pages[-1].high == high
    assert ids_of(pages) == [each for each in server.truth(channel).live if low < each <= high]


def test_short_pages_do_not_end_a_reading(server: DiscordServer, radio: int) -> None:
    """discord.py's own history() stops at the first page shorter than asked for; this does not."""
    ids = server.messages.bulk_load(radio, 250)
    server.faults.max_page = 50
    pages, error = read(server, radio)
    assert (ids_of(pages), error) == (ids, None)


def test_the_head_is_pinned(server: DiscordServer, radio: int) -> None:
    """What is posted while reading goes on belongs to the next reading."""
    ids = server.messages.bulk_load(radio, 150)
    late: list[int] = []
    server.faults.before_answering(
        lambda _: late.append(server.messages.post(radio, "later")), Requests(HISTORY, skip=1, times=2)
    )
    pages, _ = read(server, radio)
    assert len(late) == 2
    assert ids_of(pages) == ids
    assert pages[-1].high < late[0]


def test_a_quiet_channel_is_known_up_to_the_settled_present(server: DiscordServer, radio: int) -> None:
    """Silence is proven by time, as far as clocks can be trusted; a message by its own id."""
    old = server.messages.bulk_load(radio, 3, ends=datetime.now(UTC) - timedelta(days=3))
    before = datetime.now(UTC)
    pages, _ = read(server, radio)
    assert ids_of(pages) == old
    assert first_id_at(before - SETTLE) - 1 <= pages[-1].high < first_id_at(datetime.now(UTC) - SETTLE)
    fresh = server.messages.post(radio, "now")
    assert read(server, radio)[0][-1].high == fresh


def test_the_end_is_one_request_when_nothing_is_new(server: DiscordServer, radio: int) -> None:
    """A channel whose newest message is read already costs a single question."""
    ids = server.messages.bulk_load(radio, 5)
    pages, _ = read(server, radio, low=ids[-1])
    assert ids_of(pages) == []
    assert len(server.journal.select(HISTORY)) == 1


def test_an_empty_channel_is_empty_only_with_permission(server: DiscordServer, radio: int) -> None:
    """No message and the permission to see them: that is proof; the lack of it is an error."""
    pages, error = read(server, radio)
    assert (len(pages), ids_of(pages), error) == (1, [], None)
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    with pytest.raises(ChannelForbidden, match="history"):
        read(server, radio)


def test_a_full_channel_without_permission_looks_empty_and_is_refused(
    server: DiscordServer, radio: int
) -> None:
    """Discord answers 200 and an empty list: nothing may be concluded from it."""
    server.messages.bulk_load(radio, 50)
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    with pytest.raises(ChannelForbidden):
        read(server, radio)
    server.permissions.revoke(radio, permissions.VIEW_CHANNEL)
    with pytest.raises(ChannelForbidden):
        read(server, radio)


def test_permission_lost_in_the_middle_ends_the_reading_there(server: DiscordServer, radio: int) -> None:
    """The pages before stand; the empty one after proves nothing."""
    ids = server.messages.bulk_load(radio, 250)
    server.faults.before_answering(
        lambda _: server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY),
        Requests(HISTORY, skip=2),
    )
    pages, error = read(server, radio)
    assert isinstance(error, ChannelForbidden)
    assert ids_of(pages) == ids[:100]
    assert pages[-1].high == ids[99]


def test_a_permission_that_flickers_loses_nothing(server: DiscordServer, radio: int) -> None:
    """Lost for one page and back before anyone asks: the empty page is not taken for the end."""
    ids = server.messages.bulk_load(radio, 250)
    history = permissions.READ_MESSAGE_HISTORY
    server.faults.before_answering(
        lambda _: server.permissions.revoke(radio, history), Requests(HISTORY, skip=2)
    )
    server.faults.before_answering(
        lambda _: server.permissions.grant(radio, history), Requests(HISTORY, skip=3)
    )
    pages, error = read(server, radio)
    assert (ids_of(pages), error) == (ids, None)


def test_a_deleted_head_does_not_keep_a_reading_waiting(server: DiscordServer, radio: int) -> None:
    """When the last messages vanish while they are read, what is left proves their absence."""
    ids = server.messages.bulk_load(radio, 120)
    server.faults.before_answering(
        lambda _: server.messages.bulk_delete(radio, ids[100:]), Requests(HISTORY, skip=2)
    )
    pages, error = read(server, radio)
    assert (ids_of(pages), error) == (ids[:100], None)
    assert pages[-1].high >= ids[-1]


def test_a_channel_emptied_while_it_is_read_is_read_to_its_end(server: DiscordServer, radio: int) -> None:
    """All messages gone, permission intact: the rest of the channel is proven empty."""
    ids = server.messages.bulk_load(radio, 120)
    server.faults.before_answering(
        lambda _: server.messages.bulk_delete(radio, ids), Requests(HISTORY, skip=2)
    )
    pages, error = read(server, radio)
    assert (ids_of(pages), error) == (ids[:100], None)
    assert pages[-1].high >= ids[-1]


def test_a_channel_deleted_while_it_is_read_is_distinguished(server: DiscordServer, radio: int) -> None:
    """A channel that is gone is not a channel without messages."""
    server.messages.bulk_load(radio, 250)
    server.faults.before_answering(lambda _: server.channels.delete(radio), Requests(HISTORY, skip=2))
    pages, error = read(server, radio)
    assert isinstance(error, ChannelNotFound)
    assert len(ids_of(pages)) == 100


def test_an_outage_ends_the_reading_and_keeps_its_pages(server: DiscordServer, radio: int) -> None:
    """Discord fails for good after the first page."""
    ids = server.messages.bulk_load(radio, 250)
    server.faults.fail(503, Requests(HISTORY, skip=2, times=None))
    pages, error = read(server, radio)
    assert isinstance(error, DiscordUnavailable)
    assert ids_of(pages) == ids[:100]


def test_what_a_second_reading_lacks_is_gone(server: DiscordServer, radio: int) -> None:
    """Of the messages missed, those that are there after all are not taken as deleted."""
    ids = server.messages.bulk_load(radio, 300)
    gone = [*ids[10:20], *ids[150:160], *ids[290:]]
    server.messages.bulk_delete(radio, gone)
    missed = {*gone, ids[0], ids[200]}
    before = datetime.now(UTC)
    found = ask(server, lambda rest: absent(rest, radio, 0, missed))
    assert found.keys() == set(gone)
    assert all(before <= at <= datetime.now(UTC) for at in found.values())


def test_without_permission_nothing_is_gone(server: DiscordServer, radio: int) -> None:
    """A second reading that cannot see is an error, not an absence."""
    ids = server.messages.bulk_load(radio, 30)
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    with pytest.raises(ChannelForbidden):
        ask(server, lambda rest: absent(rest, radio, 0, ids))


def test_a_channel_deleted_before_it_is_asked_about_is_gone(server: DiscordServer, radio: int) -> None:
    """Its last answer was empty, and then there was no channel."""
    server.faults.before_answering(lambda _: server.channels.delete(radio), Requests("channel"))
    with pytest.raises(ChannelNotFound, match="gone"):
        read(server, radio)


def test_pages_that_stay_empty_are_a_failure(server: DiscordServer, radio: int) -> None:
    """Discord shows that there are messages and never sends them: nothing is claimed."""
    server.messages.bulk_load(radio, 50)

    async def work(rest: DiscordRest) -> list[Page]:
        history = rest.history

        async def withheld(channel_id: int, *, after: int | None = None, **options: Any) -> Any:
            page = await history(channel_id, after=after, **options)
            return page if after is None else replace(page, messages=[])

        rest.history = withheld  # type: ignore[method-assign]
        return [page async for page in read_history(rest, radio, 0, first_id_at(datetime.now(UTC)))]

    with pytest.raises(DiscordUnavailable, match="sends none"):
        ask(server, work)
