"""What has landed is merged again: it makes the same table of an empty one, and changes nothing in that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest_pipeline.bot import gateway_ingest
from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.refresh import landed_documents
from ingest_pipeline.ingestion.rereading.rebuild import rebuild_database
from ingest_pipeline.ingestion.rereading.reread import RereadReport, RereadScope, reread
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA
from ingest_pipeline.storage.messages.schema import staged as as_merged
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract.bot.conftest import archive, guild, radio, server
from ingest_pipeline_tests.contract.bot.test_gateway_ingest import (
    CHANNEL,
    GUILD,
    MESSAGE,
    Gateway,
    deletion,
    frame,
    payload,
)
from ingest_pipeline_tests.contract.bot.test_gateway_ingest import START as POSTED
from ingest_pipeline_tests.contract.readings import (
    Reading,
    at,
    staged,
    stored_messages,
    stored_revisions,
    stored_row,
    stored_skipped,
)
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export
from ingest_pipeline_tests.fake_discord.events import MESSAGE_EVENTS
from ingest_pipeline_tests.fake_discord.faults import Events
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.running_bot import RunningBot

__all__ = ["archive", "guild", "radio", "server"]

SESSION = Session("race", START, START + timedelta(hours=1), (CHANNEL_ID,))
A_RUN = "f3b0c9d2-0000-4000-8000-000000000000"
"""The journey of a run of Dagster, which sorts after those that are named by time."""


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """The services."""
    return replace(build_services(settings), database=database)


@pytest.fixture
def gateway(services: Services) -> Gateway:
    """An empty spool."""
    return Gateway(services)


def tables(database: Database) -> tuple[list[dict[str, Any]], ...]:
    """Return messages, their revisions and skipped messages, apart from when they came to be here."""
    with database.read() as connection:
        return stored_messages(connection), stored_revisions(connection), stored_skipped(connection)


def changes(report: RereadReport) -> tuple[int, int, int]:
    """Return how many rows were created, updated and decided again."""
    return report.created, report.updated, report.decided_again


@pytest.mark.slow
def test_what_the_bot_and_history_read_makes_the_same_table_again(
    archive: Archive,
    server: DiscordServer,
    guild: int,
    radio: int,
    make_database: Callable[[str], Database],
) -> None:
    """Posts, edits, deletions, reactions and previews, doubled and late, and a history from before."""
    server.messages.bulk_load(radio, 30)
    server.faults.duplicate(Events(names=MESSAGE_EVENTS, times=None, probability=0.3, seed=7), later=(1, 6))
    with RunningBot(archive) as bot:
        ids = []
        for number in range(25):
            ids.append(server.messages.post(radio, f":studio_microphone: `Leclerc` lap {number}"))
            server.messages.edit(radio, ids[number // 2], f"edited at {number}")
            server.messages.react(radio, ids[number // 3], "🔥")
            server.messages.show_link_preview(radio, ids[number // 4])
            if number % 5 == 4:
                server.messages.delete(radio, ids.pop(number // 5))
        server.faults.clear()
        bot.settle_exactly(radio)
    services = archive.services
    live = tables(services.database)
    assert len(live[0]) == 55
    assert live[1]
    fresh = replace(services, database=make_database(services.database.engine))
    report = reread(fresh, reading_content(fresh))
    assert tables(fresh.database) == live
    assert report.damaged == {}
    for known in (services, fresh):
        assert changes(reread(known, reading_content(known))) == (0, 0, 0)
        assert tables(known.database) == live


def test_a_kill_between_landing_and_merge_loses_nothing(
    services: Services, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had landed is merged by a reading of it, and the spool's own repetition changes nothing."""
    edit = payload("edited", edited_timestamp=(POSTED + timedelta(minutes=8)).isoformat())
    gateway.receive(frame("MESSAGE_CREATE", payload()), frame("MESSAGE_UPDATE", edit), deletion(MESSAGE + 1))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(gateway_ingest, "ingest_documents", killed)
        gateway.landing.land()
        with pytest.raises(KeyboardInterrupt):
            gateway.store()
    assert gateway.row() is None
    assert reread(services).created == 1
    read = tables(services.database)
    assert [row["raw_content"] for row in read[0]] == ["edited"]
    batch = gateway.store()
    assert batch is not None
    assert (batch.report.created, batch.report.updated) == (0, 0)
    assert tables(services.database) == read


def test_readings_of_an_earlier_normalizer_are_made_again(services: Services, gateway: Gateway) -> None:
    """Creations too, which otherwise add nothing to a known message."""
    gateway.receive(frame("MESSAGE_CREATE", payload(embeds=[{"title": "VER", "description": "Box, box."}])))
    gateway.store()
    gateway.landing.land()
    before = tables(services.database)
    row = gateway.row()
    assert row is not None
    aged = [row | {"message_text": "Box, box.", "parts": None, "normalizer_version": None}]
    with services.database.write() as connection:
        connection.stage("staged_messages", as_merged(_as_staged(aged)))
        connection.execute("update_outdated", now=at(0))
    assert tables(services.database) != before
    assert reread(services).updated == 1
    assert tables(services.database) == before


