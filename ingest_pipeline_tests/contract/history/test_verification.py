"""The table compared with a fresh reading: nothing missing, nothing extra, nothing stale, or it is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from threading import Timer
from typing import Any

import pytest

from ingest_pipeline.completeness.expectations import Scope
from ingest_pipeline.completeness.verdicts import ChannelVerdict, VerificationReport
from ingest_pipeline.completeness.verification import verify
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.errors import TokenRejected
from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.storage.catalogue.guilds import set_monitor_patterns
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

HISTORY = "history"
AGO = timedelta(hours=1)


def imported(archive: Archive, guild: int, **options: Any) -> None:
    """Import a guild's history."""
    archive.run(lambda rest: import_history(archive.services, rest, guild, **options))


def verified(archive: Archive, scope: Scope | None = None, **options: Any) -> VerificationReport:
    """Verify, without waiting for a bot that is not there."""
    repeatable = Random(7)  # noqa: S311
    options = {"grace_seconds": 0.0, "random": repeatable, **options}
    return archive.run(lambda rest: verify(archive.services, rest, scope, **options))


class Lowest(Random):
    """Draws the lowest number that can be drawn."""

    def randint(self, a: int, b: int) -> int:
        """Return it."""
        return min(a, b)


def verified_while(archive: Archive, meanwhile: Callable[[int], None], **options: Any) -> VerificationReport:
    """Verify, and let something happen whenever a page was read, given how many were."""

    async def work(rest: Any) -> VerificationReport:
        history, pages = rest.history, count(1)

        async def then_meanwhile(channel: int, **asked: Any) -> Any:
            page = await history(channel, **asked)
            if asked.get("after") is not None:
                meanwhile(next(pages))
            return page

        rest.history = then_meanwhile
        return await verify(archive.services, rest, **{"grace_seconds": 0.0, **options})

    report: VerificationReport = archive.run(work)
    return report


def delete_row(archive: Archive, *ids: int) -> None:
    """Lose rows, which only a defect could."""

    def work(connection: Connection) -> None:
        for each in ids:
            connection.run_script(f"DELETE FROM messages WHERE discord_id = {each}")  # noqa: S608

    archive.write(work)


def only(report: VerificationReport) -> ChannelVerdict:
    """Return the one verdict."""
    [verdict] = report.verdicts
    return verdict


