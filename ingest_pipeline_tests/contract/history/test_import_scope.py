"""What an import takes: channels, threads and posts that can be read, all or those named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound
from ingest_pipeline.history.history_import import HistoryReport, import_history
from ingest_pipeline.storage.catalogue.guilds import list_channels, set_monitor_patterns
from ingest_pipeline.storage.messages.coverage import proofs
from ingest_pipeline.storage.runs.scan_runs import RunStatus, find_import
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind

HISTORY = "history"


def imported(archive: Archive, guild: int, **options: Any) -> HistoryReport:
    """Import a guild's history."""
    return archive.run(lambda rest: import_history(archive.services, rest, guild, **options))


def statuses(report: HistoryReport) -> dict[int, RunStatus]:
    """Return how the reading of each channel ended."""
    return {run.channel_id: run.status for run in report.runs}


def test_threads_and_forum_posts_are_imported(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Active, archived and private threads, and posts whose first message has the thread's own id."""
    forum = server.channels.create(guild, "strategy", ChannelKind.FORUM)
    active = server.threads.create(radio, "lap 1", from_message=server.messages.post(radio, "Look here."))
    archived, private = (
        server.threads.create(radio, name, private=name == "stewards") for name in ("lap 2", "stewards")
    )
    server.threads.invite_bot(private)
    post = server.threads.create_post(forum, "Two stops", "Soft, hard, hard.")
    for thread in (active, archived, private, post):
        server.messages.post(thread, f"in {thread}")
    for thread in (archived, private, post):
        server.threads.archive(thread)
    report = imported(archive, guild)
    assert set(statuses(report)) == {radio, active, archived, private, post}
    assert archive.live_ids(post) == list(server.truth(post).live)
    assert len(archive.live_ids(post)) == 2
    assert archive.differences(server.truth(post)) == []
    for thread in (radio, archived, private):
        assert archive.differences(server.truth(thread)) == []
    # A thread begun from a message opens with a notice without content, which is not kept; the message itself
    # is its parent's.
    assert len(set(archive.live_ids(active)) - {active}) == 1


def test_the_whole_catalogue_is_kept(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """Channels that cannot be read are there too, with the reason."""
    silent, hidden = server.channels.create(guild, "silent"), server.channels.create(guild, "hidden")
    server.permissions.revoke(silent, permissions.READ_MESSAGE_HISTORY)
    server.permissions.revoke(hidden, permissions.VIEW_CHANNEL)
    server.messages.bulk_load(silent, 10)
    report = imported(archive, guild)
    assert {channel.channel_id for channel in report.unreadable} == {silent, hidden}
    assert list(statuses(report)) == [radio]
    states = {
        channel.channel_id: channel.reading_state
        for channel in archive.read(lambda connection: list_channels(connection, guild))
    }
    assert states == {
        radio: ChannelAccess.READABLE,
        silent: ChannelAccess.NO_HISTORY,
        hidden: ChannelAccess.FORBIDDEN,
    }
    assert archive.read(lambda connection: proofs(connection, silent)) == []


def test_monitors_choose_what_is_imported(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """With monitors only their channels are read; naming channels goes before that."""
    other = server.channels.create(guild, "general")
    thread = server.threads.create(radio, "lap 1")
    for channel in (radio, other, thread):
        server.messages.post(channel, "Box, box.")
    archive.write(
        lambda connection: set_monitor_patterns(connection, guild, ["*radio*"], now=datetime.now(UTC))
    )
    assert set(statuses(imported(archive, guild))) == {radio, thread}
    assert set(statuses(imported(archive, guild, channel_ids=[other]))) == {other}
    assert set(statuses(imported(archive, guild, channel_ids=[thread]))) == {thread}


def test_importing_some_channels_is_not_importing_the_guild(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The guild's import is not noted as begun or completed."""
    server.messages.post(radio, "Box, box.")
    report = imported(archive, guild, channel_ids=[radio])
    assert report.total_messages is None
    assert archive.read(lambda connection: find_import(connection, guild)) is None


def test_a_channel_asked_for_must_be_there_and_readable(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Asking for what is not available is an error, not an empty import."""
    with pytest.raises(ChannelNotFound, match="77"):
        imported(archive, guild, channel_ids=[77])
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    with pytest.raises(ChannelForbidden, match="team-radio"):
        imported(archive, guild, channel_ids=[radio])
    with pytest.raises(ChannelForbidden):
        imported(archive, server.guilds.create("elsewhere", joined=False))
