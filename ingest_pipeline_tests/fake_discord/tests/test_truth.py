"""The simulated Discord's truth, and the faults that keep its events from showing it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.faults import Events
from ingest_pipeline_tests.fake_discord.listener import Listener, listening
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state.guild_state import UnknownEntityError
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind
from ingest_pipeline_tests.fake_discord.state.snowflakes import ServerClock, SnowflakeMint, created_at
from ingest_pipeline_tests.fake_discord.transport import Ending

pytestmark = pytest.mark.anyio

CREATES = frozenset({"MESSAGE_CREATE"})


@pytest.fixture
def anyio_backend() -> str:
    """Run the scenarios on asyncio."""
    return "asyncio"


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A running server that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def radio(server: DiscordServer) -> int:
    """A text channel the bot can read."""
    return server.channels.create(server.guilds.create("Paddock"), "team-radio")


def heard_messages(client: Listener) -> dict[int, str]:
    """Rebuild a channel from what was heard live: message id to text, deletions applied."""
    rebuilt: dict[int, str] = {}
    for name, argument in client.heard:
        if name == "message":
            rebuilt[argument.id] = argument.content
        elif name == "raw_message_edit":
            rebuilt[argument.message_id] = argument.message.content
        elif name == "raw_message_delete":
            rebuilt.pop(argument.message_id, None)
    return rebuilt


async def test_a_lost_event_is_lost_for_good(server: DiscordServer, radio: int) -> None:
    """It is neither sent nor replayed; the message exists all the same."""
    async with listening(server) as client:
        server.faults.lose(Events(CREATES, channel_id=radio, skip=1))
        posted = [server.messages.post(radio, f"lap {n}") for n in range(3)]
        server.gateway.drop()
        await client.until(lambda: client.count("resumed") == 1)
        assert client.message_ids() == [posted[0], posted[2]]
    assert list(server.truth(radio).live) == posted


async def test_a_doubled_event_is_heard_twice(server: DiscordServer, radio: int) -> None:
    """At once, or after others have gone by."""
    async with listening(server) as client:
        server.faults.duplicate(Events(CREATES))
        server.faults.duplicate(Events(CREATES, skip=1), later=(2, 2))
        first, second, third, fourth = (server.messages.post(radio, f"lap {n}") for n in range(4))
        await client.until(lambda: client.count("message") == 6)
        assert client.message_ids() == [first, first, second, third, fourth, second]


async def test_reordered_events_all_arrive(server: DiscordServer, radio: int) -> None:
    """Their order is scrambled, repeatably; none is lost or doubled, and none is held for ever."""
    orders = []
    for _ in range(2):
        async with listening(server) as client:
            server.faults.reorder(Events(CREATES, times=None, probability=0.5, seed=7), later=(1, 5))
            posted = [server.messages.post(radio, f"lap {n}") for n in range(40)]
            await client.until(lambda: client.count("message") == 40 and server.gateway.settled())
            order = [posted.index(message_id) for message_id in client.message_ids()]
            assert sorted(order) == list(range(40))
            assert order != sorted(order)
            orders.append(order)
            server.faults.clear()
    assert orders[0] == orders[1]


async def test_a_held_event_may_arrive_after_its_own_deletion(server: DiscordServer, radio: int) -> None:
    """The creation is overtaken by the deletion, which therefore names a message never seen."""
    async with listening(server) as client:
        server.faults.reorder(Events(CREATES, times=1))
        message = server.messages.post(radio, "short-lived")
        server.messages.delete(radio, message)
        await client.until(lambda: client.count("message") == 1)
        names = [name for name, _ in client.heard if "message" in name]
        assert names == ["raw_message_delete", "message"]
    assert server.truth(radio).live == {}


async def test_an_undisturbed_stream_shows_the_whole_truth(server: DiscordServer, radio: int) -> None:
    """Random posts, edits and deletions from several threads, with drops and replays in between.

    What was heard live adds up to the truth: the server itself loses nothing and doubles nothing.
    """
    endings = [Ending.RESET, Ending.CLOSE, Ending.RECONNECT, Ending.INVALID_RESUMABLE]

    def disturb(seed: int) -> None:
        source = Random(seed)  # noqa: S311
        mine = [server.messages.post(radio, f"{seed}")]
        for step in range(150):
            choice = source.random()
            if choice < 0.6 or not mine:
                mine.append(server.messages.post(radio, f"{seed}/{step}"))
            elif choice < 0.9:
                server.messages.edit(radio, source.choice(mine), f"{seed}/{step} edited")
            else:
                server.messages.delete(radio, mine.pop(source.randrange(len(mine))))
            if step % 50 == 49:
                server.gateway.drop(source.choice(endings), deliver_first=source.random() < 0.5)

    async with listening(server) as client:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(disturb, range(3)))
        last = server.messages.post(radio, "the end")
        await client.until(lambda: last in client.message_ids(), seconds=20)
        truth = server.truth(radio)
        assert heard_messages(client) == {key: message.content for key, message in truth.live.items()}
        assert len(client.message_ids()) == len(set(client.message_ids()))
        assert set(client.message_ids()) == set(truth.live) | truth.deleted_ids
        assert client.count("ready") == 1


def test_the_truth_is_the_final_state() -> None:
    """Edits, reactions, pins, embeds, attachments and deletions all show in it."""
    server = DiscordServer()
    guild = server.guilds.create()
    radio = server.channels.create(guild, "team-radio")
    kept, gone = server.messages.bulk_load(radio, ["kept", "gone"])
    edited_at = server.messages.edit(radio, kept, "kept, edited")
    server.messages.react(radio, kept, "🔥")
    server.messages.react(radio, kept, "👀")
    server.messages.unreact(radio, kept, "👀")
    server.messages.pin(radio, kept)
    server.messages.show_link_preview(radio, kept)
    server.messages.delete(radio, gone)
    truth = server.truth(radio)
    message = truth.live[kept]
    assert list(truth.live) == [kept]
    assert truth.deleted_ids == {gone}
    assert (message.content, message.edited_timestamp) == ("kept, edited", edited_at)
    assert (message.reactions, message.pinned, message.embeds) == ({"🔥": 1}, True, 1)
    assert message.posted_at == created_at(kept)
    assert server.whole_truth(guild) == {radio: truth}


def test_edits_of_one_message_never_share_a_millisecond() -> None:
    """Not even when the server's clock steps back, so versions can be ordered by their time."""
    server = DiscordServer()
    radio = server.channels.create(server.guilds.create(), "team-radio")
    message = server.messages.post(radio, "first")
    times = [server.messages.edit(radio, message, f"edit {n}") for n in range(50)]
    server.clock.skew_seconds = -30
    times.append(server.messages.edit(radio, message, "edited in the past"))
    assert all(later - earlier >= timedelta(milliseconds=1) for earlier, later in pairwise(times))


