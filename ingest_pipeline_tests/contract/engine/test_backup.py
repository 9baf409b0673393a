"""A database saved, brought back, and rebuilt from what has landed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import ConfigurationError, DatabaseBusy, DatabaseDamaged
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.refresh import landed_documents
from ingest_pipeline.ingestion.rereading.rebuild import rebuild_database
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.duckdb.layout import FIRST_BLOCK
from ingest_pipeline.storage.engine.migrations import load_migrations
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.deletions import tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.transfer.backup import back_up, restore
from ingest_pipeline_tests.contract.processes import finished, resume, start
from ingest_pipeline_tests.contract.readings import (
    Reading,
    at,
    expected_messages,
    staged,
    stored_messages,
    tombstone,
)
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

FIRST = [Reading(discord_id=each) for each in range(1, 60)]
LATER = [Reading(discord_id=each) for each in range(60, 70)]
SESSION = Session("race", START, START + timedelta(hours=1), (CHANNEL_ID,))


def merge(database: Database, readings: list[Reading]) -> None:
    """Merge readings."""
    database.run(lambda c: merge_messages(c, staged(readings), now=at(1000)))


def messages_in(database: Database) -> list[dict[str, object]]:
    """Return the stored messages."""
    with database.read() as connection:
        return stored_messages(connection)


@pytest.fixture
def duckdb_settings(make_settings: Callable[[str], Settings]) -> Settings:
    """The settings of an embedded database."""
    return make_settings("duckdb").model_copy(update={"database_wait_seconds": 60})


def test_a_backup_holds_what_the_database_does(database: Database, tmp_path: Path) -> None:
    """Of either engine; the file stands alone, and is a database of its own."""
    merge(database, FIRST)
    database.run(lambda c: tombstone_messages(c, [tombstone(3, 9)]))
    target = tmp_path / "saved" / "backup.duckdb"
    saved = back_up(database, target)
    merge(database, LATER)
    assert {table.name: table.rows for table in saved.tables}["messages"] == len(FIRST)
    assert [entry.name for entry in target.parent.iterdir()] == ["backup.duckdb"]
    assert messages_in(DuckDBDatabase(target, 5)) == expected_messages(FIRST, [tombstone(3, 9)])


def test_a_backup_overwrites_nothing(database: Database, tmp_path: Path) -> None:
    """Neither another backup nor anything else."""
    target = tmp_path / "backup.duckdb"
    target.write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already"):
        back_up(database, target)
    assert target.read_text() == "mine"


@pytest.mark.slow
def test_backups_are_whole_while_others_write(duckdb_settings: Settings, tmp_path: Path) -> None:
    """Two processes merge all the time; each backup is one moment of theirs."""
    database = open_database(duckdb_settings)
    database.migrate()
    writers = [start("write", str(seed), settings=duckdb_settings) for seed in range(2)]
    for number in range(3):
        target = tmp_path / f"{number}.duckdb"
        back_up(database, target)
        # 40 messages make a batch.
        assert len(messages_in(DuckDBDatabase(target, 5))) in {0, 40}
    for writer in writers:
        finished(writer)


def test_a_log_that_a_killed_writer_left_is_in_the_backup(duckdb_settings: Settings, tmp_path: Path) -> None:
    """What was committed is saved, wherever DuckDB has it."""
    database = open_database(duckdb_settings)
    writer = start("hold", "after", settings=duckdb_settings)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "done\n"
    writer.kill()
    writer.communicate()
    back_up(database, tmp_path / "backup.duckdb")
    assert len(messages_in(DuckDBDatabase(tmp_path / "backup.duckdb", 5))) == 1


@pytest.mark.slow
def test_a_restored_database_is_that_of_the_backup(
    make_database: Callable[[str], Database], database: Database, tmp_path: Path
) -> None:
    """From either engine into either; a DuckDB file that is replaced is kept."""
    merge(database, FIRST)
    back_up(database, tmp_path / "backup.duckdb")
    other = make_database(database.engine)
    if isinstance(other, DuckDBDatabase):
        merge(other, LATER)
    found = restore(other, tmp_path / "backup.duckdb")
    assert messages_in(other) == expected_messages(FIRST, [])
    merge(other, LATER)
    assert messages_in(other) == expected_messages([*FIRST, *LATER], [])
    if isinstance(other, DuckDBDatabase):
        assert found.replaced is not None
        assert messages_in(DuckDBDatabase(found.replaced, 5)) == expected_messages(LATER, [])


@pytest.mark.slow
def test_a_restore_waits_for_who_has_the_file_open(duckdb_settings: Settings, tmp_path: Path) -> None:
    """A writer ends first, and what it wrote is in the file that is kept."""
    database = open_database(duckdb_settings)
    assert isinstance(database, DuckDBDatabase)
    merge(database, FIRST)
    back_up(database, tmp_path / "backup.duckdb")
    writer = start("hold", "before", settings=duckdb_settings)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "held\n"
    impatient = DuckDBDatabase(database.path, 1)
    with pytest.raises(DatabaseBusy, match="in use by process"):
        restore(impatient, tmp_path / "backup.duckdb")
    resume(writer)
    resume(writer)
    finished(writer)
    restore(database, tmp_path / "backup.duckdb")
    assert messages_in(database) == expected_messages(FIRST, [])


def test_a_damaged_backup_is_not_restored(duckdb_settings: Settings, tmp_path: Path) -> None:
    """The database stays as it is."""
    database = open_database(duckdb_settings)
    merge(database, FIRST)
    target = tmp_path / "backup.duckdb"
    back_up(database, target)
    content = bytearray(target.read_bytes())
    for place in range(12_288 + 500, len(content), 262_144):
        content[place] ^= 1
    target.write_bytes(content)
    with pytest.raises(DatabaseDamaged, match="take another backup"):
        restore(database, target)
    assert messages_in(database) == expected_messages(FIRST, [])


@pytest.mark.slow
def test_a_backup_of_a_newer_version_is_refused_by_name(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is the database itself: the error names what this program does not know."""
    merge(database, FIRST)
    back_up(database, tmp_path / "backup.duckdb")
    known = {engine: load_migrations(engine) for engine in ("duckdb", "postgres")}
    monkeypatch.setattr(
        "ingest_pipeline.storage.engine.migrations.load_migrations", lambda engine: known[engine][:-1]
    )
    newest = known["duckdb"][-1].name
    with pytest.raises(ConfigurationError, match=rf"not yet {newest}: update the program"):
        restore(database, tmp_path / "backup.duckdb")
    newest = known[database.engine][-1].name
    with pytest.raises(ConfigurationError, match=rf"not yet {newest}: update the program"):
        database.migrate()


