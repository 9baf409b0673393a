"""The import of a guild's history, against the simulated Discord."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.errors import ChannelNotFound, TokenRejected
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.history.history_import import HistoryReport, import_history, import_history_now
from ingest_pipeline.storage.catalogue.guilds import list_channels
from ingest_pipeline.storage.messages.coverage import gaps, proofs, proven_until
from ingest_pipeline.storage.messages.deletions import list_messages, table_summary
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.runs.events import latest_events
from ingest_pipeline.storage.runs.scan_runs import (
    RunStatus,
    ScanRun,
    cancel_run,
    find_import,
    is_import_running,
    list_runs,
)
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

HISTORY = "history"


def imported(archive: Archive, guild: int, **options: Any) -> HistoryReport:
    """Import a guild's history."""
    return archive.run(lambda rest: import_history(archive.services, rest, guild, **options))


def failed_batches(archive: Archive) -> list[Event]:
    """Return the events of batches that failed, the latest first."""
    events = archive.read(lambda connection: latest_events(connection, limit=100))
    return [event for event in events if event.event_type is EventType.INGESTION_FAILED]


def statuses(report: HistoryReport) -> dict[int, RunStatus]:
    """Return how the reading of each channel ended."""
    return {run.channel_id: run.status for run in report.runs}


def test_every_channel_is_imported_whole(archive: Archive, server: DiscordServer, guild: int) -> None:
    """Every message is in the table once, with its content, and every id is proven."""
    channels = [server.channels.create(guild, f"channel-{number}") for number in range(3)]
    ids = {channel: server.messages.bulk_load(channel, 150 + 100 * n) for n, channel in enumerate(channels)}
    seen: list[ScanRun] = []
    report = imported(archive, guild, batch_rows=120, progress=seen.append)
    assert report.is_complete
    assert report.total_messages == 750
    for channel in channels:
        assert archive.differences(server.truth(channel)) == []
        assert (
            archive.read(lambda connection, each=channel: proven_until(connection, each, 0))
            >= ids[channel][-1]
        )
        assert archive.read(lambda connection, each=channel: len(proofs(connection, each))) == 1
    assert {run.channel_id: run.messages_read for run in report.runs} == {
        channel: len(found) for channel, found in ids.items()
    }
    assert {run.channel_id: run.rows_changed for run in report.runs} == {
        channel: len(found) for channel, found in ids.items()
    }
    assert max(run.messages_read for run in seen if run.channel_id == channels[2]) == 350
    assert not server.journal.writes()


