"""What is missing, why, and how it is fixed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_pipeline.completeness.expectations import Expectation, Scope, expectations
from ingest_pipeline.completeness.gap_acceptance import accept_gaps, withdraw_acceptances
from ingest_pipeline.completeness.gap_listing import (
    Gap,
    GapReason,
    is_repairable,
    list_gaps,
    list_read_in_part,
)
from ingest_pipeline.completeness.gap_repair import refresh_catalogue, repair_gaps
from ingest_pipeline.completeness.verification import verify
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.storage.catalogue.guilds import set_monitor_patterns
from ingest_pipeline.storage.catalogue.setting_overrides import save_channel_settings
from ingest_pipeline.storage.messages.coverage import Proof, proofs, record_proof
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

HISTORY = "history"
AGO = timedelta(hours=1)


def imported(archive: Archive, guild: int, **options: Any) -> None:
    """Import a guild's history."""
    archive.run(lambda rest: import_history(archive.services, rest, guild, **options))


def refreshed(archive: Archive) -> None:
    """Bring the catalogue up to date."""
    archive.run(lambda rest: refresh_catalogue(archive.services, rest))


def repaired(archive: Archive, scope: Scope | None = None) -> list[Gap]:
    """Repair, and return what is left."""
    archive.run(lambda rest: repair_gaps(archive.services, rest, scope))
    return list_gaps(archive.services, scope)


def read_in_part(archive: Archive, reason: GapReason) -> list[Gap]:
    """Return what was read without something that is taken now."""
    return list_read_in_part(archive.services)[reason]


def reasons(archive: Archive) -> list[GapReason]:
    """Return the reasons of all gaps."""
    return [gap.reason for gap in list_gaps(archive.services)]


def monitor(archive: Archive, guild: int, *patterns: str) -> None:
    """Give a guild monitors."""
    refreshed(archive)
    archive.write(lambda connection: set_monitor_patterns(connection, guild, patterns, now=datetime.now(UTC)))


def add_session(archive: Archive, name: str, start: datetime, end: datetime, *channels: int) -> None:
    """Add a session."""
    session = Session(name, start, end, channels)
    archive.write(lambda connection: save_sessions(connection, [session], now=datetime.now(UTC)))


def prove(archive: Archive, channel: int, low: int, high: int) -> None:
    """Record a proof, as an export does."""
    proof = Proof(channel, low, high, "export", datetime.now(UTC), "c1")
    archive.write(lambda connection: record_proof(connection, proof))


def test_nothing_is_expected_of_a_channel_nobody_asked_for(
    archive: Archive, server: DiscordServer, radio: int
) -> None:
    """A channel that is neither monitored nor imported nor a session's has no gaps."""
    server.messages.bulk_load(radio, 10)
    refreshed(archive)
    assert list_gaps(archive.services) == []


