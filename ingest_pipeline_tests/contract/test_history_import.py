"""The import of a guild's history, against the simulated Discord, on both engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest_pipeline.history_import import HistoryReport, import_history
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.database import Database
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.discord_server.attach import attached
from ingest_pipeline_tests.discord_server.server import DiscordServer


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


def imported(archive: Archive, guild: int, **options: object) -> HistoryReport:
    """Import a guild's history."""
    return archive.run(lambda rest: import_history(archive.services, rest, guild, **options))  # type: ignore[arg-type]


def test_a_long_history_is_imported_whole(archive: Archive, server: DiscordServer, guild: int) -> None:
    """Every message of every readable channel is in the table once, with its content."""
    radio, general = server.channels.create(guild, "team-radio"), server.channels.create(guild, "general")
    server.messages.bulk_load(radio, 450)
    server.messages.bulk_load(general, 120)
    report = imported(archive, guild, batch_rows=150)
    assert report.is_complete
    assert report.total_messages == 570
    assert archive.differences(server.truth(radio)) == []
    assert archive.differences(server.truth(general)) == []
