"""The pages about the tables say what the tables are, and their queries run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline.storage.engine.postgres.reader import grant_reading
from ingest_pipeline.storage.messages.sessions import remove_session, save_sessions
from ingest_pipeline_tests.contract.content_messages import SESSION, merge, posted
from ingest_pipeline_tests.contract.readings import START
from ingest_pipeline_tests.data_dictionary import FOLDER, PAGE, dictionary

_EXAMPLE = re.compile(r"^```sql *(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_is_what_the_schemas_are(postgres_url: str) -> None:
    """Made anew by `python -m ingest_pipeline_tests.data_dictionary`."""
    assert dictionary(postgres_url) == PAGE.read_text(encoding="utf-8")


def test_each_example_runs(database: Database) -> None:
    """On the engine that it is for."""
    with database.write() as connection:
        save_sessions(connection, [SESSION], now=START)
        merge(connection, posted(1, "`Leclerc` box"))
    examples = _EXAMPLE.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    assert len(examples) > 8
    for engine, text in examples:
        if engine in {"", database.engine}:
            with database.write() as connection:
                connection.run_script(text)


@pytest.fixture
def postgres(settings: Settings, database: Database) -> PostgresDatabase:
    """A migrated schema on the server."""
    if not isinstance(database, PostgresDatabase):
        pytest.skip("of PostgreSQL alone")
    database.migrate()
    return database


@pytest.fixture
def reader(settings: Settings, postgres: PostgresDatabase) -> Iterator[tuple[str, str]]:
    """A reader's name and URL."""
    assert settings.database_url
    url, name = settings.database_url.get_secret_value(), f"reader-{uuid4().hex[:8]}"
    assert grant_reading(postgres, name)
    assert not grant_reading(postgres, name)
    yield name, make_conninfo(url, user=name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP OWNED BY "{name}"')
        connection.execute(f'DROP ROLE "{name}"')


def test_a_reader_reads_what_is_there_and_what_comes(
    settings: Settings, postgres: PostgresDatabase, reader: tuple[str, str]
) -> None:
    """Tables and views, later ones too; nothing is changed, and no key is seen."""
    assert settings.database_url
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as owner:
        owner.execute("CREATE TABLE of_a_new_kind (discord_id BIGINT PRIMARY KEY)")
        user = owner.execute("SELECT current_user").fetchone()
    with psycopg.connect(reader[1], autocommit=True) as connection:
        for statement in ("TABLE messages", "TABLE live_messages", "TABLE of_a_new_kind"):
            assert connection.execute(statement).fetchall() == []
        with pytest.raises(pg.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM messages")
        connection.execute("SET default_transaction_read_only = off")
        for statement in ("DELETE FROM messages", "CREATE TABLE mine (n INT)", "SELECT * FROM erasure_keys"):
            with pytest.raises(pg.InsufficientPrivilege):
                connection.execute(statement)
    assert user
    with pytest.raises(ConfigurationError, match="name another role"):
        grant_reading(postgres, user[0])


def test_a_session_that_goes_leaves_its_messages(database: Database) -> None:
    """Without a session: by the program on both engines."""
    with database.write() as connection:
        save_sessions(connection, [SESSION], now=START)
        [message] = merge(connection, posted(1))
        remove_session(connection, SESSION.session_id, now=START)
    assert _message(database, message)["session_id"] is None


def test_what_others_write_is_kept_consistent_by_the_server(
    settings: Settings, postgres: PostgresDatabase
) -> None:
    """A session that is deleted by hand leaves its messages, and a change by hand has its time."""
    assert settings.database_url
    with postgres.write() as connection:
        save_sessions(connection, [SESSION], now=START)
        [message] = merge(connection, posted(1))
    assert _message(postgres, message)["session_id"] == SESSION.session_id
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as other:
        other.execute("DELETE FROM sessions")
        other.execute("UPDATE messages SET observed_at = now()")
        before = _message(postgres, message)
        other.execute("UPDATE messages SET raw_content = 'by hand'")
    after = _message(postgres, message)
    assert before["session_id"] is None
    assert before["updated_at"] < START + timedelta(days=1) < after["updated_at"]


def _message(database: Database, discord_id: int) -> dict[str, Any]:
    with database.read() as connection:
        [row] = connection.fetch_all("changed_messages", discord_ids=[discord_id])
    return row
