"""The REST client: unmodified discord.py against the simulated Discord, with everything that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.errors import (
    AccountRestricted,
    AddressBlocked,
    ChannelForbidden,
    ChannelNotFound,
    ConfigurationError,
    DiscordRejected,
    DiscordUnavailable,
    IngestError,
    IntentMissing,
    RateLimited,
    TokenRejected,
)
from ingest_pipeline.sources.discord.discovery import reading_state_now, view_guild
from ingest_pipeline.sources.discord.errors import translated
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind

HISTORY = "history"


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A running server that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def guild(server: DiscordServer) -> int:
    """A guild that the bot is in."""
    return server.guilds.create("Paddock")


@pytest.fixture
def radio(server: DiscordServer, guild: int) -> int:
    """A text channel that the bot can read."""
    return server.channels.create(guild, "team-radio")


def ask(server: DiscordServer, work: Callable[[DiscordRest], Awaitable[Any]], *, attempts: int = 3) -> Any:
    """Log in, do work, log out."""

    async def logged_in() -> Any:
        async with open_rest(SecretStr(server.token)) as rest:
            rest.attempts, rest.pause_seconds = attempts, 0.01
            return await work(rest)

    return asyncio.run(logged_in())


def test_a_login_is_two_requests_and_no_gateway(server: DiscordServer) -> None:
    """Reading history needs no connection to the gateway, and nothing is ever written."""

    async def nothing(rest: DiscordRest) -> int:
        return rest.user_id

    assert ask(server, nothing) == server.state.bot.id
    assert [record.route for record in server.journal.requests] == ["current_user", "application"]
    assert not server.journal.writes()
    assert not server.journal.identifies


def test_without_a_token_nothing_is_sent(server: DiscordServer) -> None:
    """The message says which setting is missing."""

    async def login() -> None:
        async with open_rest(None):
            pass

    with pytest.raises(ConfigurationError, match="DISCORD_BOT_TOKEN"):
        asyncio.run(login())
    assert not server.journal.requests


def test_a_refused_token_is_named_without_being_shown(server: DiscordServer) -> None:
    """The error is permanent, names the variable and hides the value."""
    server.faults.reject_token = True
    with pytest.raises(TokenRejected, match="DISCORD_BOT_TOKEN") as caught:
        ask(server, lambda rest: rest.guilds())
    assert server.token not in str(caught.value)


def test_a_token_revoked_in_the_middle_is_distinguished(server: DiscordServer, radio: int) -> None:
    """A 401 to any request means the token, not the channel."""

    async def work(rest: DiscordRest) -> None:
        server.faults.reject_token = True
        await rest.history(radio)

    with pytest.raises(TokenRejected):
        ask(server, work)


def test_a_bot_without_message_content_is_turned_away(server: DiscordServer) -> None:
    """Discord would answer with messages without their content, which must never be archived."""
    server.faults.granted_intents = 0
    with pytest.raises(IntentMissing, match="message content"):
        ask(server, lambda rest: rest.guilds())


def test_a_page_comes_oldest_first_with_the_time_it_was_asked_for(server: DiscordServer, radio: int) -> None:
    """Discord sends the newest first; the time is that of sending, before anything is known."""
    ids = server.messages.bulk_load(radio, 5)
    before = datetime.now(UTC)
    page = ask(server, lambda rest: rest.history(radio, after=ids[1]))
    assert [int(message["id"]) for message in page.messages] == ids[2:]
    assert before <= page.requested_at <= datetime.now(UTC)


def test_the_newest_page_needs_no_bound(server: DiscordServer, radio: int) -> None:
    """Without a bound the newest messages are meant."""
    ids = server.messages.bulk_load(radio, 5)
    page = ask(server, lambda rest: rest.history(radio, limit=2))
    assert [int(message["id"]) for message in page.messages] == ids[3:]


@pytest.mark.parametrize("arm", ["unavailable", "reset", "truncated", "page"])
def test_a_passing_failure_is_not_noticed(server: DiscordServer, radio: int, arm: str) -> None:
    """A 503, a reset connection, half an answer and a proxy's page are each tried again."""
    ids = server.messages.bulk_load(radio, 3)
    once, twice = Requests(HISTORY), Requests(HISTORY, times=2)
    arming = {
        "unavailable": lambda: server.faults.fail(503, once),
        "reset": lambda: server.faults.reset(twice),
        "truncated": lambda: server.faults.truncate(once),
        "page": lambda: server.faults.fail(200, once, html=True),
    }
    arming[arm]()
    page = ask(server, lambda rest: rest.history(radio))
    assert [int(message["id"]) for message in page.messages] == ids


