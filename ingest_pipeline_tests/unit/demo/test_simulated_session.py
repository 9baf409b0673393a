"""The simulated session: the same for everybody, at every time, in every window."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_pipeline.demo.session import CHANNEL_ID, build_demo, prepare_demo
from ingest_pipeline.demo.simulated_session import Scene
from ingest_pipeline.domain.sessions.session import live_sessions
from ingest_pipeline.domain.snowflake import created_at, first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter, ExportRequest
from ingest_pipeline.userconfig.session_files import read_sessions
from ingest_pipeline_tests.thoroughness import examples

START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
SCENE = Scene(START, seed=7, minutes=60, channel_id=CHANNEL_ID)
AFTERWARDS = START + timedelta(hours=3)


def at(seconds: float) -> datetime:
    """Return a time of the scene."""
    return START + timedelta(seconds=seconds)


def documents(now: datetime) -> dict[int, dict[str, Any]]:
    """Return the documents that can be read at a time, by id."""
    return {int(document["id"]): document for document in SCENE.messages_visible(now)}


def test_the_same_seed_is_the_same_session() -> None:
    """And another seed another one."""
    again = Scene(START, seed=7, minutes=60, channel_id=CHANNEL_ID)
    other = Scene(START, seed=8, minutes=60, channel_id=CHANNEL_ID)
    assert list(again.messages_visible(AFTERWARDS)) == list(SCENE.messages_visible(AFTERWARDS))
    assert list(other.messages_visible(AFTERWARDS)) != list(SCENE.messages_visible(AFTERWARDS))


@settings(max_examples=examples(12))
@given(cuts=st.lists(st.integers(-60_000, 3_700_000), max_size=6), now=st.integers(0, 4_000))
def test_any_windows_hold_together_what_the_whole_holds(cuts: list[int], now: int) -> None:
    """However the ids are cut, each message is in one window, in order of ids."""
    moment = at(now)
    bounds = [0, *sorted(first_id_at(START + timedelta(milliseconds=cut)) for cut in cuts), (1 << 63) - 1]
    pieces = [
        document
        for low, high in pairwise(bounds)
        for document in SCENE.messages_visible(moment, low=low, high=high)
    ]
    assert pieces == list(SCENE.messages_visible(moment))


def test_ids_hold_the_times_of_posting() -> None:
    """Ascending, unique, within the scene, the first at the very beginning."""
    posts = list(SCENE.posts(0, (1 << 63) - 1))
    ids = [post.snowflake for post in posts]
    assert ids == sorted(set(ids))
    assert ids[0] == first_id_at(START)
    assert all(START <= created_at(snowflake) < START + timedelta(minutes=60) for snowflake in ids)
    assert all(
        document["timestamp"] == created_at(snowflake)
        for snowflake, document in documents(AFTERWARDS).items()
    )


def test_about_a_dozen_messages_come_in_a_minute_with_bursts() -> None:
    """Over some hours; single minutes differ much."""
    scene = Scene(START, seed=1, minutes=300, channel_id=CHANNEL_ID)
    minutes = [
        (created_at(post.snowflake) - START) // timedelta(minutes=1) for post in scene.posts(0, (1 << 63) - 1)
    ]
    counts = [minutes.count(minute) for minute in range(300)]
    assert 10 < sum(counts) / 300 < 15
    assert max(counts) > 20
    assert min(counts) < 6


def test_nothing_is_seen_before_it_is_posted_or_after_it_is_deleted() -> None:
    """At any time."""
    for post in SCENE.posts(0, (1 << 63) - 1):
        posted_at = created_at(post.snowflake)
        assert not post.is_visible(posted_at - timedelta(milliseconds=1))
        assert post.is_visible(posted_at)
        assert post.deleted_at is None or not post.is_visible(post.deleted_at)


def test_an_edit_changes_the_content_and_its_time() -> None:
    """Until then the message reads as first written."""
    edited = [post for post in SCENE.posts(0, (1 << 63) - 1) if post.edits]
    assert edited
    for post in edited:
        moment, text = post.edits[0]
        before = post.document(moment - timedelta(milliseconds=1), CHANNEL_ID)
        after = post.document(moment, CHANNEL_ID)
        assert (before["timestampEdited"], before["content"]) == (None, post.content)
        assert (after["timestampEdited"], after["content"]) == (moment, text)


def test_a_link_preview_appears_without_an_edit_time() -> None:
    """Some seconds after the post, as on Discord."""
    linked = [post for post in SCENE.posts(0, (1 << 63) - 1) if post.preview]
    assert linked
    for post in linked:
        posted_at, shown_at = created_at(post.snowflake), post.preview[0] if post.preview else START
        assert timedelta(seconds=2) <= shown_at - posted_at <= timedelta(seconds=8)
        assert post.document(posted_at, CHANNEL_ID)["embeds"] == []
        later = post.document(shown_at, CHANNEL_ID)
        assert (len(later["embeds"]), later["timestampEdited"]) == (1, None)


def test_reactions_grow_and_count_their_users() -> None:
    """Never fewer at a later time."""
    counts = []
    for now in (at(1800), at(1830), AFTERWARDS):
        reactions = [shown for document in documents(now).values() for shown in document["reactions"]]
        assert all(shown["count"] == len(shown["users"]) > 0 for shown in reactions)
        counts.append(sum(shown["count"] for shown in reactions))
    assert counts[0] < counts[-1]
    assert counts == sorted(counts)


def test_everything_that_makes_reading_hard_is_there() -> None:
    """Media without words, replies, mentions, emoji of both writings, flapping names and addresses."""
    all_of_it = list(documents(AFTERWARDS).values())
    text = json.dumps(all_of_it, default=str, ensure_ascii=False)
    assert any(not document["content"] and document["attachments"] for document in all_of_it)
    assert any(document["type"] == "Reply" and document["reference"]["messageId"] for document in all_of_it)
    assert any(document["mentions"] for document in all_of_it)
    assert any("`" not in document["content"] for document in all_of_it)
    assert all(part in text for part in (":studio_microphone: `", "🎙️ `", "🏎️", "Hülkenberg", "\\n> "))
    later = list(documents(AFTERWARDS + timedelta(minutes=47)).values())
    nicknames = [[document["author"]["nickname"] for document in read] for read in (all_of_it, later)]
    addresses = [
        [file["url"] for document in read for file in document["attachments"]] for read in (all_of_it, later)
    ]
    assert addresses[0] != addresses[1]
    assert len(nicknames[0]) == len(nicknames[1])
    assert [document["content"] for document in all_of_it] == [document["content"] for document in later]


def test_the_truth_is_what_can_be_read() -> None:
    """Visible, deleted and wordless messages are distinguished, and nothing is left out."""
    for now in (START, at(900), AFTERWARDS):
        truth, read = SCENE.truth(now), documents(now)
        assert truth.visible == {snowflake: document["content"] for snowflake, document in read.items()}
        assert truth.without_text == {
            snowflake for snowflake, content in truth.visible.items() if not content
        }
        posted = {post.snowflake for post in SCENE.posts(0, first_id_at(now + timedelta(milliseconds=1)) - 1)}
        assert truth.deleted == posted - truth.visible.keys()
    assert SCENE.truth(AFTERWARDS).deleted
    assert SCENE.truth(START - timedelta(seconds=1)).visible == {}


def test_the_demo_has_a_finished_session_and_a_live_one_with_a_head_start(tmp_path: Path) -> None:
    """Live for two hours from some minutes ago, finished yesterday."""
    demo = build_demo(tmp_path, START)
    finished, live = demo.sessions
    assert live_sessions(demo.sessions, START) == [live]
    assert timedelta(minutes=4) <= START - live.start_time < timedelta(minutes=5)
    assert live.end_time - live.start_time == timedelta(hours=2)
    assert finished.end_time < START - timedelta(hours=12)


def test_a_restarted_demo_stays_the_same_until_its_live_session_has_ended(tmp_path: Path) -> None:
    """Then it stays as a finished one and another is live."""
    first = build_demo(tmp_path, START)
    written = first.world.stat().st_mtime_ns
    assert build_demo(tmp_path, at(3600)) == first
    assert first.world.stat().st_mtime_ns == written
    renewed = build_demo(tmp_path, at(7200))
    assert renewed.sessions[:2] == first.sessions
    assert live_sessions(renewed.sessions, at(7200)) == [renewed.sessions[2]]
    assert renewed.sessions[2].start_time >= first.sessions[1].end_time


def test_a_damaged_world_file_is_begun_again(tmp_path: Path) -> None:
    """The demo always starts."""
    (tmp_path / "demo_world.json").write_text('{"channels": [')
    assert live_sessions(build_demo(tmp_path, START).sessions, START)


def test_the_prepared_demo_is_what_the_pipeline_reads(tmp_path: Path) -> None:
    """Sessions, exporter and environment fit together, on the real clock."""
    environment = prepare_demo(tmp_path)
    assert prepare_demo(tmp_path) == environment
    sessions = read_sessions(tmp_path / "sessions.yaml", default_channel_id=1)
    demo = build_demo(tmp_path, datetime.now(UTC))
    assert sessions == demo.sessions
    live = demo.sessions[-1]
    window = Window(live.start_time, live.start_time + timedelta(minutes=3))
    runner = ChatExporter(Path(environment["INGEST_EXPORTER_PATH"]), None, timeout_seconds=30)
    result = runner.export(ExportRequest(CHANNEL_ID, window), tmp_path / "out")
    read = json.loads(result.path.read_text())["messages"]
    truth = demo.scenes[-1].truth(result.exported_at)
    expected = {
        snowflake: text for snowflake, text in truth.visible.items() if created_at(snowflake) in window
    }
    assert {int(document["id"]): document["content"] for document in read} == expected