def test_a_perfect_archive_is_exact(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """Every message is found on both sides with the same content."""
    other = server.channels.create(guild, "general")
    server.messages.bulk_load(radio, 350)
    server.messages.bulk_load(other, 20)
    imported(archive, guild)
    report = verified(archive)
    assert (report.is_exact, report.is_sampled) == (True, False)
    assert {each.channel_id: (each.on_discord, each.in_table) for each in report.verdicts} == {
        radio: (350, 350),
        other: (20, 20),
    }
    reported = report.as_dict()
    assert (reported["exact"], reported["on_discord"], reported["in_table"]) == (True, 370, 370)


def test_each_difference_is_found_with_its_reason(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Lost, not read yet, deleted here only, deleted there only, changed there."""
    ids = server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    delete_row(archive, ids[10])
    stone = Tombstone(ids[20], radio, guild, datetime.now(UTC) - AGO, "gateway", "c1")
    archive.write(lambda connection: tombstone_messages(connection, [stone]))
    server.messages.delete(radio, ids[30])
    server.messages.edit(radio, ids[40], "edited")
    server.messages.react(radio, ids[41], "🔥")
    new = server.messages.post(radio, "new")
    verdict = only(verified(archive))
    assert {each.discord_id: each.reason.value for each in verdict.differences} == {
        ids[10]: "lost",
        ids[20]: "taken_as_deleted",
        ids[30]: "deletion_missed",
        ids[40]: "change_missed",
        ids[41]: "change_missed",
        new: "not_read",
    }
    assert not verdict.is_exact
    assert (verdict.on_discord, verdict.in_table) == (250, 248)


def test_every_batch_counts_and_so_does_the_end_of_every_page(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What differs in the first of several batches is reported, and what was deleted where a page ends."""
    ids = server.messages.bulk_load(radio, 450, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    delete_row(archive, ids[0], ids[-2])
    # Between the first and second page, and the second and third one; and the last message of all.
    for place in (100, 201, 449):
        server.messages.delete(radio, ids[place])
    server.messages.edit(radio, ids[150], "edited")
    verdict = only(verified(archive, batch_rows=100))
    assert {each.discord_id: each.reason.value for each in verdict.differences} == {
        **dict.fromkeys((ids[0], ids[-2]), "lost"),
        **dict.fromkeys((ids[100], ids[201], ids[449]), "deletion_missed"),
        ids[150]: "change_missed",
    }
    assert (verdict.on_discord, verdict.in_table, verdict.is_exact) == (447, 448, False)
    assert verdict.reasons.total() == 6


def test_verifying_changes_nothing(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """The same differences are there the next time."""
    ids = server.messages.bulk_load(radio, 50)
    imported(archive, guild)
    server.messages.delete(radio, ids[0])
    assert (
        verified(archive).verdicts[0].reasons
        == verified(archive).verdicts[0].reasons
        == {"deletion_missed": 1}
    )
    assert archive.live_ids(radio) == ids


def test_a_repair_makes_it_exact(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """Whatever was missed, a forced import fixes."""
    ids = server.messages.bulk_load(radio, 150)
    imported(archive, guild)
    delete_row(archive, ids[3])
    server.messages.bulk_delete(radio, ids[100:105])
    server.messages.edit(radio, ids[7], "edited")
    assert not verified(archive).is_exact
    imported(archive, guild, force=True)
    assert verified(archive).is_exact


def test_what_happens_during_the_verification_is_no_difference(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Deleted, edited and posted between the reading and the look into the table, and known there by then."""
    ids = server.messages.bulk_load(radio, 50)
    imported(archive, guild)

    def meanwhile(_: int) -> None:
        stone = Tombstone(ids[5], radio, guild, datetime.now(UTC), "gateway", "c1")
        server.messages.delete(radio, ids[5])
        archive.write(lambda connection: tombstone_messages(connection, [stone]))

    assert verified_while(archive, meanwhile).is_exact


def test_a_batch_is_compared_before_more_is_read(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A row that is lost after it was compared is found the next time only."""
    ids = server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)

    def meanwhile(pages: int) -> None:
        if pages == 3:
            delete_row(archive, ids[0])

    assert verified_while(archive, meanwhile, batch_rows=100).is_exact
    assert only(verified(archive)).reasons == {"lost": 1}


def test_a_bot_has_time_to_finish_what_it_has_received(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A deletion that is in its spool, and in the table before the grace is over, is no difference."""
    ids = server.messages.bulk_load(radio, 50, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    server.messages.delete(radio, ids[5])
    stone = Tombstone(ids[5], radio, guild, datetime.now(UTC), "gateway", "c1")
    processing = Timer(0.5, archive.write, [lambda connection: tombstone_messages(connection, [stone])])
    report = verified_while(archive, lambda _: processing.start(), grace_seconds=3.0)
    processing.join()
    assert report.is_exact


def test_a_channel_that_cannot_be_read_is_not_verified(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """An empty answer is no agreement, and no reason to call everything extra."""
    server.messages.bulk_load(radio, 50)
    imported(archive, guild)
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    verdict = only(verified(archive))
    assert verdict.error is not None
    assert "history" in verdict.error
    assert (verdict.is_exact, verdict.reasons) == (False, {})


def test_permission_lost_in_the_middle_is_an_error_after_what_was_compared(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The pages read before count; the rest is not taken for deleted."""
    server.messages.bulk_load(radio, 250)
    imported(archive, guild)
    server.faults.before_answering(
        lambda _: server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY),
        Requests(HISTORY, skip=2),
    )
    verdict = only(verified(archive))
    assert (verdict.on_discord, verdict.in_table, verdict.reasons) == (100, 100, {})
    assert not verdict.is_exact


def test_a_sample_reads_less_and_reports_it(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A few pages at random places, each compared exactly."""
    server.messages.bulk_load(radio, 2_000)
    imported(archive, guild)
    server.journal.requests.clear()
    report = verified(archive, sample=300)
    verdict = only(report)
    assert (report.is_exact, report.is_sampled, verdict.is_sampled) == (True, True, True)
    assert 100 <= verdict.on_discord <= 300
    assert verdict.on_discord == verdict.in_table
    assert sum(record.messages for record in server.journal.select(HISTORY)) <= 310


def test_a_sample_may_begin_with_the_very_first_message(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Were it left out, no number of samples would find that it differs."""
    ids = server.messages.bulk_load(radio, 250)
    imported(archive, guild)
    server.messages.edit(radio, ids[0], "edited")
    verdict = only(verified(archive, sample=100, random=Lowest()))
    assert (verdict.on_discord, verdict.in_table, verdict.reasons) == (100, 100, {"change_missed": 1})


def test_a_sample_finds_a_great_loss(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """What is widely wrong shows in any sample."""
    ids = server.messages.bulk_load(radio, 500)
    imported(archive, guild)
    delete_row(archive, *ids[::2])
    verdict = only(verified(archive, sample=100))
    assert verdict.reasons["lost"] > 0
    assert verdict.on_discord > verdict.in_table


def test_long_lists_of_differences_are_cut_and_counted_whole(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A channel never imported differs in every message: a thousand are listed."""
    server.messages.bulk_load(radio, 1_100)
    archive.write(lambda connection: set_monitor_patterns(connection, guild, ["*"], now=datetime.now(UTC)))
    verdict = only(verified(archive))
    assert verdict.reasons == {"not_read": 1_100}
    assert len(verdict.differences) == 1_000
    assert verdict.as_dict()["differences_truncated"] is True


def test_a_session_is_verified_for_its_time(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Where only a session is expected, what lies outside it is not looked at."""
    ids = server.messages.bulk_load(radio, 50, ends=datetime.now(UTC) - AGO)
    session = Session("monza", created_at(ids[10]), created_at(ids[20]), (radio,))
    archive.write(lambda connection: save_sessions(connection, [session], now=datetime.now(UTC)))
    verdict = only(verified(archive))
    assert (verdict.session_id, verdict.on_discord, verdict.in_table) == ("monza", 10, 0)
    assert verdict.reasons == {"not_read": 10}


def test_messages_a_policy_leaves_out_are_counted_apart(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A picture without text is not missing, since it is not kept."""
    server.messages.post(radio, "text")
    server.messages.post(radio, "", attachments=[("onboard.mp4", "video/mp4")])
    imported(archive, guild)
    verdict = only(verified(archive))
    assert (verdict.on_discord, verdict.in_table, verdict.is_exact) == (1, 1, True)
    assert (verdict.skipped, verdict.unrecorded, verdict.agreeing_percent) == ({"media_only": 1}, 0, 100.0)


def test_a_row_whose_message_lost_its_text_is_not_taken_for_deleted(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Discord still has the message, though the policy would leave it out today."""
    message = server.messages.post(radio, "onboard", attachments=[("onboard.mp4", "video/mp4")])
    imported(archive, guild)
    server.messages.edit(radio, message, "")
    imported(archive, guild, force=True)
    assert archive.live_ids(radio) == [message]
    assert only(verified(archive)).reasons == {}


def test_nothing_expected_is_nothing_verified(archive: Archive, server: DiscordServer, radio: int) -> None:
    """Without monitors, imports and sessions there is nothing to look at."""
    server.messages.bulk_load(radio, 5)
    assert verified(archive).verdicts == ()


def test_a_scope_verifies_only_that(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """One channel of several, with each verdict reported as it is reached."""
    server.messages.post(radio, "Box, box.")
    server.messages.post(server.channels.create(guild, "general"), "hello")
    imported(archive, guild)
    reported: list[ChannelVerdict] = []
    report = verified(archive, Scope(channel_id=radio), progress=reported.append)
    assert [(verdict.channel_id, verdict.name) for verdict in report.verdicts] == [(radio, "team-radio")]
    assert reported == list(report.verdicts)


def test_a_refused_token_ends_the_verification(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """It is not a difference."""
    server.messages.bulk_load(radio, 150)
    imported(archive, guild)

    def reject(_: object) -> None:
        server.faults.reject_token = True

    server.faults.before_answering(reject, Requests(HISTORY, skip=1))
    with pytest.raises(TokenRejected):
        verified(archive)
