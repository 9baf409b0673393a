"""What the bot and history read lands as it came, before it is merged, and never stops them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import msgspec
import pytest

from ingest_pipeline.errors import DatabaseBusy
from ingest_pipeline.events import EventType
from ingest_pipeline.ingestion import raw_landing
from ingest_pipeline.ingestion.raw_landing import RawLanding
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.raw_store import ABSENT, READ
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.runs.events import latest_events
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract.bot.test_gateway_ingest import (
    CHANNEL,
    GUILD,
    MESSAGE,
    Gateway,
    deletion,
    frame,
    payload,
)
from ingest_pipeline_tests.fake_discord.server import DiscordServer


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """The services, whose raw store is tried again at once."""
    built = replace(build_services(settings), database=database)
    landing = RawLanding(built.landing.raw, database, retry_seconds=0.05)
    return replace(built, raw=landing)


@pytest.fixture
def gateway(services: Services) -> Gateway:
    """An empty spool."""
    return Gateway(services)


def landed(services: Services, channel: tuple[int | None, int] = (GUILD, CHANNEL)) -> list[tuple[str, Any]]:
    """Return what has landed of a channel."""
    return [(each.event, msgspec.json.decode(each.payload)) for each in services.landing.raw.read(channel)]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds, for ten seconds at most."""
    deadline = monotonic() + 10
    while not condition():
        assert monotonic() < deadline
        sleep(0.02)


def test_frames_land_as_they_came(services: Services, gateway: Gateway) -> None:
    """Messages and deletions of monitored channels, also those nothing can be made of; no reactions."""
    reaction = frame("MESSAGE_REACTION_ADD", {"channel_id": str(CHANNEL), "message_id": "1", "user_id": "2"})
    odd = frame(
        "MESSAGE_UPDATE", {"channel_id": str(CHANNEL), "guild_id": str(GUILD), "new": {"field": 1.50}}
    )
    elsewhere = frame("MESSAGE_CREATE", payload(channel_id="501"))
    gateway.receive(frame("MESSAGE_CREATE", payload()), reaction, odd, elsewhere, deletion())
    gateway.store()
    assert landed(services) == [
        ("MESSAGE_CREATE", payload()),
        ("MESSAGE_UPDATE", json.loads(odd)["d"]),
        ("MESSAGE_DELETE", json.loads(deletion())["d"]),
    ]
    first = next(services.landing.raw.read((GUILD, CHANNEL)))
    assert bytes(first.payload) == json.dumps(payload()).encode()
    assert services.landing.raw.channels() == [(GUILD, CHANNEL)]


def test_frames_land_before_they_are_merged_and_once(
    services: Services, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge that fails has landed; the next try lands only what has come meanwhile."""
    gateway.receive(frame("MESSAGE_CREATE", payload()))

    def busy(*_: object) -> None:
        raise DatabaseBusy("another process writes")

    with monkeypatch.context() as patched:
        patched.setattr(type(services.database), "run", busy)
        for _ in range(3):
            with suppress(DatabaseBusy):
                gateway.store()
    assert gateway.row() is None
    assert [event for event, _ in landed(services)] == ["MESSAGE_CREATE"]
    gateway.receive(deletion())
    gateway.store()
    assert gateway.row() is not None
    assert [event for event, _ in landed(services)] == ["MESSAGE_CREATE", "MESSAGE_DELETE"]


def test_a_store_that_fails_does_not_stop_the_bot(services: Services, gateway: Gateway) -> None:
    """An event tells of it; what waits lands when the store works again."""
    root = Path(services.landing.raw.root.path)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("no folder")
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    gateway.store()
    gateway.receive(frame("MESSAGE_CREATE", payload("Copy.", MESSAGE + 1)))
    gateway.store()
    assert gateway.row(MESSAGE + 1) is not None

    def told() -> list[dict[str, Any]]:
        with services.database.read() as connection:
            events = latest_events(connection, limit=100)
        return [dict(each.data) for each in events if each.event_type is EventType.SYSTEM_ERROR]

    wait_for(lambda: bool(told()))
    [event] = told()
    assert "wait in memory" in event["message"]
    root.unlink()
    wait_for(lambda: root.exists() and len(landed(services)) == 2)
    assert services.raw.lost == 0


def test_what_waits_is_bounded(services: Services, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest that waits is given up, and counted."""
    monkeypatch.setattr(raw_landing, "MOST_WAITING_BYTES", 1_000)
    root = Path(services.landing.raw.root.path)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("no folder")
    for number in range(10):
        gateway.receive(frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)))
        gateway.store()
    assert gateway.row(MESSAGE + 9) is not None
    assert 0 < services.raw.lost < 10
    root.unlink()
    wait_for(lambda: root.exists() and len(landed(services)) == 10 - services.raw.lost)
    assert landed(services)[-1][1]["content"] == "Box 9."


def test_a_setting_lands_nothing(settings: Settings, database: Database) -> None:
    """Without raw landing messages are merged as ever."""
    off = build_services(settings.model_copy(update={"land_raw": False}))
    gateway = Gateway(replace(off, database=database))
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    gateway.store()
    assert gateway.row() is not None
    assert off.landing.raw.channels() == []


def test_history_lands_with_what_it_finds_gone(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Every message object of its pages, and the messages that Discord does not have any more."""
    ids = [server.messages.post(radio, f"Box {number}.") for number in range(3)]
    archive.catch_up(radio)
    server.messages.delete(radio, ids[1])
    archive.catch_up(radio, lookback=timedelta(hours=1))
    read = landed(archive.services, (guild, radio))
    assert [(event, int(each["id"])) for event, each in read[:3]] == [(READ, each) for each in ids]
    assert read[0][1]["content"] == "Box 0."
    assert (ABSENT, {"id": str(ids[1])}) in read
