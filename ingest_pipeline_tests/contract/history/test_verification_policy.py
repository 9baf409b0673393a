"""Verification and policies: what is left out, and every border of pages and batches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract.history.test_verification import delete_row, imported, only, verified
from ingest_pipeline_tests.contract.readings import stored_revisions, stored_skipped
from ingest_pipeline_tests.fake_discord.server import DiscordServer

AGO = timedelta(hours=1)
FILES = [("onboard.mp4", "video/mp4")]


def keep_media(archive: Archive, *, keep: bool) -> None:
    """Set the policy of every channel in the settings file."""
    path: Path = archive.services.settings.settings_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"defaults: {json.dumps({'keep_media_only': keep})}\n")


def break_digests(archive: Archive, table: str) -> None:
    """Let a table hold other contents than were read, which only a defect could."""
    archive.write(lambda c: c.run_script(f"UPDATE {table} SET content_digest = content_digest + 1"))  # noqa: S608


def test_an_edit_that_empties_a_text_reaches_the_row(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Until it is read verification says so; then the row is empty, and the text a revision."""
    message = server.messages.post(radio, "words that are taken back", attachments=FILES)
    imported(archive, guild)
    server.messages.edit(radio, message, "")
    verdict = only(verified(archive))
    assert (verdict.reasons, verdict.agreeing_percent) == ({"change_missed": 1}, 0.0)
    imported(archive, guild, force=True)
    verdict = only(verified(archive))
    assert (verdict.is_exact, verdict.on_discord, verdict.in_table, verdict.skipped) == (True, 1, 1, {})
    assert archive.rows(radio)[message]["raw_content"] == ""
    [revision] = archive.read(stored_revisions)
    assert revision["raw_content"] == "words that are taken back"


