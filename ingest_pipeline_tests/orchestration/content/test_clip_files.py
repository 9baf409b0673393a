"""Clips fetched from a real server before and after their addresses expire."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline_tests.file_server import FileServer, running_file_server
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    deploy,
    failures,
    message,
    session,
)

BYTES = b"a video" * 1000
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server with two clips of the same bytes and one of others, behind the signature `new`."""
    with running_file_server() as served:
        served.files = {"/1/lap.mp4": BYTES, "/2/copy.MP4": BYTES, "/3/start.mov": b"another"}
        served.signature = "new"
        yield served


def clip(server: FileServer, path: str, signature: str = "new", days: float = 1) -> dict[str, Any]:
    """Return an attachment whose address expires in some days."""
    expiry = int((datetime.now(UTC) + timedelta(days=days)).timestamp())
    return {
        "id": path.split("/")[1],
        "url": f"{server.address}{path}?ex={expiry:08x}&is=68bc3880&hm={signature}&",
        "fileName": path.rpartition("/")[2],
        "fileSizeBytes": 7000,
    }


def carry(*attachments: dict[str, Any], minute: float = 1, **fields: Any) -> dict[str, Any]:
    """Return a message with attachments, posted some minutes after the start."""
    return message(START + timedelta(minutes=minute), "look") | {"attachments": list(attachments), **fields}


def replace_world(deployment: Deployment, *messages: dict[str, Any]) -> None:
    """Let Discord have other messages than before."""
    path = deployment.folder / "world.json"
    world = json.loads(path.read_text())
    world["channels"][0]["messages"] = list(messages)
    path.write_text(json.dumps(world))


def fetch(deployment: Deployment, server: FileServer, **changes: Any) -> dict[str, Any]:
    """Materialise the clip files of the first window, allowing a server here, and return what is reported."""
    job = deployment.definitions.resolve_implicit_global_asset_job_def()
    config = {"hosts": [server.address.removeprefix("http://")], **changes}
    result = job.execute_in_process(
        instance=deployment.instance,
        partition_key="monza|T+000m",
        asset_selection=[dg.AssetKey("clip_files")],
        run_config={"ops": {"clip_files": {"config": config}}},
        raise_on_error=False,
    )
    if not result.success:
        [failed] = failures(result)
        return {"failure": str(failed.user_failure_data)}
    return deployment.materialisations("clip_files")["monza|T+000m"]


def stored(deployment: Deployment) -> dict[str, bytes]:
    """Return the files that are kept, by path."""
    root = deployment.settings.data_dir / "clips"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A deployment with a finished session."""
    deployment.add_sessions(session())
    return deployment


def test_clips_are_kept_once_under_their_digest(monza: Deployment, server: FileServer) -> None:
    """The same bytes twice are one file; a second run asks for nothing."""
    monza.post(carry(clip(server, "/1/lap.mp4"), clip(server, "/3/start.mov")))
    monza.post(carry(clip(server, "/2/copy.MP4"), minute=2))
    assert monza.run("monza|T+000m").success
    reported = fetch(monza, server)
    assert (reported["dagster/partition_row_count"], reported["problems"]) == (3, 0)
    assert reported["bytes"] == 2 * len(BYTES) + 7
    other = hashlib.sha256(b"another").hexdigest()
    assert stored(monza) == {
        f"{DIGEST[:2]}/{DIGEST}.mp4": BYTES,
        f"{other[:2]}/{other}.mov": b"another",
    }
    asked = len(server.requests)
    assert fetch(monza, server)["dagster/partition_row_count"] == 0
    assert len(server.requests) == asked
    assert monza.materialisations("clip_files")["monza|T+000m"]["problems"] == 0


def test_an_expired_address_is_renewed_by_reading_the_message_again(
    monza: Deployment, server: FileServer
) -> None:
    """One exporter run for all of the channel's; the expired addresses are not even tried."""
    monza.post(carry(clip(server, "/1/lap.mp4", "old", days=-1)))
    monza.post(carry(clip(server, "/3/start.mov", "old", days=-1), minute=2))
    assert monza.run("monza|T+000m").success
    replace_world(monza, carry(clip(server, "/1/lap.mp4")), carry(clip(server, "/3/start.mov"), minute=2))
    calls = len(monza.exporter_calls())
    assert fetch(monza, server)["dagster/partition_row_count"] == 2
    assert len(monza.exporter_calls()) == calls + 1
    assert server.requests == ["/1/lap.mp4", "/3/start.mov"]
    assert len(stored(monza)) == 2


