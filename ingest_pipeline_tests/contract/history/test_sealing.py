"""Sessions sealed when they are over, and again when something has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from ingest_pipeline.completeness.sealing import SealReport, seal_session, sessions_to_seal
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.errors import SessionInvalid, SessionNotFound
from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.storage.messages.manifest_changes import Changes
from ingest_pipeline.storage.messages.manifests import list_manifests, sealed_versions
from ingest_pipeline.storage.messages.queries import stored_between
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

AGO = timedelta(hours=1)


@pytest.fixture
def ids(server: DiscordServer, radio: int) -> list[int]:
    """A hundred messages that were posted an hour ago."""
    return server.messages.bulk_load(radio, 100, ends=datetime.now(UTC) - AGO)


@pytest.fixture
def session(archive: Archive, radio: int, ids: list[int]) -> Session:
    """A session of the channel that held sixty of them."""
    made = Session("monza", created_at(ids[20]), created_at(ids[80]), (radio,))
    store(archive, made)
    return made


def store(archive: Archive, *sessions: Session) -> None:
    """Keep sessions."""
    archive.write(lambda connection: save_sessions(connection, sessions, now=datetime.now(UTC)))


def sealed(archive: Archive, session_id: str = "monza", **options: Any) -> SealReport:
    """Seal a session."""
    return archive.run(lambda rest: seal_session(archive.services, rest, session_id, **options))


def test_a_session_is_read_once_more_and_written_down(
    archive: Archive, radio: int, ids: list[int], session: Session
) -> None:
    """Count, first, last and a digest anyone can compute again."""
    report = sealed(archive)
    assert (report.is_sealed, report.is_new, report.problems) == (True, True, ())
    [manifest] = report.manifests
    assert (manifest.version, manifest.message_count, manifest.source) == (1, 60, "history")
    assert (manifest.first_id, manifest.last_id) == (ids[20], ids[79])
    stored = archive.read(lambda connection: stored_between(connection, radio, 0, ids[-1]))
    lines = "".join(f"{each}:{stored[each].content_digest}\n" for each in ids[20:80])
    assert manifest.digest == sha256(lines.encode()).hexdigest()
    assert manifest.changes == Changes()
    assert {row["session_id"] for row in archive.rows(radio).values()} == {"monza"}
    assert archive.read(lambda connection: list_manifests(connection, "monza")) == [manifest]
    assert report.as_dict()["channels"][0]["last_id"] == str(ids[79])


def test_sealing_again_without_a_change_changes_nothing(archive: Archive, session: Session) -> None:
    """The version there is stands."""
    first = sealed(archive)
    again = sealed(archive)
    assert (again.is_sealed, again.is_new) == (True, False)
    assert again.manifests == first.manifests


def test_a_later_change_makes_a_version_that_names_what_changed(
    archive: Archive, server: DiscordServer, radio: int, ids: list[int], session: Session
) -> None:
    """Edited, deleted, and a message that became visible late."""
    sealed(archive)
    server.messages.edit(radio, ids[30], "edited")
    server.messages.delete(radio, ids[40])
    late = server.messages.post(radio, "late", at=created_at(ids[50]))
    report = sealed(archive)
    [manifest] = report.manifests
    assert (report.is_new, manifest.version, manifest.message_count) == (True, 2, 60)
    assert manifest.changes == Changes(added=(late,), removed=(ids[40],), changed=(ids[30],))
    assert report.as_dict()["channels"][0]["changes"]["removed"] == [str(ids[40])]
    kept = archive.read(lambda connection: list_manifests(connection, "monza"))
    assert [each.version for each in kept] == [2, 1]
    assert kept[0] == manifest


def test_deletions_without_an_event_are_found_by_the_seal(
    archive: Archive, server: DiscordServer, guild: int, radio: int, ids: list[int], session: Session
) -> None:
    """And only those: messages outside the session's time are left for other readings."""
    archive.run(lambda rest: import_history(archive.services, rest, guild))
    gone = [*ids[:5], *ids[20:25], *ids[75:90]]
    server.messages.bulk_delete(radio, gone)
    [manifest] = sealed(archive).manifests
    assert manifest.message_count == 50
    assert archive.live_ids(radio) == [each for each in ids if each not in {*ids[20:25], *ids[75:80]}]


