"""Clips read again by the bot, from the simulated Discord."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest_pipeline.content.clip_files import read_clips_again
from ingest_pipeline.content.kinds.clips import clip_key
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def services(tmp_path: Path, server: DiscordServer) -> Services:
    """The working parts of a deployment with a bot."""
    token = SecretStr(server.token)
    return build_services(Settings(_env_file=None, data_dir=tmp_path, discord_bot_token=token))


def test_the_bot_gives_clips_with_fresh_addresses(server: DiscordServer, services: Services) -> None:
    """By message, whatever else the messages carry; one that is deleted is left out."""
    channel = server.channels.create(server.guilds.create("Paddock"), "clips")
    kept = server.messages.post(
        channel, "look", attachments=[("lap.mp4", "video/mp4"), ("notes.txt", "text/plain")]
    )
    plain = server.messages.post(channel, "no clip")
    gone = server.messages.post(channel, "gone", attachments=[("start.mov", "video/quicktime")])
    server.messages.delete(channel, gone)
    now = datetime.now(UTC)
    found = read_clips_again(services, channel, dict.fromkeys([kept, plain, gone], now))
    assert found.keys() == {kept, plain}
    assert found[plain] == []
    [clip] = found[kept]
    assert clip.file_name == "lap.mp4"
    assert clip.expires_at is not None
    assert clip.expires_at > now


def test_media_of_components_are_read_again_too(server: DiscordServer, services: Services) -> None:
    """By the key that they have in the table, which is their address without its signature."""
    channel = server.channels.create(server.guilds.create("Paddock"), "clips")
    address = "https://cdn.discordapp.com/attachments/1/2/lap.mp4"
    media = {"media": {"url": f"{address}?ex=7fffffff&is=68b4a120&hm=ab12&"}}
    posted = server.messages.post(channel, "", components=[{"type": 12, "items": [media]}])
    found = read_clips_again(services, channel, {posted: datetime.now(UTC)})
    assert [(clip_key(clip), clip.part) for clip in found[posted]] == [(address, "component.media")]
