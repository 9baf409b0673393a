"""Copying a whole database to another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import ConfigurationError, CopyDiffers
from ingest_pipeline.storage.catalogue.guilds import save_channels, set_monitor_patterns
from ingest_pipeline.storage.engine import migrations
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.migrations import list_tables, own_tables
from ingest_pipeline.storage.messages.coverage import Proof, record_proof
from ingest_pipeline.storage.messages.deletions import tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import list_sessions, save_sessions
from ingest_pipeline.storage.runs.state import get_state, set_state
from ingest_pipeline.storage.search.vectors import VectorSpace, keep_vectors
from ingest_pipeline.storage.transfer.copy import copy_database, table_digest
from ingest_pipeline_tests.contract.readings import (
    CHANNEL,
    Reading,
    at,
    staged,
    stored_messages,
    stored_revisions,
    stored_row,
    tombstone,
)

WAYS = [("duckdb", "postgres"), ("postgres", "duckdb"), ("duckdb", "duckdb"), ("postgres", "postgres")]
ROWS = 25


class _Interrupted(Exception):
    """Raised in the middle of a copy."""


@pytest.fixture(params=WAYS[:2], ids=" to ".join)
def pair(
    request: pytest.FixtureRequest, make_database: Callable[[str], Database]
) -> tuple[Database, Database]:
    """A database with something in every table of this part, and an empty one."""
    source, target = (make_database(engine) for engine in request.param)
    source.run(fill)
    return source, target


def fill(connection: Connection) -> None:
    """Put something into every table of this part."""
    sessions = [Session("monza", at(0), at(3600.5), (CHANNEL, 7), event_name="Gran Premio\t'd\\Italia'")]
    save_sessions(connection, sessions, now=at(0.000001))
    readings = [Reading(discord_id=each) for each in range(1, ROWS + 1)]
    edits = [Reading(discord_id=each, digest=101, observed=3, edited=2) for each in range(5, 12)]
    merge_messages(connection, staged([*readings, *edits]), now=at(1))
    tombstone_messages(connection, [tombstone(3, 4), tombstone(99, 4)])
    record_proof(connection, Proof(CHANNEL, 0, 2**62, "export", at(3), "c1"))
    save_channels(connection, [Channel(CHANNEL, 7, "team-radio")], now=at(0))
    set_monitor_patterns(connection, 7, ["*radio*"], now=at(0))
    vectors = np.array([[0.6, -0.8], [1, 0]])
    texts = [{"discord_id": each, "text_digest": "d"} for each in (1, 2)]
    keep_vectors(connection, VectorSpace("m", 2), texts, vectors, now=at(3))
    set_state(connection, "digest", "tab\tback\\slash\nline \\N")
    set_state(connection, "empty", "")


def digests(database: Database) -> dict[str, tuple[int, str]]:
    """Return rows and digest of every table that is copied."""
    with database.read() as connection:
        return {
            table.name: (found.rows, found.digest)
            for table in list_tables(connection)
            if table.name not in {"schema_migrations", "copy_progress", "change_feeds", "searchable_messages"}
            for found in [table_digest(connection, table)]
        }


@pytest.mark.slow
def test_everything_is_copied(pair: tuple[Database, Database]) -> None:
    """Every table, every field, in any direction; the report counts them."""
    source, target = pair
    seen: list[tuple[str, int]] = []
    report = copy_database(source, target, lambda table, rows: seen.append((table, rows)), page_rows=10)
    with source.read() as here, target.read() as there:
        assert stored_messages(there) == stored_messages(here)
        assert stored_revisions(there) == stored_revisions(here)
        assert stored_row(there, 7) == stored_row(here, 7)
        assert list_sessions(there) == list_sessions(here)
        assert get_state(there, "digest") == "tab\tback\\slash\nline \\N"
        assert get_state(there, "empty") == ""
        assert there.fetch_all("list_copy_progress") == []
    assert digests(target) == digests(source)
    assert {table.name: (table.rows, table.digest) for table in report.tables} == digests(source)
    assert {table.name: table.rows for table in report.tables}["messages"] == ROWS
    assert report.rows == sum(table.rows for table in report.tables)
    assert [rows for table, rows in seen if table == "messages"] == [10, 20, 25]


@pytest.mark.slow
def test_an_interrupted_copy_goes_on_where_it_stopped(pair: tuple[Database, Database]) -> None:
    """Pages that arrived are not copied again."""
    source, target = pair

    def interrupt(table: str, rows: int) -> None:
        if (table, rows) == ("messages", 20):
            raise _Interrupted

    with pytest.raises(_Interrupted):
        copy_database(source, target, interrupt, page_rows=10)
    seen: list[tuple[str, int]] = []
    report = copy_database(source, target, lambda table, rows: seen.append((table, rows)), page_rows=10)
    assert [rows for table, rows in seen if table == "messages"] == [25]
    assert {table.name: table.resumed_from for table in report.tables}["messages"] == 20
    assert digests(target) == digests(source)


@pytest.mark.slow
def test_a_source_that_changed_in_between_is_copied_again(pair: tuple[Database, Database]) -> None:
    """The digest shows it, whatever the position says."""
    source, target = pair

    def interrupt(table: str, rows: int) -> None:
        if (table, rows) == ("messages", 20):
            raise _Interrupted

    with pytest.raises(_Interrupted):
        copy_database(source, target, interrupt, page_rows=10)
    late = Reading(discord_id=1, digest=500, observed=60)
    source.run(lambda c: merge_messages(c, staged([late]), now=at(60)))
    report = copy_database(source, target, page_rows=10)
    assert {table.name: table.resumed_from for table in report.tables}["messages"] == 0
    assert digests(target) == digests(source)


class _Doubtful:
    """A database that commits and then seems not to have, so that all work is done twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def run(self, work: Callable[[Connection], Any]) -> Any:
        """Do the work twice."""
        self._database.run(work)
        return self._database.run(work)


