"""Verification and policies: what is left out, and every border of pages and batches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract.history.test_verification import imported, only, verified
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


def test_a_policy_that_takes_more_is_reported_until_it_is_read_again(
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


def test_words_that_were_skipped_are_never_exact(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """As by a version that took only the text: an embed has some, and reading again takes the message."""
    message = server.messages.post(radio, "", attachments=FILES)
    imported(archive, guild)
    server.messages.show_link_preview(radio, message, title="Box this lap")
    verdict = only(verified(archive))
    assert [(each.discord_id, each.reason.value) for each in verdict.differences] == [(message, "not_taken")]
    assert (verdict.is_exact, verdict.agreeing_percent) == (False, 0.0)
    imported(archive, guild, force=True)
    assert only(verified(archive)).is_exact