def test_a_message_read_after_the_seals_reading_began_is_never_taken_as_deleted(
    archive: Archive, server: DiscordServer, guild: int, radio: int, ids: list[int], session: Session
) -> None:
    """It was there when that reading was under way, whatever an earlier page says."""
    archive.run(lambda rest: import_history(archive.services, rest, guild))
    channel = server.state.channels[radio]
    hidden = ids[30:35]

    async def work(rest: Any) -> SealReport:
        history = rest.history

        async def stale(channel_id: int, **options: Any) -> Any:
            page = await history(channel_id, **options)
            long_ago = page.requested_at - timedelta(days=1)
            return replace(
                page,
                messages=[each for each in page.messages if int(each["id"]) not in hidden],
                requested_at=long_ago,
            )

        rest.history = stale
        return await seal_session(archive.services, rest, "monza")

    assert len(channel.ids) == 100
    archive.run(work)
    assert archive.live_ids(radio) == ids


def test_a_session_that_is_not_over_or_not_settled_is_not_sealed(archive: Archive, radio: int) -> None:
    """The message says from when on it can be."""
    now = datetime.now(UTC)
    store(archive, Session("live", now - AGO, now + AGO, (radio,)))
    with pytest.raises(SessionInvalid, match="seal it from"):
        sealed(archive, "live")
    with pytest.raises(SessionInvalid):
        sealed(archive, "live", now=now + AGO + timedelta(seconds=59))
    with pytest.raises(SessionNotFound):
        sealed(archive, "nowhere")


def test_a_session_that_its_own_seal_s_reading_shows_to_go_on_is_not_sealed(
    archive: Archive, session: Session
) -> None:
    """After an outage the seal may be what reads its last minutes; past the limit it is over."""
    file = archive.services.settings.settings_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("defaults: {overrun_minutes: 60}\n", encoding="utf-8")
    report = sealed(archive, now=session.end_time + timedelta(minutes=2))
    assert (report.is_sealed, report.problems) == (
        False,
        ("it goes on: its last minutes have messages, and the next tick or poll extends it",),
    )
    file.write_text("defaults: {overrun_minutes: 0}  # over\n", encoding="utf-8")
    assert sealed(archive, now=session.end_time + timedelta(minutes=2)).is_sealed


def test_a_channel_that_cannot_be_read_keeps_its_session_from_being_sealed(
    archive: Archive, server: DiscordServer, guild: int, radio: int, ids: list[int], session: Session
) -> None:
    """An empty answer is no session without messages."""
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    report = sealed(archive)
    assert not report.is_sealed
    assert str(radio) in report.problems[0]
    assert archive.read(sealed_versions) == {}
    store(archive, replace(session, channel_ids=(77, radio)))
    assert "77" in sealed(archive).problems[0]
    server.permissions.grant(radio)
    store(archive, session)
    assert sealed(archive).is_sealed


def test_a_proven_session_is_not_sealed_when_it_cannot_be_read_again(
    archive: Archive, server: DiscordServer, guild: int, radio: int, ids: list[int], session: Session
) -> None:
    """What was proven before says nothing about now."""
    archive.run(lambda rest: import_history(archive.services, rest, guild))
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    assert not sealed(archive).is_sealed
    assert archive.live_ids(radio) == ids