def test_a_preview_that_is_removed_reaches_the_row(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Taken by a policy of then, known now: it goes on changing, down to nothing at all."""
    keep_media(archive, keep=True)
    message = server.messages.post(radio, "", attachments=[])
    server.messages.show_link_preview(radio, message)
    imported(archive, guild)
    keep_media(archive, keep=False)
    assert only(verified(archive)).is_exact
    server.messages.suppress_embeds(radio, message)
    assert only(verified(archive)).reasons == {"change_missed": 1}
    imported(archive, guild, force=True)
    assert archive.rows(radio)[message]["embed_count"] == 0
    assert only(verified(archive)).is_exact


def test_a_policy_that_takes_more_is_told_until_it_is_read_again(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What was skipped is missing now; reading it again takes it."""
    message = server.messages.post(radio, "", attachments=FILES)
    imported(archive, guild)
    keep_media(archive, keep=True)
    verdict = only(verified(archive))
    assert (verdict.reasons, verdict.has_deficit, verdict.on_discord) == ({"not_taken": 1}, True, 1)
    imported(archive, guild, force=True)
    assert archive.live_ids(radio) == [message]
    assert archive.read(stored_skipped) == []
    assert only(verified(archive)).is_exact


def test_a_skipped_message_is_compared_by_its_content(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Changed, deleted there, deleted here only; counted by reason."""
    changed, deleted, hidden, _ = (server.messages.post(radio, "", attachments=FILES) for _ in range(4))
    server.messages.post(radio, "")
    imported(archive, guild)
    verdict = only(verified(archive))
    assert (verdict.is_exact, verdict.skipped, verdict.compared) == (
        True,
        {"media_only": 4, "no_content": 1},
        5,
    )
    server.messages.react(radio, changed, "🔥")
    server.messages.delete(radio, deleted)
    stone = Tombstone(hidden, radio, guild, datetime.now(UTC) - AGO, "gateway", "c1")
    archive.write(lambda connection: tombstone_messages(connection, [stone]))
    verdict = only(verified(archive))
    assert {each.discord_id: each.reason.value for each in verdict.differences} == {
        changed: "change_missed",
        deleted: "deletion_missed",
        hidden: "taken_as_deleted",
    }
    assert (verdict.compared, verdict.agreeing_percent) == (5, 40.0)
    imported(archive, guild, force=True)
    assert only(verified(archive)).reasons == {"taken_as_deleted": 1}


def test_a_skipped_message_of_which_nothing_is_stored_is_counted_apart(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """As in a database filled before skipped messages were kept: nothing is lost."""
    server.messages.post(radio, "", attachments=FILES)
    imported(archive, guild)
    archive.write(lambda connection: connection.run_script("DELETE FROM skipped_messages"))
    verdict = only(verified(archive))
    assert (verdict.is_exact, verdict.unrecorded, verdict.skipped) == (True, 1, {"media_only": 1})


def test_words_that_a_policy_leaves_out_are_never_exact(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """An embed that has some, in a message without a text of its own."""
    message = server.messages.post(radio, "", attachments=FILES)
    server.messages.show_link_preview(radio, message, title="Box this lap")
    imported(archive, guild)
    verdict = only(verified(archive))
    assert [(each.discord_id, each.reason.value) for each in verdict.differences] == [
        (message, "words_skipped")
    ]
    assert (verdict.is_exact, verdict.has_deficit, verdict.agreeing_percent) == (False, False, 0.0)
    keep_media(archive, keep=True)
    imported(archive, guild, force=True)
    assert only(verified(archive)).is_exact


@pytest.mark.parametrize("table", ["messages", "skipped_messages"])
def test_every_batch_is_compared(
    archive: Archive, server: DiscordServer, guild: int, radio: int, table: str
) -> None:
    """The first, those between and the last: 450 messages in batches of 100."""
    if table == "skipped_messages":
        ids = [server.messages.post(radio, "", attachments=FILES) for _ in range(450)]
    else:
        ids = server.messages.bulk_load(radio, 450, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    assert only(verified(archive, batch_rows=100)).is_exact
    break_digests(archive, table)
    verdict = only(verified(archive, batch_rows=100))
    assert (verdict.reasons, verdict.compared) == ({"change_missed": 450}, 450)
    assert [each.discord_id for each in verdict.differences] == ids


@pytest.mark.parametrize("place", [0, 99, 100, 101, 199, 200, 249])
def test_a_deletion_at_any_border_is_found(
    archive: Archive, server: DiscordServer, guild: int, radio: int, place: int
) -> None:
    """The last message of a page, the first of the next, the first and last of all."""
    ids = server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    server.messages.delete(radio, ids[place])
    verdict = only(verified(archive, batch_rows=100))
    assert [(each.discord_id, each.reason.value) for each in verdict.differences] == [
        (ids[place], "deletion_missed")
    ]
    assert (verdict.compared, verdict.agreeing_percent) == (250, 99.6)


@pytest.mark.parametrize("place", [0, 99, 100, 249])
def test_a_row_that_is_lost_at_any_border_is_found(
    archive: Archive, server: DiscordServer, guild: int, radio: int, place: int
) -> None:
    """Also the very first and the very last."""
    ids = server.messages.bulk_load(radio, 250, ends=datetime.now(UTC) - AGO)
    imported(archive, guild)
    delete_row(archive, ids[place])
    verdict = only(verified(archive, batch_rows=100))
    assert [(each.discord_id, each.reason.value) for each in verdict.differences] == [(ids[place], "lost")]


def test_both_tables_are_looked_at_in_one_channel_only(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """A skipped message of another channel is not one of this one."""
    other = server.channels.create(guild, "general")
    for channel in (radio, other, radio):
        server.messages.post(channel, "", attachments=FILES)
    imported(archive, guild)

    def skipped(connection: Connection) -> list[int]:
        return [row["channel_id"] for row in stored_skipped(connection)]

    assert sorted(archive.read(skipped)) == sorted([radio, other, radio])
    assert {each.channel_id: each.compared for each in verified(archive).verdicts} == {radio: 2, other: 1}


def test_the_session_of_a_row_is_compared(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """With what the sessions, the channel and the time of posting say; also where no session is."""
    ids = server.messages.bulk_load(radio, 30, ends=datetime.now(UTC) - AGO)
    session = Session("monza", created_at(ids[10]), created_at(ids[20]), (radio,))
    archive.write(lambda connection: save_sessions(connection, [session], now=datetime.now(UTC)))
    imported(archive, guild)
    assert verified(archive).is_exact
    statement = "UPDATE messages SET session_id = CASE WHEN session_id IS NULL THEN 'monza' END"
    archive.write(lambda c: c.run_script(f"{statement} WHERE discord_id IN ({ids[9]}, {ids[10]}, {ids[19]})"))
    verdict = only(verified(archive))
    assert (verdict.reasons, verdict.agreeing_percent) == ({"session_differs": 3}, 90.0)
    assert [each.discord_id for each in verdict.differences] == [ids[9], ids[10], ids[19]]
