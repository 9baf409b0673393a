"""The schema and the SQL files: migrations, what both engines must have in common, status."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ingest_pipeline.domain.messages.message import MESSAGE_TYPES
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine import migrations
from ingest_pipeline.storage.engine.columns import repeated
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.migrations import DatabaseStatus, database_status, list_tables
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.engine.queries import (
    Query,
    load_queries,
    parse_queries,
    pyformat,
    quoted,
    sql_folder,
)
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.schema import MERGED_SCHEMA
from ingest_pipeline_tests.contract.conftest import ENGINES
from ingest_pipeline_tests.contract.readings import Reading, at, staged, stored_messages, stored_revisions

SAME_TYPES = {"varchar": "text", "double precision": "double", "decimal": "numeric", "blob": "bytea"}


def names(engine: str) -> list[str]:
    """Return the names of an engine's migrations."""
    return [migration.name for migration in migrations.load_migrations(engine)]


def same_type(kind: str) -> str:
    """Return one name for a type that the engines call differently."""
    for one, other in SAME_TYPES.items():
        kind = kind.replace(one, other)
    return kind


def test_the_first_use_migrates_and_the_next_does_not(database: Database) -> None:
    """Nobody has to remember to migrate."""
    with database.read() as connection:
        assert migrations.pending(connection) == []
        assert [f"{number:04}" for number in sorted(migrations.applied_versions(connection))] == [
            name[:4] for name in names(database.engine)
        ]
    assert database.migrate() == []


def test_migrating_returns_what_it_applied(database: Database) -> None:
    """By name, in order."""
    assert database.migrate() == names(database.engine)


def test_a_database_of_a_newer_version_is_refused(settings: Settings) -> None:
    """An old program must not write what it does not understand."""
    database = open_database(settings)
    database.run(lambda c: c.execute("record_migration", version=9999, name="9999_future", applied_at=at(0)))
    database.close()
    older = open_database(settings)
    with pytest.raises(ConfigurationError, match="update the program"), older.read():
        pass
    older.close()


def test_types_stored_by_their_number_get_their_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In rows and revisions; the digest stays, so that a message read again is unchanged."""
    database, everything = open_database(settings), migrations.load_migrations
    monkeypatch.setattr(migrations, "load_migrations", lambda engine: everything(engine)[:8])
    numbers = ["Default", "999", *map(str, MESSAGE_TYPES)]
    rows = pa.Table.from_pylist(
        [
            Reading(discord_id=each).row() | {"message_type": number}
            for each, number in enumerate(numbers, start=1)
        ],
        MERGED_SCHEMA,
    ).drop_columns(["parts", "forwarded", "author_roles", "inline_emojis", "normalizer_version"])
    moment = repeated(at(0), pa.timestamp("us", "UTC"), len(rows))

    def fill(connection: Connection) -> None:
        messages = rows
        for name in ("first_observed_at", "created_at", "updated_at"):
            messages = messages.append_column(name, moment)
        connection.load("messages", messages)
        connection.load(
            "message_revisions", rows.drop_columns(["channel_id"]).append_column("recorded_at", moment)
        )

    database.run(fill)
    monkeypatch.setattr(migrations, "load_migrations", lambda engine: everything(engine)[:9])
    assert database.migrate() == ["0009_skipped_messages"]
    expected = ["Default", "999", *MESSAGE_TYPES.values()]
    with database.read() as connection:
        found = stored_messages(connection)
        assert [row["message_type"] for row in found] == expected
        assert {row["content_digest"] for row in found} == {100}
        assert [row["message_type"] for row in stored_revisions(connection)] == expected
    database.close()


def test_migrations_without_a_number_between_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files with one number, or a number left out, are a slip of whoever wrote them."""
    monkeypatch.setattr(migrations, "sql_folder", lambda part: tmp_path / part)
    folder = tmp_path / "shared" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_initial.sql").write_text("SELECT 1")
    (folder / "notes.txt").write_text("not a migration")
    assert [each.name for each in migrations.load_migrations.__wrapped__("duckdb")] == ["0001_initial"]
    (folder / "0003_later.sql").write_text("SELECT 3")
    with pytest.raises(ValueError, match="not numbered"):
        migrations.load_migrations.__wrapped__("duckdb")


def test_both_engines_have_the_same_migrations() -> None:
    """In name and order."""
    assert names("duckdb") == names("postgres")