def test_scopes_leave_the_rest_as_it_is(services: Services, gateway: Gateway, database: Database) -> None:
    """A channel, a guild, a time, a session."""
    later = first_id_at(POSTED + timedelta(minutes=40))
    gateway.receive(frame("MESSAGE_CREATE", payload()), frame("MESSAGE_CREATE", payload("b", later)))
    gateway.store()
    gateway.landing.land()
    half_past = POSTED + timedelta(minutes=30)

    def read(**scope: Any) -> int:
        return reread(services, scope=RereadScope(**scope)).readings

    assert read() == 2
    assert read(channel_id=CHANNEL) == 2
    assert read(channel_id=CHANNEL + 1) == 0
    assert read(guild_id=GUILD) == 2
    assert read(guild_id=GUILD + 1) == 0
    assert read(guild_id=GUILD, channel_id=CHANNEL + 1) == 0
    assert read(since=half_past) == 1
    assert read(until=half_past) == 1
    database.run(lambda c: save_sessions(c, [Session("race", POSTED, half_past, (CHANNEL,))], now=POSTED))
    assert read(session_id="race") == 1


def test_landed_exports_are_read_again_and_change_nothing(services: Services, tmp_path: Path) -> None:
    """Whatever the name of the journey that brought them."""
    services.database.run(lambda c: save_sessions(c, [SESSION], now=at(0)))
    windows = [(key, services.grid.window(key, SESSION.window)) for key in services.grid.keys]
    export = write_export(tmp_path / "export.json", map(message, (10, 400, 900)))
    covered = [(key, window) for key, window in windows if window]
    services.landing.land(export, "race", covered, CHANNEL_ID, SESSION.end_time)
    documents = [each for _, each in landed_documents(services, SESSION, services.grid.keys, A_RUN)]
    merge_documents(services, documents, A_RUN)
    before = tables(services.database)
    report = reread(services)
    assert (report.sessions, report.messages, report.unchanged) == (1, 3, 3)
    assert tables(services.database) == before
    assert reread(services, scope=RereadScope(until=START + timedelta(seconds=300))).messages == 1


def test_skipped_messages_with_words_are_taken_without_discord(services: Services) -> None:
    """Those that an earlier version skipped for the embeds that it did not read; the others stay."""
    rows = staged([Reading(1, skip_reason="media_only"), Reading(2, skip_reason="media_only")]).to_pylist()
    common = {
        "raw_content": "",
        "message_text": "",
        "parts": None,
        "normalizer_version": None,
        "driver": None,
    }
    rows[0] |= common | {
        "embeds": '[{"title":"VER","fields":[{"name":"Lap","value":"1:21"}]}]',
        "embed_count": 1,
    }
    rows[1] |= common | {"embeds": '[{"image_url":"https://cdn.example/a.png"}]', "embed_count": 1}
    services.database.run(lambda c: merge_messages(c, _as_staged(rows), now=at(0)))
    assert len(tables(services.database)[2]) == 2
    report = reread(services)
    assert (report.created, report.decided_again) == (1, 1)
    with services.database.read() as connection:
        row = stored_row(connection)
    assert row["message_text"] == "VER\nLap\n1:21"
    assert (row["observed_at"], row["source"], row["correlation_id"]) == (at(0), "export", "c1")
    assert [each["discord_id"] for each in tables(services.database)[2]] == [2]
    assert changes(reread(services)) == (0, 0, 0)


def test_a_damaged_file_costs_only_itself(services: Services, gateway: Gateway) -> None:
    """It is named, and the others are merged."""
    for number in range(2):
        gateway.receive(frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)))
        gateway.landing.land()
    damaged = services.landing.raw.files((GUILD, CHANNEL))[0]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    report = reread(services)
    assert [*report.damaged] == [str(damaged)]
    assert report.readings == 1


def test_a_rebuild_brings_what_the_bot_heard_back(make_settings: Callable[[str], Settings]) -> None:
    """A file that cannot be read at all is made again from the raw readings."""
    services = build_services(make_settings("duckdb"))
    gateway = Gateway(services)
    gateway.receive(frame("MESSAGE_CREATE", payload()), frame("MESSAGE_CREATE", payload("b", MESSAGE + 1)))
    gateway.receive(deletion())
    gateway.store()
    gateway.landing.land()
    before = tables(services.database)
    assert isinstance(services.database, DuckDBDatabase)
    services.database.path.unlink()
    report = rebuild_database(services, reading_content)
    assert (report.readings, report.messages) == (3, 2)
    assert tables(services.database) == before


def _as_staged(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, STAGING_SCHEMA)
