"""An archive on each engine, reading from a simulated Discord."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def archive(settings: Settings, database: Database, server: DiscordServer) -> Archive:
    """An empty archive that reads from it."""
    return Archive.build(settings, database, server)


@pytest.fixture
def guild(server: DiscordServer) -> int:
    """A guild that the bot is in."""
    return server.guilds.create("Paddock")


@pytest.fixture
def radio(server: DiscordServer, guild: int) -> int:
    """A channel of it that the bot can read."""
    return server.channels.create(guild, "team-radio")