def test_both_engines_have_the_same_queries() -> None:
    """What stands in an engine's own folder has its like in the other's.

    Apart from what only the engine's own code calls, the search index, which has another form on each, and
    roles and Dagster's own tables, which PostgreSQL alone has.
    """
    of_one_engine = {"engine.sql", "search.sql", "reader_role.sql", "dagster_log.sql"}

    def own(engine: str) -> set[str]:
        return {
            query.name
            for entry in sql_folder(engine).iterdir()
            if entry.name.endswith(".sql") and entry.name not in of_one_engine
            for query in parse_queries(entry.read_text(encoding="utf-8"))
        }

    assert own("duckdb") == own("postgres")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_has_a_name_and_a_description(engine: str) -> None:
    """A statement without a header would become part of the one before it."""
    for part in ("shared", engine):
        for entry in sql_folder(part).iterdir():
            if not entry.name.endswith(".sql"):
                continue
            source = entry.read_text(encoding="utf-8")
            queries = list(parse_queries(source))
            assert len(queries) == len(re.findall(r"^-- name:", source, re.MULTILINE)), entry.name
            assert source.startswith("-- name:"), entry.name
            for query in queries:
                assert query.description.endswith("."), query.name
                assert ";" not in query.text, query.name
    assert load_queries(engine)


def test_both_engines_have_the_same_tables(make_database: Callable[[str], Database]) -> None:
    """Columns in the same order, of the same types, with the same keys."""
    shapes = []
    for engine in ENGINES:
        with make_database(engine).read() as connection:
            shapes.append(
                {
                    table.name: (
                        {name: same_type(kind.lower()) for name, kind in table.columns.items()},
                        table.key,
                    )
                    for table in list_tables(connection)
                    # The search index of DuckDB is a file beside the database.
                    if table.name != "searchable_messages"
                }
            )
    assert shapes[0] == shapes[1]
    assert all(key for _, key in shapes[0].values())


def test_the_table_has_every_merged_column(database: Database) -> None:
    """And says when it came to have them."""
    with database.read() as connection:
        [messages] = [table for table in list_tables(connection) if table.name == "messages"]
    added = {"session_id", "first_observed_at", "deleted_at", "created_at", "updated_at"}
    assert messages.columns.keys() == {*MERGED_SCHEMA.names, *added}
    assert messages.key == ["discord_id"]


def test_the_status_of_nothing_is_that_all_is_pending(database: Database, settings: Settings) -> None:
    """Looking makes no file and no table."""
    status = database_status(database)
    assert status.engine == database.engine
    assert status.schema_version == 0
    assert list(status.pending) == names(database.engine)
    assert status.rows == {}
    assert not settings.database_path.exists()


def test_the_status_shows_versions_rows_and_size(database: Database) -> None:
    """After the first use."""
    database.run(lambda c: merge_messages(c, staged([Reading(), Reading(discord_id=2)]), now=at(0)))
    status = database_status(database)
    assert isinstance(status, DatabaseStatus)
    assert status.server_version
    assert status.schema_version == len(names(database.engine))
    assert status.pending == ()
    assert (status.rows["messages"], status.rows["sessions"]) == (2, 0)
    assert status.size_bytes > 0


def test_parameters_that_do_not_fit_are_refused(database: Database) -> None:
    """On both engines alike, before anything runs."""
    with database.read() as connection:
        with pytest.raises(ValueError, match="get_state takes"):
            connection.fetch_one("get_state")
        with pytest.raises(ValueError, match="get_state takes"):
            connection.fetch_one("get_state", key="a", other=1)
        with pytest.raises(ValueError, match="count_rows has the places"):
            connection.fetch_one("count_rows")
        with pytest.raises(ValueError, match="get_state has the places"):
            connection.fetch_one("get_state", {"table": "state"}, key="a")


def test_a_statement_is_translated_for_psycopg() -> None:
    """Parameters change their form, per cent signs are doubled, casts stay."""
    query = Query("q", "A query.", "SELECT $a::TEXT LIKE '%x', {column}")
    assert pyformat(query.statement({"column": quoted('we"ird')}, {"a": 1})) == (
        'SELECT %(a)s::TEXT LIKE \'%%x\', "we""ird"'
    )


def test_two_queries_of_one_name_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query must not hide another."""
    doubled = [Query("same", "One.", "SELECT 1"), Query("same", "Two.", "SELECT 2")]
    monkeypatch.setattr("ingest_pipeline.storage.engine.queries._parse_folder", lambda _: iter(doubled))
    with pytest.raises(ValueError, match="called same"):
        load_queries.__wrapped__("duckdb")
