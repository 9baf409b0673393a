"""What is erased is in no byte afterwards, and nothing brings it back."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial

import dagster as dg
import pytest

from ingest_pipeline.domain.erasures import Subject
from ingest_pipeline.erasure.erase import erase, finish, finish_if_pending
from ingest_pipeline.erasure.list_file import join_list
from ingest_pipeline.erasure.set_aside import sweep_restored
from ingest_pipeline.errors import DatabaseBusy
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.messages.changes import ChangeKind, read_changes
from ingest_pipeline.storage.messages.manifests import list_manifests
from ingest_pipeline.storage.messages.queries import find_tombstone
from ingest_pipeline.storage.transfer.backup import restore
from ingest_pipeline_tests.contract.erasure.world import AUTHOR, SESSION, World, with_the_word


@pytest.fixture
def world(settings: Settings, database: Database) -> World:
    """The deployment, full of a person's words."""
    made = World(replace(build_services(settings), database=database))
    made.fill()
    home = made.data_dir / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        quoting = {"not_read": dg.MetadataValue.md(f"- {made.word}")}
        instance.report_runless_asset_event(dg.AssetMaterialization("trade_setups", metadata=quoting))
    return made


@pytest.mark.slow
def test_an_author_is_in_no_byte_and_does_not_come_back(world: World) -> None:
    """Out of tables, files, logs, indexes and copies; by no import, event or restored copy again."""
    places = with_the_word(world)
    others = {int(each["id"]) for each in (world.document()["messages"][1], world.document()["messages"][5])}
    assert {"before.duckdb", "normalized/monza/T+000m/1101802452224856174.parquet"} <= places
    stored = world.ids()
    counted = erase(world.services, Subject.AUTHOR, AUTHOR, dry_run=True)
    assert with_the_word(world) == places

    report = erase(world.services, Subject.AUTHOR, AUTHOR)

    assert with_the_word(world) == set()
    assert counted.messages == report.messages
    assert set(counted.places) == set(report.places)
    assert others < world.ids() < stored
    _nothing_is_different(world)
    left = world.ids()
    again = world.take(world.document())
    assert (again.created, again.skipped) == (0, {"erased": 4})
    world.land()
    assert world.spool(*world.frames()).report.skipped == {"erased": 1}
    assert (world.ids(), with_the_word(world)) == (left, set())


def _nothing_is_different(world: World) -> None:
    with world.services.database.read() as connection:
        changes = read_changes(connection, limit=1000)
        erased = [each.discord_id for each in changes if each.change is ChangeKind.ERASED]
        versions = list_manifests(connection, SESSION.session_id)
    assert int(world.document()["messages"][0]["id"]) in erased
    newest = versions[0]
    assert newest.reason == "messages erased, channels changed"
    assert newest.changes.erased == 5
    assert not {each for one in versions for ids in one.changes.ids.values() for each in ids} & set(erased)
    assert world.services.normalized.frame("monza", ["T+000m"])["discord_id"].tolist()
    with closing(sqlite3.connect(world.data_dir / "dagster" / "history" / "runs" / "index.db")) as log:
        [[event]] = log.execute("SELECT event FROM event_logs").fetchall()
    assert "taken out when messages were erased" in event


@pytest.mark.slow
def test_an_erasure_that_was_broken_off_is_finished(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure between any two steps the list is there, and a run without a name ends it."""
    monkeypatch.setattr("ingest_pipeline.erasure.erase.erase_from_copies", _fail)
    with pytest.raises(RuntimeError):
        erase(world.services, Subject.AUTHOR, AUTHOR)
    monkeypatch.undo()
    assert with_the_word(world)
    finish(world.services)
    assert with_the_word(world) == set()


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("killed here")


@pytest.mark.slow
def test_a_copy_of_before_is_swept_when_it_is_restored(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The list in the data folder is joined into whatever takes the database's place."""
    outside = tmp_path_factory.mktemp("backup") / "before.duckdb"
    (world.data_dir / "before.duckdb").rename(outside)
    erase(world.services, Subject.AUTHOR, AUTHOR)
    left = world.ids()
    restored = DuckDBDatabase(tmp_path_factory.mktemp("elsewhere") / "ingest.duckdb", 20)
    restore(restored, outside)
    assert world.word.encode() in restored.path.read_bytes()
    assert sweep_restored(restored, partial(join_list, world.services.settings)) > 0
    with restored.read() as connection:
        found = {row["discord_id"] for row in connection.fetch_all("list_message_sources")}
    assert found <= left
    assert world.word.encode() not in restored.path.read_bytes()


@pytest.mark.slow
def test_single_messages_channels_and_guilds_are_erased(world: World) -> None:
    """A message with what forwards it; a channel with its threads, as far as it was posted before."""
    first = int(world.document()["messages"][0]["id"])
    forward = int(world.document()["messages"][4]["id"])
    stored = world.ids()
    erase(world.services, Subject.MESSAGE, first)
    assert world.ids() == stored - {first, forward}
    guild = int(world.document()["guild"]["id"])
    erase(world.services, Subject.GUILD, guild)
    assert world.ids() == set()
    assert with_the_word(world) == set()
    assert world.take(world.thread()).skipped == {"erased": 1}


@pytest.mark.slow
def test_a_channel_may_keep_no_words_of_deleted_messages(world: World) -> None:
    """The deletion itself erases them; the note that there was one stays, and files follow with a sweep."""
    world.services.settings.settings_file.write_text(
        "defaults: {keep_deleted_words: false}\n", encoding="utf-8"
    )
    first = world.document()["messages"][0]
    world.spool(world.deletion(int(first["id"])))
    assert int(first["id"]) not in world.ids()
    assert world.take(world.document()).skipped == {"erased": 1, "media_only": 1}
    before = world.content_of_landed()
    finish_if_pending(world.services)
    assert finish_if_pending(world.services) is None
    place = f'"id": "{first["id"]}"'
    assert place in before
    assert place not in world.content_of_landed()
    with world.services.database.read() as connection:
        assert find_tombstone(connection, int(first["id"]))
        assert not connection.fetch_all("earlier_texts_of", discord_ids=[int(first["id"])])


@pytest.mark.slow
def test_it_is_refused_while_another_writes(world: World) -> None:
    """Clearly, on DuckDB, where there is one writer; what is on the list stays on it."""
    database = world.services.database
    if not isinstance(database, DuckDBDatabase):
        pytest.skip("many write to PostgreSQL at once")
    impatient = replace(world.services, database=DuckDBDatabase(database.path, 1))
    with ThreadPoolExecutor() as pool, database.write():
        refused = pool.submit(erase, impatient, Subject.AUTHOR, AUTHOR)
        with pytest.raises(DatabaseBusy, match="was in use by"):
            refused.result()
