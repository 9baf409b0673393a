"""Other people's PostgreSQL: roles, databases, schemas and poolers that were not set up for this project."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import duckdb
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from ingest_pipeline.errors import ConfigurationError, DatabaseUnavailable
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline.storage.transfer.copy import copy_database
from ingest_pipeline_tests.contract.engine.test_transfer import fill
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages

Make = Callable[..., PostgresDatabase]

# What a role, a database or a server may set for all its sessions.
ODD_SETTINGS = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "America/St_Johns",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "statement_timeout": "100ms",
    "idle_in_transaction_session_timeout": "100ms",
    "lock_timeout": "1ms",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "quote_all_identifiers": "on",
    "client_encoding": "LATIN1",
    "client_min_messages": "debug1",
    "work_mem": "64kB",
    "row_security": "on",
}
FOREIGN = {
    "tables": "CREATE TABLE users (id int, x text); CREATE TABLE messages (id int, x text)",
    "a view": "CREATE VIEW live_messages AS SELECT 1 AS one",
    "another history of migrations": "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
}


@pytest.fixture
def make(postgres_url: str) -> Iterator[Make]:
    """Make a database of its own on the server, prepared by some SQL."""
    made: list[tuple[str, PostgresDatabase]] = []

    def make(*scripts: str, encoding: str = "UTF8", options: str = "", **settings: str) -> PostgresDatabase:
        name = f"others_{uuid4().hex}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            create = "CREATE DATABASE {} ENCODING {} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
            connection.execute(sql.SQL(create).format(sql.Identifier(name), encoding))
            for setting, value in settings.items():
                alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
                connection.execute(alter.format(sql.Identifier(name), sql.Identifier(setting), value))
        url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        if options:
            url += f"{'&' if '?' in url else '?'}options={quote(options)}"
        database = PostgresDatabase(SecretStr(url), 10)
        made.append((name, database))
        for script in scripts:
            execute(database, script)
        return database

    yield make
    for name, database in made:
        database.close()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


def execute(database: PostgresDatabase, script: str) -> list[Any]:
    """Run SQL as somebody else would, in a session of its own."""
    with psycopg.connect(database._url.get_secret_value(), autocommit=True) as connection:
        cursor = connection.execute(script.encode())
        return cursor.fetchall() if cursor.description else []


def merge(connection: Connection, *ids: int) -> MergeCounts:
    """Merge a reading of each id."""
    return merge_messages(
        connection, staged(Reading(discord_id=each, posted=0) for each in ids), now=at(1000)
    )


@pytest.mark.slow
def test_settings_of_a_role_or_database_change_nothing(
    make: Make, make_database: Callable[[str], Database]
) -> None:
    """All that went in comes out again, by text and binary COPY, and from a table to Arrow."""
    usual, back, odd = make_database("duckdb"), make_database("duckdb"), make(**ODD_SETTINGS)
    usual.run(fill)
    there = {table.name: table.digest for table in copy_database(usual, odd).tables}
    again = {table.name: table.digest for table in copy_database(odd, back).tables}
    assert there == again
    with usual.read() as connection, odd.read() as other:
        assert stored_messages(connection) == stored_messages(other)


def test_a_time_limit_of_the_role_does_not_end_a_long_transaction(make: Make) -> None:
    """Neither for a statement nor between two; it stays as it is for everybody else."""
    database = make(
        statement_timeout="100ms", idle_in_transaction_session_timeout="100ms", lock_timeout="50ms"
    )
    database.migrate()
    waiting = threading.Event()

    def work(connection: Any) -> MergeCounts:
        merge(connection, 1)
        waiting.set()
        connection._raw.execute("SELECT pg_sleep(0.3)")
        threading.Event().wait(0.3)
        return merge(connection, 2)

    holding = threading.Thread(target=database.run, args=[work])
    holding.start()
    waiting.wait(timeout=60)
    assert database.run(lambda c: merge(c, 1, 2)) == MergeCounts(unchanged=2)
    holding.join(timeout=60)
    assert execute(database, "SHOW statement_timeout") == [("100ms",)]


def test_nothing_stays_behind_in_a_session(make: Make) -> None:
    """A pooler gives the server's session to somebody else after each transaction."""
    database = make(**{name: value for name, value in ODD_SETTINGS.items() if name != "client_encoding"})
    # Not the two that the client names when it connects, and those that are there once a trigger has run.
    asked = """SELECT name, setting FROM pg_settings
        WHERE name NOT IN ('application_name', 'client_encoding') AND name NOT LIKE 'plpgsql.%'
        ORDER BY name"""
    with database.write() as connection:
        merge(connection, 1)
    with database.read() as connection:
        stored_messages(connection)
    with database._open_pool().connection() as raw:
        found = raw.execute(asked.encode()).fetchall()
        temporary = raw.execute(b"SELECT relname FROM pg_class WHERE relpersistence = 't'").fetchall()
    assert found == execute(database, asked)
    assert temporary == []


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_tables_of_another_application_are_left_alone(make: Make, script: str) -> None:
    """What is theirs is named, nothing of this project is made beside it, and a schema of its own works."""
    database = make(script)
    before = execute(database, "SELECT relname FROM pg_class ORDER BY relname")
    with pytest.raises(ConfigurationError, match=r"another application.*CREATE SCHEMA ingest"):
        database.migrate()
    assert execute(database, "SELECT relname FROM pg_class ORDER BY relname") == before
    execute(database, "CREATE SCHEMA ingest")
    url = database._url.get_secret_value()
    remedy = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dingest"
    own = PostgresDatabase(SecretStr(remedy), 10)
    assert own.run(lambda c: merge(c, 1)) == MergeCounts(created=1)
    own.close()


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_a_duckdb_file_of_another_application_is_left_alone(
    make_settings: Callable[[str], Settings], script: str
) -> None:
    """As on PostgreSQL."""
    settings = make_settings("duckdb")
    settings.data_dir.mkdir(parents=True)
    with duckdb.connect(settings.database_path) as connection:
        connection.execute(script)
        before = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    with pytest.raises(ConfigurationError, match="another application"):
        open_database(settings).migrate()
    with duckdb.connect(settings.database_path) as connection:
        assert connection.execute("SELECT table_name FROM information_schema.tables").fetchall() == before


