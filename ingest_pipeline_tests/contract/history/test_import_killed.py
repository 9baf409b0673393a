"""An import that is killed at any moment continues where it stopped, and nothing is lost or doubled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.storage.messages.coverage import proven_until
from ingest_pipeline.storage.messages.deletions import table_summary
from ingest_pipeline.storage.runs.scan_runs import find_import, is_import_running
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord import attach
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer

HISTORY = "history"
PROGRAM = "ingest_pipeline_tests.history_program:main"


@contextmanager
def importing(archive: Archive, guild: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run an import in a process of its own."""
    settings = archive.services.settings
    url = [settings.database_url.get_secret_value()] if settings.database_url else []
    arguments = [str(guild), str(settings.data_dir), *url]
    command = attach.command(archive.server, PROGRAM, *arguments)
    process = subprocess.Popen(
        command, cwd=attach.PROJECT_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


@pytest.mark.slow
def test_import_survives_repeated_kill(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """What is committed is proven, what is proven is there, and the last attempt ends the work."""
    ids = server.messages.bulk_load(radio, 950)
    archive.services.database.migrate()
    reached = 0
    for page in (2, 3, 1):
        with importing(archive, guild) as process:
            server.faults.before_answering(
                lambda _, doomed=process: doomed.kill(), Requests(HISTORY, skip=page)
            )
            assert process.wait(60) == -9
        server.faults.clear()
        proven = archive.read(lambda connection: proven_until(connection, radio, 0))
        live = archive.live_ids(radio)
        assert live == [each for each in ids if each <= proven]
        assert proven >= reached
        reached = proven
        assert archive.read(lambda connection: is_import_running(connection, guild))
    assert 0 < len(archive.live_ids(radio)) < 950
    report = archive.run(lambda rest: import_history(archive.services, rest, guild))
    assert (report.is_complete, report.total_messages) == (True, 950)
    assert archive.differences(server.truth(radio)) == []
    assert archive.read(table_summary)["rows"] == 950
    found = archive.read(lambda connection: find_import(connection, guild))
    assert found is not None
    assert found.import_completed
