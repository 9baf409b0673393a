"""Changes of what messages hold are in the change feed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.changes import read_changes
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The working parts with a session, once for each engine."""
    built = build_services(settings)
    session = Session("race", START, START + timedelta(hours=2), (CHANNEL_ID,))
    built.database.run(lambda connection: save_sessions(connection, [session], now=START))
    yield built
    built.database.close()


def reported(services: Services, export: Path) -> set[tuple[str, int]]:
    """Import an export and return what is new in the feed."""
    with services.database.read() as connection:
        before = [each.position for each in read_changes(connection)]
    import_messages(services, "race", file=export, on_rows_merged=reading_content(services))
    with services.database.read() as connection:
        found = read_changes(connection, after=max(before, default=0))
    return {(each.change.value, each.discord_id) for each in found}


def test_content_that_comes_changes_or_goes_is_a_change(services: Services, tmp_path: Path) -> None:
    """Once for a message, whatever kinds changed; not when it is read again."""
    radio, moment = message(10, "`Leclerc` Box, box."), START + timedelta(hours=3)
    discord_id = int(radio["id"])
    export = write_export(tmp_path / "export.json", [radio], exportedAt=moment.isoformat())
    assert reported(services, export) == {("created", discord_id), ("content", discord_id)}
    assert reported(services, export) == set()
    edited = {**radio, "content": "Box, box.", "timestampEdited": (START + timedelta(hours=1)).isoformat()}
    later = (moment + timedelta(hours=1)).isoformat()
    export = write_export(tmp_path / "export.json", [edited], exportedAt=later)
    assert reported(services, export) == {("updated", discord_id), ("content", discord_id)}