@pytest.mark.slow
def test_a_page_whose_commit_was_in_doubt_is_not_doubled(pair: tuple[Database, Database]) -> None:
    """A connection lost while committing leaves it open whether the page is there."""
    source, target = pair
    copy_database(source, _Doubtful(target), page_rows=10)
    assert digests(target) == digests(source)


@pytest.mark.slow
def test_a_target_with_rows_of_its_own_is_refused(pair: tuple[Database, Database]) -> None:
    """Nothing of it is touched; a finished copy counts as such."""
    source, target = pair
    copy_database(source, target)
    with pytest.raises(ConfigurationError, match=r"rows already in .*messages.*empty database"):
        copy_database(source, target)


@pytest.mark.slow
def test_facts_about_an_empty_target_do_not_stand_in_the_way(pair: tuple[Database, Database]) -> None:
    """They are replaced by the source's."""
    source, target = pair
    target.run(lambda c: set_state(c, "looked_at", "before"))
    copy_database(source, target)
    with target.read() as connection:
        assert get_state(connection, "looked_at") is None


def test_a_target_that_is_written_to_meanwhile_fails_the_copy(
    make_database: Callable[[str], Database],
) -> None:
    """The digests differ, and the error says so."""
    source, target = make_database("duckdb"), make_database("postgres")
    source.run(fill)

    def meddle(table: str, rows: int) -> None:
        if table == "messages":
            target.run(lambda c: tombstone_messages(c, [tombstone(1, 9)]))

    with pytest.raises(CopyDiffers, match="table messages differs"):
        copy_database(source, target, meddle)


def test_tables_that_differ_are_refused(make_database: Callable[[str], Database]) -> None:
    """A column that somebody has added to a table of this project would be lost."""
    source, target = make_database("duckdb"), make_database("postgres")
    source.run(lambda c: c.run_script("ALTER TABLE guilds ADD COLUMN mine TEXT"))
    with pytest.raises(ConfigurationError, match="table guilds is not the same"):
        copy_database(source, target)


def test_a_table_of_the_users_own_is_left_out_and_named(make_database: Callable[[str], Database]) -> None:
    """With or without a key."""
    source, target = make_database("duckdb"), make_database("postgres")
    source.run(fill)
    source.run(
        lambda c: c.run_script("CREATE TABLE mine (id BIGINT PRIMARY KEY); CREATE TABLE keyless (id INT)")
    )
    assert copy_database(source, target).left_out == ("keyless", "mine")
    with target.read() as connection:
        assert not {table.name for table in list_tables(connection)} & {"keyless", "mine"}


@pytest.mark.slow
def test_keys_of_every_kind_can_be_resumed_from(
    make_database: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text, times and several columns, as a migration to come may have them."""
    monkeypatch.setattr(migrations, "own_tables", lambda engine: own_tables(engine) | {"kinds"})
    script = (
        "CREATE TABLE kinds (name TEXT, moment TIMESTAMPTZ, number INTEGER, day DATE, "
        "share DOUBLE PRECISION, price DECIMAL(17, 8), PRIMARY KEY (name, moment, number)); "
        "INSERT INTO kinds VALUES "
        "('a', TIMESTAMPTZ '2025-01-01 00:00:00+00', 1, DATE '2025-01-01', 0.1, 144.1), "
        "('a', TIMESTAMPTZ '2025-01-01 00:00:00.000001+00', 1, NULL, 1e300, NULL), "
        "('Ä\"''%', TIMESTAMPTZ '2025-01-01 00:00:00+00', 2, NULL, NULL, 123456789.00000001), "
        "('', TIMESTAMPTZ '1999-12-31 23:59:59+00', -2, NULL, -0.5, -3)"
    )
    for engines in WAYS:
        source, target = (make_database(engine) for engine in engines)
        source.run(lambda c: c.run_script(script))
        target.run(lambda c: c.run_script(script.partition(";")[0]))
        copy_database(source, target, page_rows=1)
        assert digests(target) == digests(source)
        assert digests(source)["kinds"][0] == 4


def test_a_digest_shows_one_changed_field(make_database: Callable[[str], Database]) -> None:
    """A microsecond is enough; the same rows in another order are the same."""
    one, two, three = (make_database("duckdb") for _ in range(3))
    rows = [Reading(discord_id=each) for each in range(1, 6)]
    moved = [Reading(discord_id=each, posted=each + (0.000001 if each == 3 else 0)) for each in range(1, 6)]
    for database, readings in ((one, rows), (two, rows[::-1]), (three, moved)):
        for reading in readings:
            database.run(lambda c, reading=reading: merge_messages(c, staged([reading]), now=at(0)))
    # The feed has changes in the order in which they happened.
    found, other = digests(one), digests(two)
    assert found.pop("message_changes") != other.pop("message_changes")
    assert found == other
    assert digests(one)["messages"] != digests(three)["messages"]