def deployment(settings: Settings, database: Database) -> Services:
    """Return a deployment in which a session of three messages has landed and is merged."""
    services = replace(build_services(settings), database=database)
    database.run(lambda c: save_sessions(c, [SESSION], now=at(0)))
    windows = [(key, services.grid.window(key, SESSION.window)) for key in services.grid.keys]
    export = write_export(settings.data_dir.parent / "export.json", map(message, (10, 400, 900)))
    covered = [(key, window) for key, window in windows if window]
    services.landing.land(export, "race", covered, CHANNEL_ID, SESSION.end_time)
    documents = [each for _, each in landed_documents(services, SESSION, services.grid.keys, "0")]
    merge_documents(services, documents, "0", on_rows_merged=reading_content(services))
    return services


def damage_a_column(path: Path, column: str) -> None:
    """Turn over a bit in each block of data that a column of the messages has to itself."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT block_id FROM pragma_storage_info('messages') "
            "WHERE block_id >= 0 GROUP BY block_id HAVING bool_and(column_name = ?)",
            [column],
        ).fetchall()
    assert rows
    content = bytearray(path.read_bytes())
    for (block,) in rows:
        content[FIRST_BLOCK + block * 262_144 + 5000] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_a_whole_database_that_is_rebuilt_is_the_same(settings: Settings, database: Database) -> None:
    """What came by the bot is there as well: it could be read."""
    services = deployment(settings, database)
    merge(services.database, FIRST)
    before = messages_in(services.database)
    report = rebuild_database(services, reading_content)
    assert (report.sessions, report.messages) == (1, len(before))
    assert not report.lost_tables
    assert messages_in(services.database) == before


@pytest.mark.slow
def test_a_damaged_file_is_rebuilt_from_what_has_landed(duckdb_settings: Settings) -> None:
    """Messages and their content come back; what came by the bot is reported, and the old file is kept."""
    database = open_database(duckdb_settings)
    assert isinstance(database, DuckDBDatabase)
    services = deployment(duckdb_settings, database)
    landed = messages_in(database)
    chance = random.Random(1)  # noqa: S311
    names = [chance.randbytes(400).hex() for _ in range(2000)]
    merge(database, [Reading(each + 1, source="gateway", nickname=name) for each, name in enumerate(names)])
    damage_a_column(database.path, "author_nickname")
    with pytest.raises(DatabaseDamaged):
        messages_in(database)
    report = rebuild_database(services, reading_content)
    assert report.lost_messages == {"gateway": 2000}
    assert "messages" in report.lost_tables
    assert report.kept_tables["sessions"] == 1
    assert [row["discord_id"] for row in messages_in(database)] == [row["discord_id"] for row in landed]
    assert report.replaced
    assert Path(report.replaced).exists()


@pytest.mark.slow
def test_a_file_that_cannot_be_opened_at_all_is_rebuilt(duckdb_settings: Settings) -> None:
    """Sessions come from the sessions file then; a session that is in none is reported."""
    database = open_database(duckdb_settings)
    assert isinstance(database, DuckDBDatabase)
    services = deployment(duckdb_settings, database)
    content = bytearray(database.path.read_bytes())
    content[5000] ^= 1
    database.path.write_bytes(content)
    report = rebuild_database(services, reading_content)
    assert report.unreadable
    assert report.lost_messages is None
    assert report.unknown_sessions == ("race",)
    database.run(lambda c: save_sessions(c, [SESSION], now=at(0)))
    assert rebuild_database(services, reading_content).messages == 3


@pytest.mark.slow
def test_a_damaged_landed_document_costs_only_itself(duckdb_settings: Settings) -> None:
    """It is named, and the others are merged."""
    database = open_database(duckdb_settings)
    services = deployment(duckdb_settings, database)
    (document,) = (services.landing.root / "race" / "T+005m").iterdir()
    document.write_bytes(document.read_bytes()[:-40])
    assert isinstance(database, DuckDBDatabase)
    database.path.unlink()
    database.run(lambda c: save_sessions(c, [SESSION], now=at(0)))
    report = rebuild_database(services, reading_content)
    assert report.messages == 2
    assert [*report.damaged_documents] == [str(document)]
