"""Clips of channels without sessions, kept before their addresses expire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ingest_pipeline.content.channel_clips import due_clips, fetch_due, fetch_matching
from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.sources.discord.clip_download import DownloadLimits
from ingest_pipeline.storage.content.clip_search import clips_matching
from ingest_pipeline.storage.messages.queries import MessageFilter
from ingest_pipeline_tests.file_server import FileServer, running_file_server
from ingest_pipeline_tests.orchestration.content.test_clip_files import (
    BYTES,
    carry,
    clip,
    replace_world,
    stored,
)
from ingest_pipeline_tests.orchestration.deployments import CHANNEL_ID, START, Deployment

WANTED = MessageFilter(channel_id=CHANNEL_ID)


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server with two clips, behind the signature `new`."""
    with running_file_server() as served:
        served.files = {"/1/lap.mp4": BYTES, "/2/old.mp4": b"old"}
        served.signature = "new"
        yield served


@pytest.fixture
def paddock(deployment: Deployment, server: FileServer) -> Deployment:
    """A channel without a session: a clip that is good for a day, and one whose address has expired."""
    deployment.post(
        carry(clip(server, "/1/lap.mp4")), carry(clip(server, "/2/old.mp4", "then", -1), minute=2)
    )
    services = deployment.services
    import_messages(
        services,
        None,
        channel_id=CHANNEL_ID,
        start=START,
        end=START + timedelta(hours=1),
        on_rows_merged=reading_content(services),
    )
    return deployment


def limits(server: FileServer) -> DownloadLimits:
    """Allow the server here."""
    return DownloadLimits(hosts=(server.address.removeprefix("http://"),))


def keep(deployment: Deployment, value: str) -> None:
    """Set whether the channel's clips are kept."""
    text = f"channels:\n  {CHANNEL_ID}:\n    fetch_clips: {value}\n"
    deployment.settings.settings_file.write_text(text, encoding="utf-8")


def test_clips_are_kept_before_they_expire_where_the_channel_asks_for_it(
    paddock: Deployment, server: FileServer
) -> None:
    """Off by default; an expired one is left to whoever asks for it; nothing is fetched twice."""
    now = datetime.now(UTC)
    assert due_clips(paddock.services, now) == []
    assert isinstance(paddock.tick_schedule("fetch_clips_schedule"), str)
    keep(paddock, "true")
    assert not isinstance(paddock.tick_schedule("fetch_clips_schedule"), str)
    [done] = fetch_due(paddock.services, limits(server), now=now)
    assert (done.problem, list(stored(paddock).values())) == (None, [BYTES])
    assert fetch_due(paddock.services, limits(server), now=now) == []


def test_what_failed_is_tried_again_in_an_hour(paddock: Deployment, server: FileServer) -> None:
    """Not at every run of the schedule."""
    keep(paddock, "true")
    server.answers = {"/1/lap.mp4": 500}
    now = datetime.now(UTC)
    [failed] = fetch_due(paddock.services, limits(server), now=now)
    assert failed.problem is not None
    assert due_clips(paddock.services, now + timedelta(minutes=10)) == []
    server.answers = {}
    [done] = fetch_due(paddock.services, limits(server), now=now + timedelta(hours=2))
    assert done.problem is None


def test_clips_of_a_channel_are_fetched_on_request_with_fresh_addresses(
    paddock: Deployment, server: FileServer
) -> None:
    """The expired one too, by reading its message again."""
    replace_world(paddock, carry(clip(server, "/1/lap.mp4")), carry(clip(server, "/2/old.mp4"), minute=2))
    done = fetch_matching(paddock.services, WANTED, limits(server), now=datetime.now(UTC))
    assert [each.problem for each in done] == [None, None]
    assert sorted(stored(paddock).values()) == sorted([BYTES, b"old"])
    with paddock.services.database.read() as connection:
        found = clips_matching(connection, WANTED)
        assert clips_matching(connection, WANTED, is_missing=True) == []
        assert clips_matching(connection, MessageFilter(author_id=1)) == []
    assert all(clip["file_path"] for clip in found)
