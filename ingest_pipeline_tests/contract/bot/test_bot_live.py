"""What the running bot makes of what it hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.events import EventType
from ingest_pipeline.landing.spool import SPOOL_FOLDER
from ingest_pipeline.storage.catalogue.guilds import list_monitored, set_monitor_patterns
from ingest_pipeline.storage.gateway.dirty_windows import unreported_windows
from ingest_pipeline.storage.messages.coverage import proven_until
from ingest_pipeline.storage.messages.deletions import list_messages
from ingest_pipeline.storage.messages.queries import find_tombstone
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.runs.events import events_of_journey, latest_events
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.events import MESSAGE_EVENTS
from ingest_pipeline_tests.fake_discord.faults import Events
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.running_bot import RunningBot

LONG_AGO = timedelta(days=30)
NEVER = 1000.0
ON_ONE_ENGINE = pytest.mark.parametrize("settings", ["postgres"], indirect=True)
"""For what the storage has no part in; the quicker engine."""


def test_everything_that_happens_to_messages_is_taken(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Posts, edits, deletions single and many, reactions, pins, previews, suppressed embeds."""
    with RunningBot(archive, replace(QUICK, coverage_read_seconds=NEVER)) as bot:
        ids = [server.messages.post(radio, f"message {number}") for number in range(20)]
        server.messages.edit(radio, ids[0], "edited")
        server.messages.edit(radio, ids[0], "edited again")
        server.messages.delete(radio, ids[1])
        server.messages.bulk_delete(radio, ids[2:5])
        server.messages.react(radio, ids[5], "🔥")
        server.messages.react(radio, ids[6], "👍")
        server.messages.clear_reactions(radio, ids[6])
        server.messages.pin(radio, ids[7])
        server.messages.show_link_preview(radio, ids[8])
        server.messages.show_link_preview(radio, ids[9])
        server.messages.suppress_embeds(radio, ids[9])
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []
    assert not server.journal.writes()
    sources = {row["source"] for row in archive.rows(radio).values()}
    assert "gateway" in sources


