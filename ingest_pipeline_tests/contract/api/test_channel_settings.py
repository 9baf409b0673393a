"""Settings of guilds and channels, as imports, polls and the content of messages are taken by them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.domain.channel_settings import Value
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.ingestion.imports import poll_live_session
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.guilds import save_channels
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.userconfig.effective_settings import (
    Scope,
    change_settings,
    effective_settings,
    find_scope,
)
from ingest_pipeline.userconfig.settings_file import SettingsFile, load_settings_file
from ingest_pipeline_tests.contract.content_messages import RULES, contents, merge, posted
from ingest_pipeline_tests.contract.readings import CHANNEL

GUILD, CATEGORY, RADIO, LAP = 7, 5, CHANNEL, CHANNEL + 1
NOW = datetime.now(UTC)
FILE = SettingsFile(
    defaults={"highlights.threshold": 0.6, "driver_from": "content"},
    channels={RADIO: {"driver_from": "author_name", "highlights.full_replies": 3}},
)


@pytest.fixture
def catalogue(database: Database) -> Database:
    """A database whose catalogue has a channel in a category, with a thread."""
    channels = [
        Channel(CATEGORY, GUILD, "race", "category"),
        Channel(RADIO, GUILD, "team-radio", parent_id=CATEGORY),
        Channel(LAP, GUILD, "lap 1", "public_thread", parent_id=RADIO),
    ]
    database.run(lambda connection: save_channels(connection, channels, now=NOW))
    return database


def put(
    database: Database, file: SettingsFile = FILE, channel: int | None = None, **values: Value | None
) -> None:
    """Set values for a channel, or for the guild; `__` stands for the dot of a key."""
    scope = Scope(GUILD, channel)
    changes = {key.replace("__", "."): value for key, value in values.items()}
    database.run(lambda connection: change_settings(connection, file, scope, changes, now=NOW))


def found(database: Database, key: str, channel: int) -> tuple[Value, str]:
    """Return what is in effect for a channel, and where it is from."""
    with database.read() as connection:
        value = effective_settings(connection, FILE, [channel])[channel].find(key)
    return value.value, value.origin


def test_the_nearest_place_decides(catalogue: Database) -> None:
    """Default, file, guild, category, channel, thread; and at a channel the command over the file."""
    key, arguments = "highlights.full_replies", ("highlights.full_replies", LAP)
    assert found(catalogue, "highlights.quiet_rate", LAP) == (2, "default")
    assert found(catalogue, "highlights.threshold", LAP) == (0.6, "settings.yaml")
    put(catalogue, highlights__threshold=0.7, highlights__full_replies=9)
    assert found(catalogue, "highlights.threshold", LAP) == (0.7, "guild 7")
    put(catalogue, channel=CATEGORY, highlights__full_replies=8)
    assert found(catalogue, *arguments) == (3, f"settings.yaml, channel {RADIO}")
    put(catalogue, channel=RADIO, highlights__full_replies=4)
    assert found(catalogue, *arguments) == (4, f"channel {RADIO}")
    put(catalogue, channel=LAP, highlights__full_replies=2)
    assert [found(catalogue, key, each)[0] for each in (CATEGORY, RADIO, LAP)] == [8, 4, 2]
    put(catalogue, channel=RADIO, highlights__full_replies=None)
    put(catalogue, channel=LAP, highlights__full_replies=None)
    assert found(catalogue, *arguments) == (3, f"settings.yaml, channel {RADIO}")
    assert found(catalogue, key, 99) == (5, "default")


def test_what_contradicts_itself_is_not_set(catalogue: Database) -> None:
    """Neither at the scope nor below it, and nothing is left of the attempt."""
    put(catalogue, channel=LAP, highlights__threshold=1.2)
    with pytest.raises(BadInput, match=rf"channel {LAP}: highlights: threshold 1\.2 is above 1, all"):
        put(catalogue, highlights__replies_weight=0)
    assert found(catalogue, "highlights.replies_weight", RADIO) == (0.2, "default")
    with pytest.raises(BadInput, match=r"data/settings\.yaml"):
        catalogue.run(
            lambda connection: change_settings(connection, FILE, Scope(), {"driver_from": None}, now=NOW)
        )
    with pytest.raises(BadInput, match="is in guild 7, not in 8"), catalogue.read() as connection:
        find_scope(connection, 8, RADIO)


@pytest.mark.parametrize(
    ("stored", "posted"),
    [
        ('{"keep_media": true}', "unknown key 'keep_media': did you mean 'keep_media_only'?"),
        ('{"highlights": {"threshold": "high"}}', "write a number from 0"),
        ('{"highlights": 5}', "must be a mapping"),
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
    ],
)
def test_what_somebody_wrote_by_hand_is_refused_with_its_place(
    catalogue: Database, stored: str, posted: str
) -> None:
    """As a wrong file is: messages are not taken by half a setting."""

    def write(connection: Connection) -> None:
        connection.execute("save_channel_settings", channel_id=RADIO, settings=stored, now=NOW)

    catalogue.run(write)
    with (
        pytest.raises(ConfigurationError, match=f"channel {RADIO}") as refused,
        catalogue.read() as connection,
    ):
        effective_settings(connection, FILE, [LAP])
    assert posted in str(refused.value)


def test_content_is_read_by_the_settings_of_its_channel(catalogue: Database) -> None:
    """Who speaks in one channel, and what stands out in another."""
    put(
        catalogue,
        channel=LAP,
        driver_from="content",
        highlights__keywords=("words",),
        highlights__threshold=0.2,
    )
    rules = replace(RULES, settings=FILE)
    with catalogue.write() as connection:
        ids = merge(connection, posted(1, "`Sainz` words"), posted(2, "`Leclerc` words", channel_id=LAP))
        extract_for(connection, ids, rules, now=NOW)
        rows = contents(connection)
    assert [row["driver"] for row in rows["radio_messages"]] == ["Pit wall", "Leclerc"]
    assert {row["discord_id"]: row["is_candidate"] for row in rows["highlights"]} == {ids[1]: True}


def test_a_file_that_contradicts_what_was_set_keeps_no_content_from_being_read(catalogue: Database) -> None:
    """The file alone decides then: it was changed last, and it fits together."""
    put(catalogue, highlights__threshold=1.1)
    weaker = SettingsFile(defaults={"highlights.reactions_weight": 0, "highlights.threshold": 0.2})
    with catalogue.write() as connection:
        ids = merge(connection, posted(1, "a crash"))
        extract_for(connection, ids, replace(RULES, settings=weaker), now=NOW)
        [row] = contents(connection)["highlights"]
    assert (row["is_candidate"], row["score"]) == (True, 0.2)


@pytest.fixture
def live(catalogue: Database, settings: Settings, tmp_path: Path) -> Services:
    """A live session in the channel, where a clip without words was posted."""
    message = {
        "id": str(first_id_at(NOW - timedelta(minutes=1))),
        "content": "",
        "attachments": [{"id": "1", "url": "https://x.invalid/1", "fileName": "a.mp4", "fileSizeBytes": 1}],
    }
    guild = {"id": str(GUILD), "name": "Paddock", "iconUrl": ""}
    channel = {"id": str(RADIO), "name": "team-radio", "messages": [message]}
    world = {"token": "t", "guild": guild, "channels": [channel]}
    (tmp_path / "world.json").write_text(json.dumps(world))
    executable = install_stand_in(tmp_path / "bin", tmp_path / "world.json")
    changes = {"exporter_path": executable, "discord_oauth_token": SecretStr("t")}
    services = build_services(settings.model_copy(update=changes))
    session = Session("race", NOW - timedelta(minutes=2), NOW + timedelta(hours=1), (RADIO,))
    catalogue.run(lambda connection: save_sessions(connection, [session], now=NOW))
    return replace(services, database=catalogue)


def test_a_change_holds_from_the_next_poll_on(live: Services) -> None:
    """By command for guild and channel, by the file for all; in one process, without a restart."""
    path = live.settings.settings_file

    def poll() -> tuple[int, int]:
        report = poll_live_session(live, window_seconds=3600, now=datetime.now(UTC))
        assert report is not None
        return report.created, report.skipped.get("media_only", 0)

    assert poll() == (0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("defaults: {keep_media_only: true}\n")
    put(live.database, load_settings_file(path), keep_media_only=False)
    assert poll() == (0, 1)
    put(live.database, load_settings_file(path), channel=RADIO, keep_media_only=True)
    assert poll() == (1, 0)
