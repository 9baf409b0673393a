"""Reading messages again, against the simulated Discord."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingest_pipeline.bot.message_refetch import refetch_due
from ingest_pipeline.errors import TokenRejected
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.gateway.refetch_queue import (
    PartialUpdate,
    count_pending_refetches,
    due_refetches,
    queue_refetches,
)
from ingest_pipeline.storage.messages.queries import find_tombstone
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

HISTORY = "history"
ONE_MESSAGE = "message"
NO_TIME = timedelta(0)


def queue(archive: Archive, channel: int, guild: int, *ids: int) -> None:
    """Let messages be due now."""
    messages = {PartialUpdate(channel, each, guild) for each in ids}
    past = datetime.now(UTC) - timedelta(seconds=1)
    archive.write(lambda connection: queue_refetches(connection, messages, past, NO_TIME))


def refetch(archive: Archive) -> int:
    """Read what is due."""

    async def work(rest: DiscordRest) -> int:
        return await refetch_due(archive.services, rest, ())

    return archive.run(work)


def waiting(archive: Archive) -> int:
    """Count what still waits."""
    return archive.read(count_pending_refetches)


def test_one_page_covers_many(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """Only the messages that wait are stored, each with its own journey."""
    ids = server.messages.bulk_load(radio, 90)
    for each in ids[:80:10]:
        server.messages.react(radio, each, "🔥")
    queue(archive, radio, guild, *ids[:80:10])
    assert refetch(archive) == 8
    assert len(server.journal.select(HISTORY)) == 1
    rows = archive.rows(radio)
    assert sorted(rows) == ids[:80:10]
    assert {row["reaction_count"] for row in rows.values()} == {1}
    assert rows[ids[0]]["correlation_id"] == f"{guild}-{ids[0]}"
    assert waiting(archive) == 0


def test_messages_far_apart_take_a_page_each(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """And one that waits alone takes a page of one."""
    ids = server.messages.bulk_load(radio, 320)
    queue(archive, radio, guild, ids[0], ids[150], ids[319])
    assert refetch(archive) == 3
    assert [record.messages for record in server.journal.select(HISTORY)] == [100, 100, 1]


def test_a_deleted_message_becomes_a_tombstone(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Discord must say itself that it does not know the message."""
    ids = server.messages.bulk_load(radio, 5)
    server.messages.bulk_delete(radio, [ids[1], ids[4]])
    queue(archive, radio, guild, *ids)
    assert refetch(archive) == 5
    assert archive.differences(server.truth(radio)) == []
    for gone in (ids[1], ids[4]):
        assert archive.read(lambda connection, each=gone: find_tombstone(connection, each)) is not None


@pytest.mark.parametrize("bits", [permissions.VIEW_CHANNEL, permissions.READ_MESSAGE_HISTORY])
def test_without_permission_nothing_is_concluded(
    archive: Archive, server: DiscordServer, guild: int, radio: int, bits: int
) -> None:
    """An empty answer is no deletion; other channels are read all the same."""
    ids = server.messages.bulk_load(radio, 5)
    other = server.channels.create(guild, "pit-wall")
    there = server.messages.bulk_load(other, 2)
    queue(archive, radio, guild, *ids)
    queue(archive, other, guild, *there)
    server.permissions.revoke(radio, bits)
    assert refetch(archive) == 2
    assert archive.live_ids(other) == there
    assert archive.live_ids(radio) == []
    later = datetime.now(UTC) + timedelta(hours=2)
    assert len(archive.read(lambda connection: due_refetches(connection, later, limit=10))) == 5
    assert archive.read(lambda connection: find_tombstone(connection, ids[0])) is None
    assert refetch(archive) == 0


def test_messages_of_a_channel_that_is_gone_are_given_up(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """There is nothing left to read, and nothing is deleted for it."""
    [message] = server.messages.bulk_load(radio, 1)
    queue(archive, radio, guild, message)
    server.channels.delete(radio)
    assert refetch(archive) == 0
    assert waiting(archive) == 0
    assert archive.read(lambda connection: find_tombstone(connection, message)) is None


def test_a_failing_discord_is_tried_again_later(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What was read before the failure is kept."""
    ids = server.messages.bulk_load(radio, 320)
    queue(archive, radio, guild, ids[0], ids[150], ids[319])
    server.faults.fail(503, Requests(HISTORY, times=None, skip=1))
    assert refetch(archive) == 1
    assert archive.live_ids(radio) == [ids[0]]
    assert waiting(archive) == 2


def test_a_token_that_is_not_accepted_is_reported(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """And the messages go on waiting."""
    [message] = server.messages.bulk_load(radio, 1)
    queue(archive, radio, guild, message)

    async def work(rest: DiscordRest) -> int:
        server.faults.reject_token = True
        return await refetch_due(archive.services, rest, ())

    with pytest.raises(TokenRejected):
        archive.run(work)
    assert waiting(archive) == 1
