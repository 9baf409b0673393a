"""Sessions in channels that the bot does not know: read, fixed and sealed with the exporter."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest_pipeline.completeness.expectations import Scope
from ingest_pipeline.completeness.export_verification import verify_by_any_means
from ingest_pipeline.completeness.gap_listing import list_gaps
from ingest_pipeline.completeness.gap_repair import repair_now
from ingest_pipeline.completeness.sealing import seal_now
from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.guilds import set_monitor_patterns
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.coverage import gaps
from ingest_pipeline.storage.messages.deletions import list_messages
from ingest_pipeline.storage.messages.manifest_changes import Changes
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.server import DiscordServer

CHANNEL = 1_100_000_000_000_000_042
THREAD = CHANNEL + 1000
START = datetime(2025, 9, 7, 13, tzinfo=UTC)
SESSION = Session("monza", START, START + timedelta(minutes=12), (CHANNEL,))


class World:
    """What the exporter can see."""

    def __init__(self, path: Path) -> None:
        """Begin with an empty channel."""
        self._path = path
        self._messages: list[dict[str, str]] = []
        self._thread: list[dict[str, str]] = []
        self.version = "2.47"
        self.post()

    def post_in_thread(self, *minutes: float) -> None:
        """Post messages into a thread of the channel so many minutes after the session's start."""
        for minute in minutes:
            message_id = first_id_at(START + timedelta(minutes=minute)) + 1
            self._thread.append({"id": str(message_id), "content": f"in the thread, minute {minute}"})
        self.post()

    def post(self, *minutes: float) -> None:
        """Post messages so many minutes after the session's start."""
        for minute in minutes:
            message_id = first_id_at(START + timedelta(minutes=minute))
            self._messages.append({"id": str(message_id), "content": f"minute {minute}"})
        channel = {"id": str(CHANNEL), "name": "team-radio", "messages": self._messages}
        thread = {
            "id": str(THREAD),
            "name": "replies",
            "type": "GuildPublicThread",
            "categoryId": str(CHANNEL),
            "category": "team-radio",
            "messages": self._thread,
        }
        world = {
            "guild": {"id": "1", "name": "Paddock"},
            "version": self.version,
            "channels": [channel, thread] if self._thread else [channel],
        }
        self._path.write_text(json.dumps(world), encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with three messages during the session and one after it."""
    made = World(tmp_path / "world.json")
    made.post(1, 5, 11, 20)
    return made


@pytest.fixture
def services(tmp_path: Path, settings: Settings, database: Database, world: World) -> Services:
    """The working parts, with an account's token and no bot's."""
    known = settings.model_copy(
        update={
            "exporter_path": install_stand_in(tmp_path / "exporter", tmp_path / "world.json"),
            "discord_oauth_token": SecretStr("an-invented-token-0123456789"),
            "discord_bot_token": None,
        }
    )
    database.run(lambda connection: save_sessions(connection, [SESSION], now=datetime.now(UTC)))
    return replace(build_services(known), database=database)


def test_a_session_is_fixed_with_the_exporter(services: Services) -> None:
    """Without a bot the exporter reads what is missing."""
    assert [gap.session_id for gap in list_gaps(services)] == ["monza"]
    reported: list[str] = []
    assert repair_now(services, progress=reported.append) == []
    assert any(str(CHANNEL) in step for step in reported)


def test_a_session_is_sealed_with_the_exporter(services: Services, world: World) -> None:
    """The manifest says that an export was read; a later change makes a version."""
    [manifest] = seal_now(services, "monza").manifests
    assert (manifest.version, manifest.message_count, manifest.source) == (1, 3, "export")
    world.post(7)
    [manifest] = seal_now(services, "monza").manifests
    added = (first_id_at(START + timedelta(minutes=7)),)
    assert (manifest.version, manifest.changes) == (2, Changes(added=added))


def test_threads_are_read_when_a_session_is_sealed_with_the_exporter(
    services: Services, world: World
) -> None:
    """A thread's messages of the session's time are the session's, and proven."""
    world.post_in_thread(3, 6, 30)
    assert seal_now(services, "monza").is_sealed
    with services.database.read() as connection:
        texts = [row["raw_content"] for row in list_messages(connection, "monza")]
        assert gaps(connection, THREAD, SESSION.window.low, SESSION.window.high) == []
    assert texts == [
        "minute 1",
        "in the thread, minute 3",
        "minute 5",
        "in the thread, minute 6",
        "minute 11",
    ]
    assert list((services.settings.data_dir / "tmp_transcripts_from_discord").iterdir()) == []


def test_an_exporter_that_knows_no_threads_seals_without_them_and_reports_it(
    services: Services, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Versions before 2.46 do not take the option for a channel."""
    world.version = "2.45"
    world.post_in_thread(3)
    assert seal_now(services, "monza").is_sealed
    with services.database.read() as connection:
        assert len(list_messages(connection, "monza")) == 3
    assert "the threads of session monza were not read" in caplog.text
    assert "2.46 or newer is needed" in caplog.text


def test_what_the_bot_cannot_see_is_left_to_the_exporter(
    services: Services, server: DiscordServer, guild: int, radio: int
) -> None:
    """With both tokens each fixes its own: the bot its channels, the exporter the session."""
    both = services.settings.model_copy(update={"discord_bot_token": SecretStr(server.token)})
    together = replace(services, settings=both)
    archive = Archive(together, server)
    server.messages.bulk_load(radio, 10)
    archive.write(lambda connection: set_monitor_patterns(connection, guild, ["*"], now=datetime.now(UTC)))
    assert repair_now(together) == []
    assert archive.differences(server.truth(radio)) == []
    assert len(archive.live_ids(CHANNEL)) == 3
    report = seal_now(together, "monza")
    assert (report.is_sealed, report.manifests[0].source) == (True, "export")


def test_a_session_is_verified_with_the_exporter(services: Services, world: World) -> None:
    """A gap, then nothing, then a message that was read over: each with its reason, both ways counted."""
    report = verify_by_any_means(services)
    assert (report.has_deficit, report.verdicts[0].reasons) == (True, {"not_read": 3})
    repair_now(services)
    report = verify_by_any_means(services)
    [verdict] = report.verdicts
    assert (report.is_exact, verdict.source, verdict.on_discord, verdict.in_table) == (True, "export", 3, 3)
    world.post(7)
    assert verify_by_any_means(services).verdicts[0].reasons == {"lost": 1}
    assert verify_by_any_means(services, Scope(since=datetime.now(UTC))).verdicts == ()


def test_with_both_tokens_the_exporter_verifies_what_the_bot_cannot_read(
    services: Services, server: DiscordServer, radio: int
) -> None:
    """The bot does not see the session's channel: what it cannot read is no difference then."""
    both = services.settings.model_copy(update={"discord_bot_token": SecretStr(server.token)})
    repair_now(services)
    reported: list[int] = []
    report = verify_by_any_means(
        replace(services, settings=both), progress=lambda verdict: reported.append(verdict.channel_id)
    )
    assert (report.is_exact, [verdict.source for verdict in report.verdicts]) == (True, ["export"])
    assert CHANNEL in reported
    alone = both.model_copy(update={"discord_oauth_token": None})
    assert verify_by_any_means(replace(services, settings=alone)).has_deficit


def test_a_scope_is_kept_to(services: Services) -> None:
    """Mending one channel leaves the others' gaps."""
    assert repair_now(services, Scope(channel_id=7)) == []
    assert len(list_gaps(services)) == 1


def test_without_any_token_nothing_is_attempted(services: Services) -> None:
    """The message names both settings."""
    bare = replace(services, settings=services.settings.model_copy(update={"discord_oauth_token": None}))
    for work in (repair_now, verify_by_any_means):
        with pytest.raises(ConfigurationError, match="DISCORD_OAUTH_TOKEN"):
            work(bare)