def test_a_lasting_failure_is_transient(server: DiscordServer, radio: int) -> None:
    """After its attempts the client gives up, saying that it may work later."""
    server.faults.fail(503, Requests(HISTORY, times=None))
    with pytest.raises(DiscordUnavailable, match="503"):
        ask(server, lambda rest: rest.history(radio), attempts=2)
    assert len(server.journal.select(HISTORY)) == 2


def test_a_rate_limit_is_waited_out(server: DiscordServer, radio: int) -> None:
    """discord.py itself waits as long as Discord asks."""
    server.messages.bulk_load(radio, 3)
    server.faults.rate_limit(0.05, Requests(HISTORY, times=2))
    assert len(ask(server, lambda rest: rest.history(radio)).messages) == 3
    assert len(server.journal.select(HISTORY, status=429)) == 2


def test_a_ban_is_not_hammered(server: DiscordServer, radio: int) -> None:
    """A 429 that is not Discord's own is Cloudflare's: trying again makes it worse."""
    server.faults.rate_limit(0.05, Requests(HISTORY, times=None), via=False)
    with pytest.raises(RateLimited):
        ask(server, lambda rest: rest.history(radio))
    assert len(server.journal.select(HISTORY)) == 1


def test_a_wait_beyond_what_the_client_accepts_is_a_rate_limit(server: DiscordServer, radio: int) -> None:
    """A bot may be set not to wait for long; then the error names how long Discord asked for."""
    server.faults.rate_limit(60, Requests(HISTORY))

    async def work(rest: DiscordRest) -> None:
        rest._http.max_ratelimit_timeout = 30.0
        await rest.history(radio)

    with pytest.raises(RateLimited, match="60 s"):
        ask(server, work)


class _Answer:
    """What discord.py keeps of an answer in its error."""

    def __init__(self, status: int) -> None:
        self.status, self.reason = status, "x"


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>", AddressBlocked),
        (429, "<html>error 1015</html>", AddressBlocked),
        (403, {"code": 40002, "message": "You need to verify your account"}, AccountRestricted),
        (403, {"code": 50001, "message": "Missing Access"}, ChannelForbidden),
        (502, "<html>bad gateway</html>", DiscordUnavailable),
    ],
)
def test_a_page_or_an_unverified_account_is_no_matter_of_the_channel(
    status: int, text: Any, kind: type[IngestError]
) -> None:
    """Discord refuses in JSON; a page comes from what stands before it."""
    answer: Any = _Answer(status)
    assert type(translated(discord.HTTPException(answer, text), "/channels/1/messages")) is kind


def test_a_mistake_of_ours_is_not_dressed_up() -> None:
    """Only what Discord and the network do is translated."""
    with pytest.raises(ZeroDivisionError):
        translated(ZeroDivisionError(), "/users/@me")


@pytest.mark.parametrize(
    ("status", "kind"), [(403, ChannelForbidden), (404, ChannelNotFound), (400, DiscordRejected)]
)
def test_a_refusal_is_permanent_and_not_repeated(
    server: DiscordServer, radio: int, status: int, kind: type[IngestError]
) -> None:
    """What Discord refuses once it refuses again."""
    server.faults.fail(status, Requests(HISTORY, times=None))
    with pytest.raises(kind):
        ask(server, lambda rest: rest.history(radio))
    assert len(server.journal.select(HISTORY)) == 1


def test_a_deleted_message_is_none(server: DiscordServer, radio: int) -> None:
    """A message that is gone is an answer, a channel that is gone is not."""
    message = server.messages.post(radio, "Box, box.")
    found, _ = ask(server, lambda rest: rest.message(radio, message))
    assert found["content"] == "Box, box."
    server.messages.delete(radio, message)
    assert ask(server, lambda rest: rest.message(radio, message))[0] is None
    server.channels.delete(radio)
    with pytest.raises(ChannelNotFound):
        ask(server, lambda rest: rest.message(radio, message))


def test_all_guilds_are_listed(server: DiscordServer) -> None:
    """The bot's guilds come in pages of two hundred."""
    guilds = [server.guilds.create(f"guild {number}") for number in range(230)]
    server.guilds.create("elsewhere", joined=False)
    found = ask(server, lambda rest: rest.guilds())
    assert [int(guild["id"]) for guild in found] == sorted(guilds)