def test_an_import_is_noted_with_its_total(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The guild's import has a start, an end and the number of its messages."""
    server.messages.bulk_load(radio, 30)
    report = imported(archive, guild)
    found = archive.read(lambda connection: find_import(connection, guild))
    assert found is not None
    assert (found.import_completed, found.total_messages_imported) == (True, 30)
    assert found.import_end_time is not None
    assert found.import_start_time <= found.import_end_time
    assert found.correlation_id == report.correlation_id
    assert {row["correlation_id"] for row in archive.rows(radio).values()} == {report.correlation_id}


def test_an_import_that_cannot_begin_is_a_failed_batch(archive: Archive) -> None:
    """It is recorded once, with its reason, though no channel was read."""
    with pytest.raises(ChannelNotFound):
        import_history_now(archive.services, 1, channel_ids=[7])
    (event,) = failed_batches(archive)
    assert (event.source, event.data["error"]) == (HISTORY, "ChannelNotFound")


@pytest.mark.slow
def test_a_cancelled_reading_ends_at_its_next_batch_and_keeps_what_it_read(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Its matches are what is in the table of what it read, and the next import reads the rest."""
    server.messages.bulk_load(radio, 500)

    def cancel(run: ScanRun) -> None:
        archive.write(lambda connection: cancel_run(connection, run.scan_run_id, now=datetime.now(UTC)))

    [cancelled] = imported(archive, guild, channel_ids=[radio], batch_rows=100, progress=cancel).runs
    assert (cancelled.status, cancelled.messages_read) == (RunStatus.CANCELLED, 100)
    assert (cancelled.messages_matched, str(UUID(cancelled.scan_run_id))) == (100, cancelled.scan_run_id)
    assert 0 < (cancelled.progress or 0) < 1
    [again] = imported(archive, guild, channel_ids=[radio], batch_rows=100).runs
    assert (again.status, again.progress) == (RunStatus.COMPLETED, 1)
    assert archive.differences(server.truth(radio)) == []


def test_importing_again_reads_only_what_is_new(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What is proven is left alone but for the overlap, and nothing doubles."""
    server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - timedelta(hours=1))
    imported(archive, guild)
    server.messages.post(radio, "new")
    report = imported(archive, guild)
    assert report.runs[0].messages_read == 1
    assert (report.runs[0].rows_changed, report.total_messages) == (1, 251)
    assert archive.differences(server.truth(radio)) == []


def test_force_reads_everything_again(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Edits, reactions, pins, previews and deletions of which no event came are found."""
    ids = server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - timedelta(hours=1))
    imported(archive, guild)
    server.messages.edit(radio, ids[3], "Box now.")
    server.messages.react(radio, ids[4], "🔥")
    server.messages.pin(radio, ids[5])
    server.messages.show_link_preview(radio, ids[6])
    server.messages.bulk_delete(radio, ids[100:110])
    server.messages.delete(radio, ids[-1])
    assert archive.differences(server.truth(radio)) != []
    report = imported(archive, guild, force=True)
    assert archive.differences(server.truth(radio)) == []
    assert (report.runs[0].messages_read, report.runs[0].rows_changed) == (239, 15)
    assert report.total_messages == 239


@pytest.mark.slow
def test_permission_lost_in_the_middle_blocks_that_channel_only(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What was read stays and is proven; the rest is not, and the other channels go on."""
    ids = server.messages.bulk_load(radio, 350)
    other = server.channels.create(guild, "general")
    server.messages.bulk_load(other, 150)
    server.faults.before_answering(
        lambda _: server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY),
        Requests(HISTORY, channel_id=radio, skip=3),
    )
    report = imported(archive, guild, batch_rows=100)
    assert statuses(report) == {radio: RunStatus.BLOCKED, other: RunStatus.COMPLETED}
    assert not report.is_complete
    assert archive.live_ids(radio) == ids[:200]
    assert archive.read(lambda connection: proven_until(connection, radio, 0)) == ids[199]
    assert archive.differences(server.truth(other)) == []
    [blocked] = [run for run in report.runs if run.channel_id == radio]
    assert "history" in str(blocked.error)
    states = {
        channel.channel_id: channel.reading_state
        for channel in archive.read(lambda connection: list_channels(connection, guild))
    }
    assert states[radio] is ChannelAccess.NO_HISTORY

    server.permissions.grant(radio, permissions.READ_MESSAGE_HISTORY)
    server.journal.requests.clear()
    assert imported(archive, guild).is_complete
    assert archive.differences(server.truth(radio)) == []
    first = server.journal.select(HISTORY, channel_id=radio)[1]
    assert first.query["after"] == str(ids[199])


def test_an_empty_answer_without_permission_deletes_nothing(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A forced import after the permission is lost leaves every message where it is."""
    ids = server.messages.bulk_load(radio, 120)
    imported(archive, guild)
    server.faults.before_answering(
        lambda _: server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY),
        Requests(HISTORY, channel_id=radio),
    )
    report = imported(archive, guild, force=True)
    assert statuses(report) == {radio: RunStatus.BLOCKED}
    assert archive.live_ids(radio) == ids


def test_an_outage_leaves_an_import_that_goes_on_at_its_cursor(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A failed channel keeps the import open; the next one reads the rest and only the rest."""
    ids = server.messages.bulk_load(radio, 350)
    server.faults.fail(503, Requests(HISTORY, skip=3, times=None))
    report = imported(archive, guild, batch_rows=100)
    assert statuses(report) == {radio: RunStatus.FAILED}
    assert archive.live_ids(radio) == ids[:200]
    assert archive.read(lambda connection: is_import_running(connection, guild))
    assert report.total_messages is None
    [failed] = failed_batches(archive)
    assert (failed.source, failed.correlation_id) == ("history", report.correlation_id)

    server.faults.clear()
    server.journal.requests.clear()
    again = imported(archive, guild)
    assert (again.is_complete, again.total_messages) == (True, 350)
    assert again.correlation_id == report.correlation_id
    assert again.runs[0].messages_read == 350
    assert sum(record.messages for record in server.journal.select(HISTORY)[1:]) == 150
    assert archive.differences(server.truth(radio)) == []


def test_a_refused_token_stops_the_whole_import(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """There is no point in asking for the other channels; everything can go on later."""
    server.messages.bulk_load(radio, 350)

    def reject(_: object) -> None:
        server.faults.reject_token = True

    server.faults.before_answering(reject, Requests(HISTORY, skip=3))
    with pytest.raises(TokenRejected):
        imported(archive, guild, batch_rows=100)
    assert [event.data["error"] for event in failed_batches(archive)] == ["TokenRejected"]
    server.faults.clear()
    assert imported(archive, guild).is_complete
    assert archive.differences(server.truth(radio)) == []


def test_messages_deleted_while_unseen_are_found_by_what_reads_them_again(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Every complete reading notices the stored messages that are not there any more."""
    ids = server.messages.bulk_load(radio, 250)
    imported(archive, guild)
    gone = [*ids[:5], *ids[120:130], *ids[-5:]]
    server.messages.bulk_delete(radio, gone)
    before = datetime.now(UTC)
    imported(archive, guild, force=True, batch_rows=100)
    assert archive.live_ids(radio) == list(server.truth(radio).live)
    names = {"table": "tombstones", "columns": "*", "key": "discord_id"}
    stones = archive.read(lambda connection: connection.fetch_all("read_first_page", names, maximum=1000))
    assert [stone["discord_id"] for stone in stones] == sorted(gone)
    assert {stone["source"] for stone in stones} == {"history"}
    assert all(before <= stone["deleted_at"] <= datetime.now(UTC) for stone in stones)


def test_a_page_with_a_hole_deletes_nothing(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A message that one answer lacks and the next one has is not taken as deleted."""
    ids = server.messages.bulk_load(radio, 150)
    imported(archive, guild)
    channel = server.state.channels[radio]
    hidden = {each: channel.messages[each] for each in ids[20:25]}

    def hide(_: object) -> None:
        channel.ids = [each for each in channel.ids if each not in hidden]

    def show(_: object) -> None:
        channel.ids = sorted({*channel.ids, *hidden})

    server.faults.before_answering(hide, Requests(HISTORY, skip=1))
    server.faults.before_answering(show, Requests(HISTORY, skip=2))
    imported(archive, guild, force=True)
    assert archive.live_ids(radio) == ids


def test_what_arrives_during_the_import_is_left_to_others_and_never_lost_twice(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Messages posted meanwhile lie above the pinned head: the next import has them."""
    server.messages.bulk_load(radio, 250)
    server.faults.before_answering(
        lambda _: server.messages.post(radio, "meanwhile"), Requests(HISTORY, skip=1, times=2)
    )
    assert imported(archive, guild).runs[0].messages_read == 250
    imported(archive, guild)
    assert archive.differences(server.truth(radio)) == []


@pytest.mark.slow
def test_three_imports_at_once_double_nothing(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """They share runs and cursors, and the merge makes one of what each brings."""
    import asyncio

    server.messages.bulk_load(radio, 450)

    async def work(rest: Any) -> list[HistoryReport]:
        services = archive.services
        return await asyncio.gather(
            *(import_history(services, rest, guild, batch_rows=100, force=n == 2) for n in range(3))
        )

    assert all(report.is_complete for report in archive.run(work))
    assert archive.differences(server.truth(radio)) == []
    assert archive.read(table_summary)["rows"] == 450
    assert not archive.read(lambda connection: is_import_running(connection, guild))


def test_a_session_gets_its_messages_whatever_brings_them(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Messages posted while a session of the channel was live are linked to it, others are not."""
    ids = server.messages.bulk_load(radio, 100, ends=datetime.now(UTC) - timedelta(hours=1))
    session = Session("monza", created_at(ids[20]), created_at(ids[60]), (radio,))
    archive.write(lambda connection: save_sessions(connection, [session], now=datetime.now(UTC)))
    imported(archive, guild)
    linked = archive.read(lambda connection: list_messages(connection, "monza"))
    assert [row["discord_id"] for row in linked] == ids[20:60]


def test_runs_are_kept_for_everyone_who_asks(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Each reading leaves when it began and ended and how far it came."""
    ids = server.messages.bulk_load(radio, 30)
    imported(archive, guild)
    [run] = archive.read(lambda connection: list_runs(connection, guild))
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.queued_at <= run.started_at <= run.finished_at
    assert run.head_id is not None
    assert run.cursor_id == run.head_id >= ids[-1]
    assert archive.read(lambda connection: gaps(connection, radio, 0, run.cursor_id)) == []