def test_a_user_without_rights_is_not_shown_another_application(make: Make) -> None:
    """The tables are ours; what is missing is a grant."""
    database = make()
    database.migrate()
    url = database._url.get_secret_value()
    other = PostgresDatabase(SecretStr(f"{url}{'&' if '?' in url else '?'}options=-crole%3Dpg_monitor"), 10)
    with pytest.raises(ConfigurationError, match="grant it the rights"):
        other.migrate()
    other.close()


def test_tables_of_ones_own_stay_beside_ours(make: Make) -> None:
    """Only names that collide are in the way."""
    database = make("CREATE TABLE notes (id int)")
    assert database.run(lambda c: merge(c, 1)) == MergeCounts(created=1)


def test_a_copy_goes_beside_other_tables_and_leaves_them_out(
    make: Make, make_database: Callable[[str], Database]
) -> None:
    """Dagster's, or a user's own that refers to ours, on either side."""
    others = """CREATE TABLE event_logs (id bigint PRIMARY KEY);
        CREATE TABLE notes (discord_id bigint REFERENCES messages, text text);
        INSERT INTO notes SELECT discord_id, 'mine' FROM messages"""
    source, target = make(), make()
    source.run(fill)
    target.migrate()
    for database in (source, target):
        execute(database, others)
    report = copy_database(source, target)
    assert report.left_out == ("event_logs", "notes")
    assert execute(target, "SELECT count(*) FROM notes") == [(0,)]
    with source.read() as connection, target.read() as other:
        assert stored_messages(connection) == stored_messages(other)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_all_characters_is_refused_at_first_use(
    make: Make, encoding: str
) -> None:
    """Rather than at the first emoji."""
    database = make(encoding=encoding)
    with (
        pytest.raises(ConfigurationError, match=f"{encoding}.*ENCODING 'UTF8' TEMPLATE template0"),
        database.read(),
    ):
        pass


def test_a_search_path_without_a_schema_is_refused(make: Make) -> None:
    """With the way to one that has."""
    database = make(search_path="elsewhere")
    with pytest.raises(ConfigurationError, match=r"elsewhere.*search_path"), database.write():
        pass


def test_a_schema_with_capitals_in_its_name_is_used(
    make: Make, make_database: Callable[[str], Database]
) -> None:
    """Its tables are found in the catalogue."""
    database = make('CREATE SCHEMA "Discord data"', options='-csearch_path="Discord\\ data"')
    usual = make_database("duckdb")
    usual.run(fill)
    assert copy_database(usual, database).rows > 0
    with database.read() as connection:
        assert [row["schema_name"] for row in connection.fetch_all("describe_server")] == ["Discord data"]


def test_a_row_that_a_policy_would_hide_is_an_error(make: Make) -> None:
    """A table that shows a part of its rows would be taken for the whole."""
    database = make()
    database.run(lambda c: merge(c, 1))
    execute(database, "ALTER TABLE messages ENABLE ROW LEVEL SECURITY")
    with database.read() as connection:
        assert len(stored_messages(connection)) == 1
    role = f"reader_{uuid4().hex}"
    execute(database, f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    url = database._url.get_secret_value()
    reader = PostgresDatabase(SecretStr(f"{url}{'&' if '?' in url else '?'}options=-crole%3D{role}"), 10)
    with pytest.raises(ConfigurationError, match="row-level security"), reader.read() as connection:
        stored_messages(connection)
    reader.close()
    execute(database, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_statement_that_somebody_cancels_is_reported_as_that(make: Make) -> None:
    """The server's disk has nothing to do with it."""
    database = make()
    database.migrate()

    def work(connection: Any) -> None:
        cancel = f"SELECT pg_cancel_backend({connection._raw.info.backend_pid})"
        threading.Timer(0.3, execute, [database, cancel]).start()
        connection._raw.execute("SELECT pg_sleep(30)")

    with pytest.raises(DatabaseUnavailable, match=r"cancel.*user request"):
        database.run(work)
