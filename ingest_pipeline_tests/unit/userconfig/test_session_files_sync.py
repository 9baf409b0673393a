"""Keeping the stored sessions in step with data/sessions.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest_pipeline.errors import SessionInvalid
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.sessions import SessionChanges, list_sessions
from ingest_pipeline.userconfig.session_files import sync_sessions_file

NOW = datetime(2026, 9, 6, 12, tzinfo=UTC)
RACE = "- {id: race, start: 2026-09-06T13:00:00Z, end: 2026-09-06T15:00:00Z}\n"
SPRINT = "- {id: sprint, start: 2026-09-05T13:00:00Z, end: 2026-09-05T15:00:00Z, channel: 11}\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty data folder."""
    return load_settings(data_dir=tmp_path, default_channel_id=5)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Its database."""
    opened = open_database(settings)
    yield opened
    opened.close()


def stored(database: Database) -> dict[str, tuple[int, ...]]:
    """Return the channels of every stored session."""
    with database.read() as connection:
        return {session.session_id: session.channel_ids for session in list_sessions(connection)}


def test_without_a_file_nothing_happens(database: Database, settings: Settings) -> None:
    """The file is not needed."""
    assert sync_sessions_file(database, settings, NOW) is None


def test_a_file_is_taken_over_once(database: Database, settings: Settings) -> None:
    """The second call finds the file as it was and does nothing."""
    settings.sessions_file.write_text(RACE, encoding="utf-8")
    assert sync_sessions_file(database, settings, NOW) == SessionChanges(created=1, updated=0, unchanged=0)
    assert sync_sessions_file(database, settings, NOW) is None
    assert stored(database) == {"race": (5,)}


def test_a_changed_file_adds_and_changes_but_never_removes(database: Database, settings: Settings) -> None:
    """A session that leaves the file stays stored."""
    settings.sessions_file.write_text(RACE, encoding="utf-8")
    sync_sessions_file(database, settings, NOW)
    settings.sessions_file.write_text(SPRINT, encoding="utf-8")
    assert sync_sessions_file(database, settings, NOW) == SessionChanges(created=1, updated=0, unchanged=0)
    assert set(stored(database)) == {"race", "sprint"}


def test_another_default_channel_changes_the_sessions_that_name_none(
    database: Database, settings: Settings
) -> None:
    """The default channel is part of what the file says."""
    settings.sessions_file.write_text(RACE + SPRINT, encoding="utf-8")
    sync_sessions_file(database, settings, NOW)
    other = settings.model_copy(update={"default_channel_id": 6})
    assert sync_sessions_file(database, other, NOW) == SessionChanges(created=0, updated=1, unchanged=1)
    assert stored(database) == {"race": (6,), "sprint": (11,)}


def test_a_wrong_file_changes_nothing_until_it_is_fixed(database: Database, settings: Settings) -> None:
    """Every call says what is wrong, and the fixed file counts at once."""
    settings.sessions_file.write_text(RACE + "- {id: sprint}\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(SessionInvalid, match="line 2, session 'sprint'"):
            sync_sessions_file(database, settings, NOW)
        assert stored(database) == {}
    settings.sessions_file.write_text(RACE + SPRINT, encoding="utf-8")
    changes = sync_sessions_file(database, settings, NOW)
    assert changes is not None
    assert changes.created == 2