def test_history_is_loaded_fast_in_order_and_before_now() -> None:
    """Tens of thousands of messages, spaced as asked, with their authors in turn."""
    server = DiscordServer()
    radio = server.channels.create(server.guilds.create(), "team-radio")
    authors = [server.guilds.add_webhook(name) for name in ("Leclerc", "Hamilton")]
    ends = datetime(2025, 5, 25, 15, 0, tzinfo=UTC)
    ids = server.messages.bulk_load(
        radio, 20_000, ends=ends, spacing=timedelta(milliseconds=250), author_ids=authors
    )
    truth = server.truth(radio)
    assert list(truth.live) == ids == sorted(set(ids))
    assert created_at(ids[-1]) == ends
    assert created_at(ids[0]) == ends - 19_999 * timedelta(milliseconds=250)
    assert [truth.live[message_id].author_id for message_id in ids[:3]] == [*authors, authors[0]]


def test_ids_are_unique_and_keep_their_order_within_a_millisecond() -> None:
    """A hundred thousand ids of one moment are all different and all of that moment."""
    mint = SnowflakeMint(ServerClock())
    moment = datetime(2025, 5, 25, 13, 0, 0, 123_000, tzinfo=UTC)
    ids = [mint.mint(moment) for _ in range(100_000)]
    assert ids == sorted(set(ids))
    assert {created_at(ids[0]), created_at(ids[-1])} == {moment}


def test_a_message_may_be_posted_late(server: DiscordServer, radio: int) -> None:
    """An id older than those already seen takes its place in history; the channel's head stays."""
    (newest,) = server.messages.bulk_load(radio, 1)
    late = server.messages.post(radio, "late", at=created_at(newest) - timedelta(minutes=1))
    assert late < newest
    assert list(server.truth(radio).live) == [late, newest]
    assert server.state.channel(radio).last_message_id == newest


def test_deleting_a_channel_takes_its_threads_along() -> None:
    """Both are gone, and their truth says so; nothing can be posted there any more."""
    server = DiscordServer()
    radio = server.channels.create(server.guilds.create(), "team-radio")
    thread = server.threads.create(radio, "stint")
    inside = server.messages.post(thread, "two stops")
    server.channels.delete(radio)
    assert server.truth(radio).gone
    assert server.truth(thread).gone
    assert list(server.truth(thread).live) == [inside]
    with pytest.raises(UnknownEntityError, match=str(radio)):
        server.messages.post(radio, "too late")


def test_mistakes_in_a_test_are_named() -> None:
    """Unknown guilds, channels and messages, and verbs for the wrong kind of channel, raise at once."""
    server = DiscordServer()
    guild = server.guilds.create()
    radio = server.channels.create(guild, "team-radio", ChannelKind.TEXT)
    for mistake in (
        lambda: server.channels.create(1, "nowhere"),
        lambda: server.messages.post(1, "nowhere"),
        lambda: server.messages.edit(radio, 1, "nothing"),
        lambda: server.truth(1),
    ):
        with pytest.raises(UnknownEntityError):
            mistake()
    for misuse in (
        lambda: server.threads.archive(radio),
        lambda: server.threads.invite_bot(radio),
        lambda: server.threads.create_post(radio, "no forum", ""),
        lambda: server.permissions.revoke(server.threads.create(radio, "stint")),
    ):
        with pytest.raises(ValueError, match=r"\d"):
            misuse()


def test_waiting_in_vain_names_for_what(server: DiscordServer) -> None:
    """The error of a condition that never holds names it."""
    with pytest.raises(TimeoutError, match="a second bot"):
        server.journal.wait_for(lambda: False, seconds=0.05, what="a second bot")