def test_a_monitored_channel_never_read_is_one_gap(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """From its beginning to the newest message known to exist."""
    ids = server.messages.bulk_load(radio, 10)
    monitor(archive, guild, "*radio*")
    [gap] = list_gaps(archive.services)
    assert (gap.channel_id, gap.guild_id, gap.channel_name) == (radio, guild, "team-radio")
    assert (gap.low, gap.high, gap.reason) == (0, ids[-1], GapReason.NEVER_READ)
    assert gap.end == created_at(ids[-1])
    assert gap.as_dict()["high"] == str(ids[-1])
    assert repaired(archive) == []
    assert archive.differences(server.truth(radio)) == []


def test_an_imported_channel_has_no_gaps_until_something_comes(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What is posted later is a gap from the moment it is known, and no longer once it is read."""
    server.messages.bulk_load(radio, 10, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    assert list_gaps(archive.services) == []
    new = server.messages.post(radio, "new")
    assert list_gaps(archive.services) == []
    refreshed(archive)
    [gap] = list_gaps(archive.services)
    assert (gap.high, gap.reason) == (new, GapReason.AFTER_LAST)
    assert repaired(archive) == []
    assert archive.live_ids(radio)[-1] == new


def test_each_gap_shows_where_it_lies(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Before the first reading, between two, after the last."""
    ids = server.messages.bulk_load(radio, 100)
    monitor(archive, guild, "*radio*")
    prove(archive, radio, ids[20], ids[40])
    prove(archive, radio, ids[60], ids[80])
    found = list_gaps(archive.services)
    assert [(gap.low, gap.high) for gap in found] == [(0, ids[20]), (ids[40], ids[60]), (ids[80], ids[-1])]
    assert [gap.reason for gap in found] == [GapReason.BEFORE_FIRST, GapReason.BETWEEN, GapReason.AFTER_LAST]
    assert repaired(archive) == []
    assert archive.live_ids(radio) == [*ids[:21], *ids[41:61], *ids[81:]]


def test_an_import_cut_off_is_reported(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """The rest of it is a gap with that reason, and the repair reads just that."""
    server.messages.bulk_load(radio, 250)
    server.faults.fail(503, Requests(HISTORY, skip=3, times=None))
    imported(archive, guild, batch_rows=100)
    assert reasons(archive) == [GapReason.IMPORT_UNFINISHED]
    server.faults.clear()
    server.journal.requests.clear()
    assert repaired(archive) == []
    assert sum(record.messages for record in server.journal.select(HISTORY)[1:]) == 50
    assert archive.differences(server.truth(radio)) == []


def test_a_gap_the_bot_may_not_read_stays_with_its_reason(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Without history, out of sight, gone: each is reported, none is attempted in vain."""
    ids = server.messages.bulk_load(radio, 10)
    monitor(archive, guild, "*radio*")
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    assert [gap.reason for gap in repaired(archive)] == [GapReason.NO_HISTORY]
    server.permissions.revoke(radio, permissions.VIEW_CHANNEL)
    [gap] = repaired(archive)
    assert (gap.reason, gap.is_deficit, is_repairable(gap)) == (GapReason.FORBIDDEN, True, False)
    assert server.journal.select(HISTORY) == []
    server.permissions.grant(radio)
    assert repaired(archive) == []
    assert archive.live_ids(radio) == ids
    server.messages.post(radio, "last words")
    refreshed(archive)
    server.channels.delete(radio)
    [gap] = repaired(archive)
    assert (gap.reason, gap.is_deficit) == (GapReason.MISSING, False)


def test_permission_lost_before_the_catalogue_notices_leaves_the_gap(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """An empty answer in the middle of a repair proves nothing."""
    server.messages.bulk_load(radio, 10)
    monitor(archive, guild, "*radio*")
    server.faults.before_answering(
        lambda _: server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY), Requests(HISTORY)
    )
    assert [gap.reason for gap in repaired(archive)] == [GapReason.NO_HISTORY]


def test_a_session_is_expected_as_far_as_its_time_has_settled(
    archive: Archive, server: DiscordServer, radio: int
) -> None:
    """Sessions to come expect nothing, live ones up to the settled present, past ones all."""
    now = datetime.now(UTC)
    add_session(archive, "past", now - 3 * AGO, now - 2 * AGO, radio)
    add_session(archive, "live", now - AGO / 2, now + AGO, radio)
    add_session(archive, "coming", now + 2 * AGO, now + 3 * AGO, radio)
    settle = archive.services.settings.settle
    found = archive.read(lambda connection: expectations(connection, now, settle))
    assert [(each.session_id, created_at(each.high + 1)) for each in found] == [
        ("past", _millisecond(now - 2 * AGO)),
        ("live", _millisecond(now - settle)),
    ]


def test_a_session_of_a_channel_the_bot_does_not_know_is_left_to_the_exporter(archive: Archive) -> None:
    """It is a gap all the same, of no guild, which the bot does not try."""
    now = datetime.now(UTC)
    add_session(archive, "past", now - 3 * AGO, now - 2 * AGO, 77)
    [gap] = list_gaps(archive.services)
    assert (gap.session_id, gap.guild_id, is_repairable(gap)) == ("past", None, False)
    assert repaired(archive) == [gap]


def test_a_session_in_a_channel_the_bot_reads_is_fixed(
    archive: Archive, server: DiscordServer, radio: int
) -> None:
    """And its messages are linked to it."""
    now = datetime.now(UTC)
    ids = server.messages.bulk_load(radio, 50, ends=now - AGO)
    add_session(archive, "past", created_at(ids[10]), created_at(ids[20]), radio)
    assert reasons(archive) == [GapReason.NEVER_READ]
    assert repaired(archive) == []
    assert archive.live_ids(radio) == ids[10:20]
    assert {row["session_id"] for row in archive.rows(radio).values()} == {"past"}


def test_a_session_inside_what_its_channel_is_expected_for_is_not_named_twice(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """One id_range, one gap."""
    now = datetime.now(UTC)
    ids = server.messages.bulk_load(radio, 50, ends=now - AGO)
    add_session(archive, "past", created_at(ids[10]), created_at(ids[20]), radio)
    monitor(archive, guild, "*radio*")
    found = archive.read(lambda connection: expectations(connection, now, archive.services.settings.settle))
    assert found == [Expectation(radio, 0, ids[-1])]


def test_a_scope_leaves_others_out(archive: Archive, server: DiscordServer, guild: int, radio: int) -> None:
    """By guild or by channel; a channel of an unknown guild belongs to none."""
    elsewhere = server.guilds.create("elsewhere")
    other, third = server.channels.create(elsewhere, "radio-2"), server.channels.create(guild, "radio-3")
    for channel in (radio, other, third):
        server.messages.post(channel, "Box, box.")
    for each in (guild, elsewhere):
        monitor(archive, each, "*radio*")
    now = datetime.now(UTC)
    add_session(archive, "past", now - 3 * AGO, now - 2 * AGO, 77)

    def seen(scope: Scope | None) -> set[int]:
        return {gap.channel_id for gap in list_gaps(archive.services, scope)}

    assert seen(None) == {radio, other, third, 77}
    assert seen(Scope(guild_id=guild)) == {radio, third}
    assert seen(Scope(channel_id=other)) == {other}
    assert repaired(archive, Scope(channel_id=radio)) == []
    assert seen(None) == {other, third, 77}


def test_a_guild_that_throws_the_bot_out_meanwhile_keeps_no_other_from_being_read(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """It was listed, and then it refused; what is known of it stays."""
    server.messages.bulk_load(radio, 10)
    monitor(archive, guild, "*radio*")
    elsewhere = server.guilds.create("elsewhere")
    server.faults.before_answering(lambda _: server.guilds.remove(elsewhere), Requests("my_guilds"))
    server.faults.fail(403, Requests("guild", skip=1))
    assert repaired(archive) == []


def test_history_read_without_words_is_read_again_and_is_no_gap(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Of before the version that takes words of embeds, forwards, components and polls."""
    ids = server.messages.bulk_load(radio, 10, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    assert read_in_part(archive, GapReason.WITHOUT_WORDS) == []
    [proof] = archive.read(lambda connection: proofs(connection, radio))
    archive.write(lambda connection: record_proof(connection, replace(proof, reader_version=None)))
    [wordless] = read_in_part(archive, GapReason.WITHOUT_WORDS)
    assert (wordless.low, wordless.high, wordless.reason) == (0, ids[-1], GapReason.WITHOUT_WORDS)
    server.journal.requests.clear()
    assert repaired(archive) == []
    assert sum(record.messages for record in server.journal.select(HISTORY)) >= len(ids)
    assert read_in_part(archive, GapReason.WITHOUT_WORDS) == []


@pytest.mark.slow
def test_what_a_policy_left_out_is_read_again_once_the_channel_keeps_it(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """By the bot as by history; where nothing more is wanted nothing is read again."""
    posted = datetime.now(UTC) - AGO
    clip = server.messages.post(radio, "", attachments=[("lap.mp4", "video/mp4")], at=posted)
    imported(archive, guild)
    assert read_in_part(archive, GapReason.WITHOUT_MEDIA) == []
    keep = {"keep_media_only": True}
    archive.write(lambda connection: save_channel_settings(connection, radio, keep, now=posted))
    [left_out] = read_in_part(archive, GapReason.WITHOUT_MEDIA)
    assert (left_out.low, left_out.high, left_out.reason) == (0, clip, GapReason.WITHOUT_MEDIA)
    assert list_gaps(archive.services) == []
    assert archive.live_ids(radio) == []
    assert repaired(archive) == []
    assert archive.live_ids(radio) == [clip]
    assert read_in_part(archive, GapReason.WITHOUT_MEDIA) == []
    server.messages.post(radio, "Box, box.")
    archive.catch_up(radio)
    # The import had read a little beyond the clip.
    assert [gap.low for gap in read_in_part(archive, GapReason.WITHOUT_MEDIA)] == [clip]
    assert repaired(archive) == []
    assert read_in_part(archive, GapReason.WITHOUT_MEDIA) == []


def _millisecond(moment: datetime) -> datetime:
    """Return a time rounded up to the millisecond, as ids know it."""
    return moment + timedelta(microseconds=-moment.microsecond % 1000)


def test_an_accepted_gap_stays_listed_with_its_reason_and_is_no_deficit(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What comes after it is a gap of its own; withdrawn, it is as before."""
    first = server.messages.bulk_load(radio, 10)
    monitor(archive, guild, "*radio*")
    assert accept_gaps(archive.services, list_gaps(archive.services), "the channel was purged") == 1
    later = server.messages.bulk_load(radio, 5)
    refreshed(archive)
    accepted, new = list_gaps(archive.services)
    assert (accepted.low, accepted.high, accepted.accepted) == (0, first[-1], "the channel was purged")
    assert (new.low, new.high, new.accepted) == (first[-1], later[-1], None)
    assert (accepted.is_deficit, new.is_deficit) == (False, True)
    assert accepted.as_dict()["accepted"] == "the channel was purged"
    left = repaired(archive)
    assert [(gap.low, gap.high, gap.accepted) for gap in left] == [(0, first[-1], "the channel was purged")]
    assert withdraw_acceptances(archive.services, left) == 1
    assert repaired(archive) == []


def test_verification_reports_what_is_missing_in_an_accepted_gap_as_accepted(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """It is a difference, and no deficit."""
    server.messages.bulk_load(radio, 3)
    monitor(archive, guild, "*radio*")
    accept_gaps(archive.services, list_gaps(archive.services), "not wanted")
    report = archive.run(lambda rest: verify(archive.services, rest))
    assert dict(report.verdicts[0].reasons) == {"accepted_gap": 3}
    assert (report.is_exact, report.has_deficit) == (False, False)


def test_a_stored_channel_is_looked_at_by_its_id_without_a_session(archive: Archive, radio: int) -> None:
    """As far as messages of it are stored; a file proves nothing."""
    archive.write(lambda connection: merge_messages(connection, staged([Reading(7), Reading(9)]), now=at(0)))
    assert list_gaps(archive.services) == []
    [gap] = list_gaps(archive.services, Scope(channel_id=CHANNEL))
    assert (gap.low, gap.high, gap.reason, gap.guild_id) == (6, 9, GapReason.NEVER_READ, None)
    assert list_gaps(archive.services, Scope(channel_id=CHANNEL, posted_from=gap.end + AGO)) == []
    of_file = Reading(7).row()["guild_id"]
    assert list_gaps(archive.services, Scope(guild_id=of_file)) == [gap]
    assert list_gaps(archive.services, Scope(guild_id=of_file, channel_id=CHANNEL)) == [gap]
    assert list_gaps(archive.services, Scope(guild_id=of_file, channel_id=radio)) == []


def test_a_repair_reads_no_more_than_the_time_that_is_asked_for(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What is missing outside of it stays missing."""
    ids = server.messages.bulk_load(radio, 30, ends=datetime.now(UTC) - AGO)
    monitor(archive, guild, "*radio*")
    first, last = created_at(ids[10]), created_at(ids[20])
    assert repaired(archive, Scope(channel_id=radio, posted_from=first, posted_before=last)) == []
    assert archive.live_ids(radio) == ids[10:20]
    assert {gap.reason for gap in list_gaps(archive.services)} == {
        GapReason.BEFORE_FIRST,
        GapReason.AFTER_LAST,
    }