def test_archived_threads_with_one_time_are_not_lost_between_pages(server: DiscordServer, radio: int) -> None:
    """The bound of the next page is exclusive, and Discord archives many threads at once."""
    at = datetime.now(UTC) - timedelta(days=1)
    threads = [server.threads.create(radio, f"lap {number}") for number in range(130)]
    for number, thread in enumerate(threads):
        server.threads.archive(thread, at=at - timedelta(seconds=number // 70))
    found = ask(server, lambda rest: rest.archived_threads(radio, "public"))
    assert sorted(int(thread["id"]) for thread in found) == threads


def test_many_private_threads_come_in_pages(server: DiscordServer, radio: int) -> None:
    """Those that the bot belongs to are listed by their ids, not by time."""
    threads = [server.threads.create(radio, f"lap {number}", private=True) for number in range(120)]
    for thread in threads:
        server.threads.invite_bot(thread)
        server.threads.archive(thread)
    found = ask(server, lambda rest: rest.archived_threads(radio, "joined"))
    assert sorted(int(thread["id"]) for thread in found) == threads


def test_without_archives_no_channel_is_taken_as_listed(
    server: DiscordServer, guild: int, radio: int
) -> None:
    """Threads that are only archived are not gone."""
    server.threads.archive(server.threads.create(radio, "lap 1"))
    active = server.threads.create(radio, "lap 2")
    view = ask(server, lambda rest: view_guild(rest, guild, archived=False))
    assert view.roles[guild] == "@everyone"
    assert [channel.channel_id for channel in view.channels] == [radio, active]
    assert view.unlisted == (radio,)


def test_categories_and_voice_channels_have_no_threads_to_list(server: DiscordServer, guild: int) -> None:
    """Nothing is asked of them, and nothing of them is unlisted."""
    server.channels.create(guild, "Trading", ChannelKind.CATEGORY)
    server.channels.create(guild, "paddock", ChannelKind.VOICE)
    view = ask(server, lambda rest: view_guild(rest, guild))
    assert [channel.channel_type for channel in view.channels] == ["category", "voice"]
    assert view.unlisted == ()
    assert not server.journal.select("archived_public_threads")


def test_an_archive_that_is_refused_leaves_its_channel_unlisted(
    server: DiscordServer, guild: int, radio: int
) -> None:
    """The permission was lost between two requests."""
    server.faults.fail(403, Requests("archived_public_threads"))
    assert ask(server, lambda rest: view_guild(rest, guild)).unlisted == (radio,)


def test_a_guild_is_seen_whole(server: DiscordServer, guild: int, radio: int) -> None:
    """Channels, active and archived threads, forum posts and private threads the bot belongs to."""
    forum = server.channels.create(guild, "strategy", ChannelKind.FORUM)
    active, archived = server.threads.create(radio, "lap 1"), server.threads.create(radio, "lap 2")
    post = server.threads.create_post(forum, "Two stops", "Soft, hard, hard.")
    private = server.threads.create(radio, "stewards", private=True)
    hidden = server.threads.create(radio, "contracts", private=True)
    server.threads.invite_bot(private)
    for thread in (archived, private, hidden):
        server.threads.archive(thread)
    view = ask(server, lambda rest: view_guild(rest, guild))
    states = {channel.channel_id: channel.reading_state for channel in view.channels}
    assert states == dict.fromkeys((radio, forum, active, archived, post, private), ChannelAccess.READABLE)
    assert {each.channel_id for each in view.channels if each.is_archived} == {archived, private}
    assert view.guild.name == "Paddock"
    assert view.unlisted == ()


def test_manage_threads_shows_every_private_thread(server: DiscordServer) -> None:
    """With that permission the bot need not be a member."""
    guild = server.guilds.create(bot_permissions=permissions.READ_ONLY | permissions.MANAGE_THREADS)
    channel = server.channels.create(guild, "team-radio")
    hidden = server.threads.create(channel, "contracts", private=True)
    server.threads.archive(hidden)
    view = ask(server, lambda rest: view_guild(rest, guild))
    assert {each.channel_id for each in view.channels if each.is_readable} == {channel, hidden}


def test_a_channel_without_history_is_not_taken_as_listed(
    server: DiscordServer, guild: int, radio: int
) -> None:
    """What cannot be listed is said, so that its threads are not taken as gone."""
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    view = ask(server, lambda rest: view_guild(rest, guild))
    assert [channel.reading_state for channel in view.channels] == [ChannelAccess.NO_HISTORY]
    assert view.unlisted == (radio,)


def test_the_state_of_a_channel_follows_its_permissions(server: DiscordServer, radio: int) -> None:
    """Readable, without history, invisible, gone: for a channel and for a thread in it."""
    thread = server.threads.create(radio, "lap 1")

    def states() -> list[ChannelAccess]:
        return [
            ask(server, lambda rest, each=each: reading_state_now(rest, each)) for each in (radio, thread)
        ]

    assert states() == [ChannelAccess.READABLE] * 2
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    assert states() == [ChannelAccess.NO_HISTORY] * 2
    server.permissions.revoke(radio, permissions.VIEW_CHANNEL)
    assert states() == [ChannelAccess.FORBIDDEN] * 2
    server.channels.delete(radio)
    assert states() == [ChannelAccess.MISSING] * 2