def test_messages_that_were_never_seen_are_read_when_something_happens_to_them(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """An edit brings the message, a reaction and a preview too; a deletion leaves a tombstone."""
    old = server.messages.bulk_load(radio, 8, ends=datetime.now(UTC) - LONG_AGO)
    with RunningBot(archive, replace(QUICK, lookback=timedelta(hours=1), coverage_read_seconds=NEVER)) as bot:
        assert archive.live_ids(radio) == []
        server.messages.edit(radio, old[0], "edited")
        server.messages.react(radio, old[2], "🔥")
        server.messages.show_link_preview(radio, old[4])
        server.messages.delete(radio, old[6])
        bot.settle()
    assert archive.live_ids(radio) == [old[0], old[2], old[4]]
    rows = archive.rows(radio)
    assert rows[old[0]]["raw_content"] == "edited"
    assert rows[old[2]]["reaction_count"] == 1
    assert rows[old[4]]["embed_count"] == 1
    assert archive.read(lambda connection: find_tombstone(connection, old[6])) is not None


@pytest.mark.slow
def test_lost_order_doubled_and_late_events_change_nothing(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Whatever the gateway does with its events, once all is quiet the table is right."""
    every = Events(names=MESSAGE_EVENTS, times=None, probability=0.3, seed=7)
    server.faults.duplicate(every, later=(1, 6))
    server.faults.reorder(Events(names=MESSAGE_EVENTS, times=None, probability=0.3, seed=8), later=(1, 6))
    with RunningBot(archive) as bot:
        ids = []
        for number in range(40):
            ids.append(server.messages.post(radio, f"message {number}"))
            server.messages.show_link_preview(radio, ids[-1])
            server.messages.edit(radio, ids[number // 2], f"edited at {number}")
            server.messages.react(radio, ids[number // 3], "🔥")
            if number % 5 == 4:
                server.messages.delete(radio, ids.pop(number // 5))
                ids.append(server.messages.post(radio, "in its place"))
        server.faults.clear()
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []


@ON_ONE_ENGINE
def test_malformed_events_are_counted_and_made_up_for(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A message without its type is read again; a deletion without an id has its channel read again."""
    with RunningBot(archive) as bot:
        first = server.messages.post(radio, "whole")
        server.faults.malform(Events(names=frozenset({"MESSAGE_CREATE"})), strip=("type",))
        server.messages.post(radio, "without its type")
        server.faults.malform(Events(names=frozenset({"MESSAGE_DELETE"})), strip=("id",))
        server.messages.delete(radio, first)
        server.gateway.inject("MESSAGE_UPDATE", {"channel_id": "no id"})
        bot.wait_for(lambda: sum(batch.events.skipped["malformed"] for batch in bot.batches) == 3, "three")
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []
    assert len(server.journal.identifies) == 1


@ON_ONE_ENGINE
def test_a_frame_that_is_no_json_ends_neither_the_bot_nor_its_knowledge(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """discord.py gives the connection up; a new one catches up."""
    with RunningBot(archive) as bot:
        server.gateway.inject_text("{")
        server.messages.post(radio, "meanwhile")
        bot.wait_for(
            lambda: len(server.journal.identifies) + len(server.journal.resumes) > 1, "a reconnection"
        )
        bot.settle_exactly(radio)
    assert archive.differences(server.truth(radio)) == []


@ON_ONE_ENGINE
def test_threads_and_posts_are_followed_from_their_first_message(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A thread of a monitored channel is monitored the moment it is there."""
    forum = server.channels.create(guild, "strategy", ChannelKind.FORUM)
    with RunningBot(archive) as bot:
        thread = server.threads.create(radio, "lap 1")
        for number in range(5):
            server.messages.post(thread, f"in the thread {number}")
        post = server.threads.create_post(forum, "Two stops", "Soft, hard, hard.")
        server.messages.post(post, "Or three?")
        bot.settle()
    for channel_id in (thread, post):
        assert archive.differences(server.truth(channel_id)) == []
        assert len(archive.live_ids(channel_id)) == len(server.truth(channel_id).live)


@ON_ONE_ENGINE
def test_only_monitored_channels_are_taken_and_only_they_reach_the_disk(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """By pattern, per guild; what is not wanted is not even spooled."""
    aside = server.channels.create(guild, "off-topic")
    with RunningBot(archive, replace(QUICK, patterns=("*radio*",))) as bot:
        assert [each.channel_id for each in archive.read(list_monitored)] == [radio]
        server.messages.post(radio, "Box, box.")
        server.messages.post(aside, "a private matter")
        bot.settle()
    assert len(archive.live_ids(radio)) == 1
    assert archive.live_ids(aside) == []
    folder = archive.services.settings.data_dir / SPOOL_FOLDER
    assert not any(b"a private matter" in path.read_bytes() for path in folder.glob("*.jsonl"))


@ON_ONE_ENGINE
def test_monitoring_another_channel_takes_effect_while_the_bot_runs(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """It is caught up on and followed."""
    other = server.channels.create(guild, "pit-wall")
    server.messages.bulk_load(other, 3)
    with RunningBot(archive, replace(QUICK, patterns=("*radio*",))) as bot:
        archive.write(
            lambda connection: set_monitor_patterns(connection, guild, ["*"], now=datetime.now(UTC))
        )
        bot.wait_for(lambda: len(archive.live_ids(other)) == 3, "the channel's history")
        server.messages.post(other, "and live")
        bot.settle_exactly(other)
    assert archive.differences(server.truth(other)) == []


@pytest.mark.slow
def test_messages_of_a_live_session_are_linked_and_their_windows_touched(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Also in a channel that no pattern names."""
    now = datetime.now(UTC)
    session = Session("race", now - timedelta(minutes=1), now + timedelta(hours=1), (radio,))
    archive.write(lambda connection: save_sessions(connection, [session], now=now))
    with RunningBot(archive, replace(QUICK, patterns=())) as bot:
        server.messages.post(radio, "Box, box.")
        bot.settle()
        live = archive.read(lambda connection: list_messages(connection, "race"))
        assert [row["raw_content"] for row in live] == ["Box, box."]
        touched = archive.read(lambda connection: unreported_windows(connection, ""))
        assert [(each.session_id, each.window_key) for each in touched] == [("race", "T+000m")]


@ON_ONE_ENGINE
def test_coverage_grows_while_the_bot_is_connected(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What is heard proves nothing; it is read now and then, and that does."""
    with RunningBot(archive, replace(QUICK, coverage_read_seconds=0.5)) as bot:
        last = server.messages.post(radio, "live")

        def is_proven() -> bool:
            return archive.read(lambda connection: proven_until(connection, radio, last - 1)) >= last

        bot.wait_for(is_proven, "a proof of the live message")


@pytest.mark.slow
def test_a_message_has_one_correlation_id_all_along(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Guild and message: in its row and in the events of its journey."""
    with RunningBot(archive) as bot:
        message = server.messages.post(radio, "live")
        bot.settle()
        server.messages.edit(radio, message, "edited")
        bot.settle()
        server.messages.delete(radio, message)
        bot.settle()
    journey = f"{guild}-{message}"
    reported = archive.read(lambda connection: events_of_journey(connection, journey))
    assert [event.event_type for event in reported] == [
        EventType.MESSAGE_RECEIVED,
        EventType.MESSAGE_RECEIVED,
        EventType.MESSAGE_DELETED,
    ]
    assert {event.message_id for event in reported} == {message}
    batches = {event.data["batch"] for event in reported[:2]}
    for batch in batches:
        kinds = [each.event_type for each in archive.read(lambda c, b=batch: events_of_journey(c, b))]
        assert kinds == [EventType.INGESTION_STARTED, EventType.INGESTION_COMPLETED]
    assert archive.read(lambda connection: latest_events(connection, limit=1))
