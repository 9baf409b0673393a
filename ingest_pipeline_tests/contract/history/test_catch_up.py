"""Catching up: what came since a channel was last read completely."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import TokenRejected
from ingest_pipeline.events import EventType
from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.storage.gateway.refetch_queue import list_watched
from ingest_pipeline.storage.messages.coverage import gaps, proven_until
from ingest_pipeline.storage.runs.events import events_of_journey
from ingest_pipeline.storage.runs.scan_runs import RunKind, RunStatus, ScanRun, list_runs
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.state.model import ChannelKind

HISTORY = "history"
AGO = timedelta(hours=1)


def imported(archive: Archive, guild: int, **options: Any) -> None:
    """Import a guild's history."""
    archive.run(lambda rest: import_history(archive.services, rest, guild, **options))


def test_an_outage_of_any_length_heals(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Whatever was posted since the last complete reading is read, and little more."""
    ids = server.messages.bulk_load(radio, 500, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    for number in range(30):
        server.messages.post(radio, f"while away {number}")
    [run] = archive.catch_up(radio)
    assert (run.status, run.kind, run.messages_read) == (RunStatus.COMPLETED, RunKind.CATCH_UP, 30)
    assert archive.differences(server.truth(radio)) == []
    assert archive.read(lambda connection: proven_until(connection, radio, 0)) > ids[-1]


def test_quiet_channels_cost_no_request_of_their_own(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The look at the guild shows that nothing was posted, so nothing can have been missed."""
    server.messages.bulk_load(radio, 150, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    server.journal.requests.clear()
    assert archive.catch_up(radio) == []
    assert not server.journal.select(HISTORY)
    assert archive.read(list_watched)[radio].missed_since is None


def test_a_message_that_became_visible_late_is_caught_by_the_overlap(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """An id just below what is proven, which nobody could see when it was proven."""
    server.messages.bulk_load(radio, 5)
    newest = server.messages.post(radio, "seen")
    imported(archive, guild)
    late = server.messages.post(radio, "late", at=datetime.now(UTC) - timedelta(seconds=5))
    assert late < newest
    server.messages.post(radio, "next")
    archive.catch_up(radio, is_missed=False)
    assert late in archive.live_ids(radio)


def test_messages_posted_and_deleted_while_away_leave_no_zombie(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The newest stored messages are gone: the reading goes up to them, although Discord's end is lower."""
    ids = server.messages.bulk_load(radio, 20)
    imported(archive, guild)
    server.messages.bulk_delete(radio, ids[15:])
    archive.catch_up(radio, lookback=AGO)
    assert archive.live_ids(radio) == ids[:15]


def test_an_emptied_channel_is_emptied_here_too(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Every message deleted, the permission intact: the archive follows."""
    ids = server.messages.bulk_load(radio, 20)
    imported(archive, guild)
    server.messages.bulk_delete(radio, ids)
    archive.catch_up(radio, lookback=AGO)
    assert archive.live_ids(radio) == []


def test_an_emptied_channel_without_permission_is_left_alone(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The same empty answer, with the permission lost just before, deletes nothing and proves nothing."""
    ids = server.messages.bulk_load(radio, 20)
    imported(archive, guild)
    before = archive.read(lambda connection: proven_until(connection, radio, 0))
    [run] = archive.catch_up(
        radio,
        lookback=AGO,
        meanwhile=lambda: server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY),
    )
    assert run.status is RunStatus.BLOCKED
    assert archive.live_ids(radio) == ids
    assert archive.read(lambda connection: proven_until(connection, radio, 0)) == before
    assert archive.read(list_watched)[radio].missed_since is not None


def test_permission_regained_is_a_catch_up_from_where_it_was_lost(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A channel that cannot be read is left alone, and nothing posted in between is lost."""
    server.messages.bulk_load(radio, 20, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    server.permissions.revoke(radio)
    unseen = [server.messages.post(radio, f"unseen {number}") for number in range(5)]
    assert archive.catch_up(radio) == []
    server.permissions.grant(radio)
    assert archive.catch_up(radio)[0].status is RunStatus.COMPLETED
    assert archive.live_ids(radio)[-5:] == unseen
    assert archive.read(lambda connection: gaps(connection, radio, 0, unseen[-1])) == []


def test_the_past_of_a_watched_channel_is_left_to_an_import(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Of a channel never read, only what came since it is watched is read, and the rest stays a gap."""
    server.messages.bulk_load(radio, 300, ends=datetime.now(UTC) - AGO)
    new = [server.messages.post(radio, f"new {number}") for number in range(3)]
    watched_from = datetime.now(UTC) - AGO / 2
    [run] = archive.catch_up(radio, watched_from=watched_from)
    assert run.messages_read == 3
    assert archive.live_ids(radio) == new
    low = first_id_at(watched_from) - 1
    assert archive.read(lambda connection: gaps(connection, radio, 0, new[-1])) == [(0, low)]


def test_what_a_running_import_will_read_is_left_to_it(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A catch-up beside an import reads from the import's head on, not all history a second time."""
    server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - AGO)
    caught: list[ScanRun] = []

    async def work(rest: Any) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        started = asyncio.Event()
        server.faults.before_answering(
            lambda _: loop.call_soon_threadsafe(started.set), Requests(HISTORY, skip=2)
        )
        server.faults.page_delay_seconds = 0.3
        importing = asyncio.create_task(import_history(archive.services, rest, guild))
        await started.wait()
        server.messages.post(radio, "live")
        caught.extend(await archive.catch_up_over(rest, radio))
        await importing

    archive.run(work)
    assert [run.messages_read for run in caught] == [1]
    assert archive.differences(server.truth(radio)) == []
    head = archive.live_ids(radio)[-1]
    assert archive.read(lambda connection: gaps(connection, radio, 0, head)) == []


def test_a_failed_catch_up_is_given_up_for_the_next(
    archive: Archive, server: DiscordServer, radio: int
) -> None:
    """The ledger knows where to go on; no old run is needed for it."""
    server.messages.bulk_load(radio, 250)
    server.faults.fail(503, Requests(HISTORY, skip=2, times=None))
    [failed] = archive.catch_up(radio)
    assert failed.status is RunStatus.FAILED
    server.faults.clear()
    [run] = archive.catch_up(radio)
    assert run.status is RunStatus.COMPLETED
    assert archive.differences(server.truth(radio)) == []
    states = {each.scan_run_id: each.status for each in archive.read(list_runs)}
    assert states == {failed.scan_run_id: RunStatus.ABANDONED, run.scan_run_id: RunStatus.COMPLETED}


def test_a_catch_up_is_reported(archive: Archive, server: DiscordServer, radio: int) -> None:
    """Its start and its end are events of one journey, which its rows carry too."""
    message = server.messages.post(radio, "Box, box.")
    [run] = archive.catch_up(radio)
    events = archive.read(lambda connection: events_of_journey(connection, run.correlation_id))
    assert [events[0].event_type, events[-1].event_type] == [
        EventType.CATCH_UP_STARTED,
        EventType.CATCH_UP_COMPLETED,
    ]
    assert events[-1].data == {"messages_read": 1, "rows_changed": 1, "channels": {"completed": 1}}
    assert archive.rows(radio)[message]["correlation_id"] == run.correlation_id


def test_nothing_to_catch_up_on_is_nothing_to_report(
    archive: Archive, server: DiscordServer, guild: int
) -> None:
    """A category holds no messages."""
    category = server.channels.create(guild, "Trading", ChannelKind.CATEGORY)
    assert archive.catch_up(category) == []
    assert not server.journal.select(HISTORY)


def test_a_refused_token_ends_a_catch_up(archive: Archive, server: DiscordServer, radio: int) -> None:
    """No channel can be read; the next catch-up begins where this one did."""
    ids = server.messages.bulk_load(radio, 5)

    def refuse() -> None:
        server.faults.reject_token = True

    with pytest.raises(TokenRejected):
        archive.catch_up(radio, meanwhile=refuse)
    server.faults.clear()
    archive.catch_up(radio)
    assert archive.live_ids(radio) == ids


def test_a_channel_in_doubt_is_tried_again(archive: Archive, server: DiscordServer, radio: int) -> None:
    """Refused once, and Discord does not say why: the run failed, nothing is noted of the channel."""
    server.messages.bulk_load(radio, 5)
    server.faults.fail(403, Requests(HISTORY, times=None))
    server.faults.fail(503, Requests("channel", times=None))
    [run] = archive.catch_up(radio)
    assert run.status is RunStatus.BLOCKED
    server.faults.clear()
    assert archive.catch_up(radio)[0].status is RunStatus.COMPLETED
