"""Channels and sessions that a project declares in its own files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest_pipeline.domain.channel_settings import Value
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.storage.catalogue.guilds import find_channel, save_channels
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.sessions import SessionChanges, list_sessions
from ingest_pipeline.userconfig.declared_channels import Declaration, read_declaration, store_declaration
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import SettingsFile

GUILD, RADIO, CLIPS = 690_000_000_000_000_001, 1_100_000_000_000_000_042, 1_100_000_000_000_000_043
NOW = datetime(2026, 9, 6, 12, tzinfo=UTC)
FILE = SettingsFile(channels={RADIO: {"driver_from": "embed_title"}})
RACE = {
    "id": "monza",
    "start": datetime(2026, 9, 6, 13, tzinfo=UTC),
    "end": "2026-09-06T15:00:00Z",
    "year": 2026,
}


def declared(*sessions: dict[str, Any], **settings: Any) -> Declaration:
    """Return a declaration of two channels, the first with settings."""
    channels: list[dict[str, Any]] = [
        {"id": RADIO, "name": "team-radio", "settings": settings},
        {"id": str(CLIPS), "name": None},
    ]
    return read_declaration("radio", GUILD, channels, list(sessions))


def store(database: Database, declaration: Declaration) -> SessionChanges | None:
    """Store a declaration."""
    return store_declaration(database, FILE, declaration, NOW)


def in_effect(database: Database, key: str) -> Value:
    """Return the value of a setting of the first channel."""
    with database.read() as connection:
        return effective_settings(connection, FILE, [RADIO])[RADIO].find(key).value


def test_what_is_declared_is_stored_once(database: Database) -> None:
    """Sessions, of the first channel if they name none, and channels with their settings; without a bot."""
    declaration = declared(RACE, {**RACE, "id": "clips", "channels": [CLIPS]}, keep_media_only=True)
    assert store(database, declaration) == SessionChanges(created=2, updated=0, unchanged=0)
    assert store(database, declaration) is None
    with database.read() as connection:
        sessions = {each.session_id: each for each in list_sessions(connection)}
        assert find_channel(connection, RADIO).name == "team-radio"
        assert find_channel(connection, CLIPS).guild_id == GUILD
    assert sessions["monza"].channel_ids == (RADIO,)
    assert sessions["monza"].start_time == RACE["start"]
    assert sessions["clips"].channel_ids == (CLIPS,)
    assert in_effect(database, "keep_media_only") is True
    assert in_effect(database, "driver_from") == "embed_title"


def test_a_change_replaces_what_was_declared(database: Database) -> None:
    """A setting that has left is unset; one that was set by command stays; a session stays."""
    store(database, declared(RACE, keep_media_only=True, highlights={"threshold": 0.7}))
    moved = {**RACE, "end": "2026-09-06T16:00:00Z"}
    changes = store(database, declared(moved, highlights={"threshold": 0.8}))
    assert changes is not None
    assert (changes.created, changes.updated) == (0, 1)
    assert in_effect(database, "keep_media_only") is False
    assert in_effect(database, "highlights.threshold") == 0.8
    store(database, declared())
    assert in_effect(database, "highlights.threshold") == 0.5
    with database.read() as connection:
        assert [each.session_id for each in list_sessions(connection)] == ["monza"]


def test_a_channel_that_is_known_keeps_what_discord_has_of_it(database: Database) -> None:
    """Its name and type are the bot's to know."""
    known = Channel(RADIO, GUILD, "radio-renamed", "news")
    database.run(lambda connection: save_channels(connection, [known], now=NOW))
    store(database, declared(RACE))
    with database.read() as connection:
        assert replace(find_channel(connection, RADIO)) == known


def test_two_declarations_do_not_meet(database: Database) -> None:
    """Each has a name of its own, by which it is known to be stored."""
    store(database, declared(RACE))
    other = read_declaration("clips", GUILD, [{"id": CLIPS}], [{**RACE, "id": "spa"}])
    assert store(database, other) == SessionChanges(created=1, updated=0, unchanged=0)
    assert store(database, declared(RACE)) is None


@pytest.mark.parametrize(
    ("session", "settings", "text"),
    [
        ({**RACE, "end": "noon"}, {}, "radio, session 1, session 'monza': end_time"),
        ({"id": "monza"}, {}, "start_time is missing"),
        (RACE, {"keep_media": True}, "radio: unknown"),
        (RACE, {"highlights": {"threshold": "high"}}, "highlights.threshold of channel"),
    ],
)
def test_a_mistake_is_named_with_its_place(session: dict[str, Any], settings: Any, text: str) -> None:
    """The declaration, the session or the channel, and what is wrong."""
    with pytest.raises((BadInput, SessionInvalid)) as mistake:
        declared(session, **settings)
    assert text in str(mistake.value)
