"""A database that an older version made: migrating it loses nothing and corrects what that version got wrong.

The files in `fixtures/upgrade` hold one database of schema version 7, for each engine: a sealed session that
was moved by three hours afterwards (schema 7 left the 24 messages of its old time with it), two sessions that
were imported from exports, and one with setups, a clip and a line of radio.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.queries import MessageFilter, count_by_session, search_messages
from ingest_pipeline_tests.contract.conftest import ENGINES
from ingest_pipeline_tests.contract.readings import stored_messages, stored_revisions

EXPORTS = Path(__file__).resolve().parents[2] / "fixtures" / "exports"
FIXTURES = EXPORTS.parent / "upgrade"
KEPT = "discord_id, guild_id, channel_id, raw_content, author_name, source, correlation_id, reaction_count"
MEMBERS = {"chat-2023": 32, "friday": 3, "race": 24, "windows": 3}


@pytest.fixture(params=ENGINES)
def old_settings(request: pytest.FixtureRequest, make_settings: Callable[[str], Settings]) -> Settings:
    """The settings of a database of schema version 7."""
    settings = make_settings(request.param)
    if settings.database_url is None:
        settings.data_dir.mkdir(mode=0o700)
        settings.database_path.write_bytes(lzma.decompress((FIXTURES / "schema-7.duckdb.xz").read_bytes()))
    else:
        script = lzma.decompress((FIXTURES / "schema-7.sql.xz").read_bytes())
        with psycopg.connect(settings.database_url.get_secret_value()) as connection:
            connection.execute(script)
    return settings


@pytest.fixture
def rows_before(old_settings: Settings) -> list[tuple[Any, ...]]:
    """What its table of messages holds, read without the project."""
    statement = f"SELECT {KEPT} FROM messages ORDER BY discord_id"  # noqa: S608 - a constant
    if old_settings.database_url is None:
        with duckdb.connect(str(old_settings.database_path), read_only=True) as file:
            return file.execute(statement).fetchall()
    with psycopg.connect(old_settings.database_url.get_secret_value()) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def migrated(old_settings: Settings, rows_before: list[tuple[Any, ...]]) -> Iterator[Database]:
    """The same database, opened and so migrated by this version."""
    assert len(rows_before) > sum(MEMBERS.values())
    opened = open_database(old_settings)
    opened.run(lambda _: None)
    yield opened
    opened.close()


def test_every_message_of_an_old_database_is_kept(
    rows_before: list[tuple[Any, ...]], migrated: Database
) -> None:
    """What the old version stored stands in the new table, field by field."""
    with migrated.read() as connection:
        stored = search_messages(connection, MessageFilter(), limit=1_000)
    columns = KEPT.split(", ")
    assert sorted(tuple(row[name] for name in columns) for row in stored) == rows_before


def test_messages_that_an_old_database_gave_to_the_wrong_session_belong_to_none(migrated: Database) -> None:
    """The session was moved under schema 7; migrating takes its old messages from it."""
    with migrated.read() as connection:
        assert count_by_session(connection) == MEMBERS


def test_importing_the_same_export_into_an_old_database_gives_its_rows_the_words_of_today(
    old_settings: Settings, migrated: Database
) -> None:
    """Digests of schema 7 are those of today: no message is taken for an edited one; a second time rests."""
    services = build_services(old_settings)
    with migrated.read() as connection:
        revisions = [row["content_digest"] for row in stored_revisions(connection)]
    report = import_messages(services, "chat-2023", file=EXPORTS / "general-2023.json")
    assert (report.created, report.stale) == (0, 0)
    assert report.updated + report.unchanged == MEMBERS["chat-2023"]
    with migrated.read() as connection:
        rows = [row for row in stored_messages(connection) if row["session_id"] == "chat-2023"]
        assert [row["content_digest"] for row in stored_revisions(connection)] == revisions
    texts = [row for row in rows if row["parts"] != "[]" and "embed[" in row["parts"]]
    assert report.updated >= len(texts) > 0
    assert all(row["message_text"] != row["raw_content"] for row in texts)
    again = import_messages(services, "chat-2023", file=EXPORTS / "general-2023.json")
    assert again.unchanged == MEMBERS["chat-2023"]