def test_an_address_that_fails_before_its_time_is_renewed_too(monza: Deployment, server: FileServer) -> None:
    """Discord may take it back."""
    monza.post(carry(clip(server, "/1/lap.mp4", "old", days=1)))
    assert monza.run("monza|T+000m").success
    replace_world(monza, carry(clip(server, "/1/lap.mp4")))
    assert fetch(monza, server)["dagster/partition_row_count"] == 1
    assert server.requests == ["/1/lap.mp4", "/1/lap.mp4"]


def test_a_clip_that_cannot_be_had_is_reported_and_tried_again(monza: Deployment, server: FileServer) -> None:
    """The others are fetched all the same."""
    monza.post(
        carry(clip(server, "/1/lap.mp4", "old", days=-1)), carry(clip(server, "/3/start.mov"), minute=2)
    )
    assert monza.run("monza|T+000m").success
    replace_world(monza)
    reported = fetch(monza, server)
    assert (reported["dagster/partition_row_count"], reported["problems"]) == (1, 1)
    assert "its message no longer has the clip" in reported["what"]
    assert "hm=" not in reported["what"]
    replace_world(monza, carry(clip(server, "/1/lap.mp4")))
    assert fetch(monza, server)["dagster/partition_row_count"] == 1
    assert len(stored(monza)) == 2


@pytest.mark.slow
def test_only_listed_hosts_and_files_within_the_limit_are_fetched(
    monza: Deployment, server: FileServer
) -> None:
    """Discord's hosts by default; a player's page is no file."""
    player = {"url": "https://video.invalid/watch", "video": {"url": "https://video.invalid/embed/1"}}
    monza.post(carry(clip(server, "/1/lap.mp4"), embeds=[player]))
    assert monza.run("monza|T+000m").success
    reported = fetch(monza, server, hosts=["cdn.discordapp.com"])
    assert (reported["problems"], server.requests) == (2, [])
    assert "not on an allowed host and port" in reported["what"]
    assert "it is a player's page, not a file" in reported["what"]
    assert "raise max_megabytes" in fetch(monza, server, max_megabytes=0)["what"]
    assert stored(monza) == {}


def test_a_store_that_cannot_be_written_fails_the_step(monza: Deployment, server: FileServer) -> None:
    """That is no fault of a clip, and the next one would fare no better."""
    monza.post(carry(clip(server, "/1/lap.mp4")), carry(clip(server, "/3/start.mov"), minute=2))
    assert monza.run("monza|T+000m").success
    (monza.settings.data_dir / "clips").write_text("a file")
    assert "free space, fix its permissions" in fetch(monza, server)["failure"]
    assert server.requests == ["/1/lap.mp4"]


def test_without_a_token_expired_clips_are_reported_with_the_remedy(
    tmp_path: Path, instance: dg.DagsterInstance, server: FileServer
) -> None:
    """Nothing can read their messages again."""
    with_token = deploy(tmp_path, instance)
    with_token.add_sessions(session())
    with_token.post(carry(clip(server, "/1/lap.mp4", "old", days=-1)))
    assert with_token.run("monza|T+000m").success
    reported = fetch(deploy(tmp_path, instance, discord_oauth_token=None), server)
    assert "neither DISCORD_BOT_TOKEN nor DISCORD_OAUTH_TOKEN is set" in reported["what"]


@pytest.mark.slow
def test_what_was_fetched_outlives_its_message(monza: Deployment, server: FileServer) -> None:
    """A clip is kept because it may be gone tomorrow."""
    posted = carry(clip(server, "/1/lap.mp4"))
    monza.post(posted)
    assert monza.run("monza|T+000m").success
    fetch(monza, server)
    deleted = Tombstone(int(posted["id"]), CHANNEL_ID, None, datetime.now(UTC), "gateway", "d1")
    monza.services.database.run(lambda connection: tombstone_messages(connection, [deleted]))
    assert monza.run("monza|T+000m").success
    assert monza.materialisations("clips")["monza|T+000m"]["dagster/partition_row_count"] == 0
    assert len(stored(monza)) == 1