def test_a_silent_session_is_sealed_too(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """No message is something that can be written down, when the silence is proven."""
    quiet = server.channels.create(guild, "quiet")
    now = datetime.now(UTC)
    store(archive, Session("silence", now - 3 * AGO, now - 2 * AGO, (radio, quiet)))
    report = sealed(archive, "silence")
    assert [manifest.message_count for manifest in report.manifests] == [0, 0]
    assert report.manifests[0].first_id is None
    assert not sealed(archive, "silence").is_new
    assert sessions_to_seal(archive.services) == []


@pytest.mark.slow
def test_skipped_messages_are_sealed_by_reason(
    archive: Archive, server: DiscordServer, radio: int, ids: list[int], session: Session
) -> None:
    """A change of what a policy leaves out makes a version of its own, as one that is taken at last."""
    empty = server.messages.post(radio, "", at=created_at(ids[30]) + timedelta(milliseconds=1))
    server.messages.post(radio, "", at=created_at(ids[90]))
    [first] = sealed(archive).manifests
    assert (first.message_count, first.skipped) == (60, {"no_content": 1})
    assert not sealed(archive).is_new
    server.messages.delete(radio, empty)
    [second] = sealed(archive).manifests
    assert (second.version, second.reason) == (2, "skipped messages changed")
    assert (second.digest, second.skipped) == (first.digest, {})
    stored = archive.read(lambda connection: stored_between(connection, radio, empty - 1, empty))
    line = f"{empty}:{stored[empty].content_digest}:no_content\n"
    assert second.skipped_digest != first.skipped_digest == sha256(line.encode()).hexdigest()
    assert second.changes == Changes(skipped=(empty,))
    other = server.messages.post(radio, "", at=created_at(ids[40]) + timedelta(milliseconds=1))
    assert sealed(archive).manifests[0].version == 3
    server.messages.edit(radio, other, "words at last")
    [fourth] = sealed(archive).manifests
    assert fourth.changes == Changes(added=(other,), skipped=(other,))
    assert (fourth.message_count, fourth.skipped) == (61, {})
    assert archive.read(lambda connection: list_manifests(connection, "monza"))[0] == fourth


def test_a_seal_of_before_skipped_messages_were_sealed_holds_until_the_next(
    archive: Archive, server: DiscordServer, radio: int, ids: list[int], session: Session
) -> None:
    """It said nothing about them, so nothing is due; who seals it again gets them."""
    sealed(archive)
    archive.write(
        lambda c: c.run_script("UPDATE session_manifests SET skipped = NULL, skipped_digest = NULL")
    )
    server.messages.post(radio, "", at=created_at(ids[30]) + timedelta(milliseconds=1))
    archive.run(lambda rest: import_history(archive.services, rest, server.state.channels[radio].guild_id))
    assert sessions_to_seal(archive.services) == []
    [manifest] = sealed(archive).manifests
    assert (manifest.version, manifest.skipped) == (2, {"no_content": 1})


def test_a_session_whose_messages_became_others_is_due_however_old_it_is(
    archive: Archive, server: DiscordServer, radio: int, ids: list[int], session: Session
) -> None:
    """A change of sessions changes no row's content, so nothing else would show it."""
    sealed(archive)
    later = datetime.now(UTC) + timedelta(hours=archive.services.settings.post_session_hours + 2)
    assert sessions_to_seal(archive.services, later) == []
    moved = replace(session, start_time=created_at(ids[30]))
    store(archive, moved)
    assert sessions_to_seal(archive.services, later) == [moved]
    assert sealed(archive).manifests[0].reason == "session moved"
    assert sessions_to_seal(archive.services, later) == []


@pytest.mark.slow
def test_sessions_are_due_when_over_and_unsealed_or_changed(
    archive: Archive, server: DiscordServer, guild: int, radio: int, ids: list[int], session: Session
) -> None:
    """Those that can still change are not, nor those whose seal holds."""
    now = datetime.now(UTC)
    store(archive, Session("live", now - AGO, now + AGO, (radio,)))
    assert sessions_to_seal(archive.services) == [session]
    sealed(archive)
    assert sessions_to_seal(archive.services) == []
    server.messages.edit(radio, ids[30], "edited")
    archive.run(lambda rest: import_history(archive.services, rest, guild, force=True))
    assert sessions_to_seal(archive.services) == [session]
    later = now + timedelta(hours=archive.services.settings.post_session_hours + 2)
    assert session not in sessions_to_seal(archive.services, later)
    sealed(archive)
    assert sessions_to_seal(archive.services) == []
