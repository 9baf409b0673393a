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

from ingest_pipeline.bot import spool_landing
from ingest_pipeline.bot.ingest import SpoolIngester
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.bot.watchlist import CatalogueView, Watchlist
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import StorageRejected
from ingest_pipeline.events import EventType
from ingest_pipeline.ingestion import raw_landing
from ingest_pipeline.ingestion.raw_landing import RawLanding, answers_of
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.erasure.readings import READ
from ingest_pipeline.landing.raw_store import ABSENT, begins_at
from ingest_pipeline.landing.spool import Position, Spool
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.queries import find_message
from ingest_pipeline.storage.runs.events import latest_events
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract import processes
from ingest_pipeline_tests.contract.bot.test_gateway_ingest import (
    CHANNEL,
    GUILD,
    MESSAGE,
    START,
    Gateway,
    deletion,
    frame,
    payload,
)
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.running_bot import RunningBot


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


def frames_landed(services: Services) -> list[str]:
    """Return the contents of the messages that have landed."""
    return [payload["content"] for _, payload in landed(services)]


def test_frames_land_as_they_came(services: Services, gateway: Gateway) -> None:
    """Messages and deletions of monitored channels, also those nothing can be made of; no reactions."""
    reaction = frame("MESSAGE_REACTION_ADD", {"channel_id": str(CHANNEL), "message_id": "1", "user_id": "2"})
    odd = frame(
        "MESSAGE_UPDATE", {"channel_id": str(CHANNEL), "guild_id": str(GUILD), "new": {"field": 1.50}}
    )
    elsewhere = frame("MESSAGE_CREATE", payload(channel_id="501"))
    gateway.receive(frame("MESSAGE_CREATE", payload()), reaction, odd, elsewhere, deletion(), b"no frame")
    gateway.landing.land()
    assert landed(services) == [
        ("MESSAGE_CREATE", payload()),
        ("MESSAGE_UPDATE", json.loads(odd)["d"]),
        ("MESSAGE_DELETE", json.loads(deletion())["d"]),
    ]
    first = next(services.landing.raw.read((GUILD, CHANNEL)))
    assert bytes(first.payload) == json.dumps(payload()).encode()
    assert services.landing.raw.channels() == [(GUILD, CHANNEL)]


def test_frames_of_many_batches_land_in_one_file(services: Services, gateway: Gateway) -> None:
    """Whether or not they are merged, and each once; the file has the time of the first."""
    for number in range(3):
        gateway.receive(frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)))
        gateway.store()
    gateway.landing.land()
    gateway.landing.land()
    [path] = services.landing.raw.files((GUILD, CHANNEL))
    assert begins_at(path) == gateway.now - timedelta(seconds=2)
    gateway.receive(deletion())
    gateway.landing.land()
    assert [event for event, _ in landed(services)] == ["MESSAGE_CREATE"] * 3 + ["MESSAGE_DELETE"]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["write_segment", "_move_to", "forget"])
def test_no_end_of_the_process_loses_a_frame(
    services: Services, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Frames wait in the spool until they are both merged and landed, whichever comes first."""
    spool = Spool(gateway.folder, segment_bytes=1)
    gateway.reader = replace(gateway.reader, spool=spool)

    def bot() -> SpoolIngester:
        gateway.landing = gateway.landing_anew()
        watchlist = Watchlist()
        watchlist.replace(CatalogueView(sessions=(Session("race", START, gateway.now, (CHANNEL,)),)))
        return SpoolIngester(services, gateway.reader, gateway.folder, watchlist, landing=gateway.landing)

    for number in range(4):
        gateway.receive(frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)))
        ingester = bot()
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            owner = {"write_segment": spool_landing, "_move_to": SpoolLanding, "forget": Spool}[step]
            patched.setattr(owner, step, killed)
            for act in (gateway.landing.land, ingester._take) if number % 2 else (ingester._take,):
                act()
    assert spool.bytes_after(Position()) > 0
    ingester = bot()
    while ingester._take():
        pass
    gateway.landing.land()
    assert sorted(set(frames_landed(services))) == [f"Box {number}." for number in range(4)]
    assert all(gateway.row(MESSAGE + number) for number in range(4))
    gateway.receive(deletion())
    gateway.landing.land()
    ingester._take()
    assert len(list(gateway.folder.glob("*.jsonl"))) == 1


def killed(*_: object, **__: object) -> None:
    """End the process here."""
    raise KeyboardInterrupt


@pytest.mark.slow
def test_kills_at_any_moment_lose_no_frame(settings: Settings, services: Services) -> None:
    """What a bot had received is in the raw store and in the table after it was killed three times."""
    received: list[int] = []
    for lines, delay in ((1, 0.0), (2, 0.02), (4, 0.08)):
        process = processes.start("hear", str(len(received)), settings=settings)
        assert process.stdout is not None
        received += [int(process.stdout.readline()) for _ in range(lines)]
        sleep(delay)
        process.kill()
        received += map(int, process.stdout)
        process.communicate(timeout=60)
    processes.hear(settings, len(received), most=1)
    assert len(received) >= 7
    texts = set(frames_landed(services))
    assert {f"Box {number}." for number in received} <= texts
    with services.database.read() as connection:
        assert all(find_message(connection, MESSAGE + number) for number in received)


def test_a_store_that_fails_does_not_stop_the_bot(services: Services, gateway: Gateway) -> None:
    """Frames are merged, wait in the spool, also over a new start, and land when the store works again."""
    root = Path(services.landing.raw.root.path)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("no folder")
    for number in range(2):
        gateway.receive(frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)))
        gateway.store()
        with pytest.raises(StorageRejected):
            gateway.landing.land()
        gateway.landing = gateway.landing_anew()
    assert gateway.row(MESSAGE + 1) is not None
    root.unlink()
    gateway.landing.land()
    assert frames_landed(services) == ["Box 0.", "Box 1."]


@pytest.mark.slow
def test_a_running_bot_reports_a_store_that_fails_and_lands_later(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """One event reports it; what was received meanwhile lands while the bot runs."""
    services = archive.services
    root = Path(services.landing.raw.root.path)
    root.parent.mkdir(parents=True, exist_ok=True)
    with RunningBot(archive, replace(QUICK, landing_seconds=0.1)) as bot:
        root.write_text("no folder")
        server.messages.post(radio, "Box, box.")
        bot.wait_for(
            lambda: any("wait in the spool" in each["message"] for each in reported(services)), "an event"
        )
        root.unlink()
        bot.wait_for(lambda: bool(landed(services, (guild, radio))), "a landing")
    assert sum("wait in the spool" in each["message"] for each in reported(services)) == 1


def reported(services: Services) -> list[dict[str, Any]]:
    """Return what the events of failures say."""
    with services.database.read() as connection:
        events = latest_events(connection, limit=100)
    return [dict(each.data) for each in events if each.event_type is EventType.SYSTEM_ERROR]


def test_what_waits_in_the_spool_is_bounded(
    services: Services, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest frames are given up, which the log has it."""
    monkeypatch.setattr(spool_landing, "MOST_WAITING_BYTES", 1_000)
    gateway.reader = replace(gateway.reader, spool=Spool(gateway.folder, segment_bytes=1))
    gateway.landing = gateway.landing_anew()
    for number in range(10):
        gateway.receive(frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)))
    gateway.landing.land()
    kept = frames_landed(services)
    assert 0 < len(kept) < 10
    assert kept == [f"Box {number}." for number in range(10 - len(kept), 10)]
    assert "given up" in caplog.text


def test_answers_wait_in_memory_for_a_store_that_fails(services: Services) -> None:
    """An event reports it, the oldest are given up and counted, the others land when the store works."""
    root = Path(services.landing.raw.root.path)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("no folder")

    def land(number: int) -> None:
        answers = answers_of([(payload(f"Box {number}."), START)], {}, "history", None)
        services.raw.land({(GUILD, CHANNEL): answers}, f"c{number}")

    land(0)
    wait_for(lambda: bool(reported(services)))
    [event] = reported(services)
    assert "wait in memory" in event["message"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(raw_landing, "MOST_WAITING_BYTES", 1_000)
        for number in range(1, 10):
            land(number)
    assert 0 < services.raw.lost < 10
    root.unlink()
    wait_for(lambda: root.exists() and len(landed(services)) == 10 - services.raw.lost)
    assert frames_landed(services)[-1] == "Box 9."


def test_a_setting_lands_nothing(settings: Settings, database: Database) -> None:
    """Messages are merged as ever, and what came then does not land once the setting is on again."""
    off = build_services(settings.model_copy(update={"land_raw": False}))
    gateway = Gateway(replace(off, database=database))
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    gateway.store()
    gateway.landing.land()
    assert gateway.row() is not None
    gateway.services = build_services(settings)
    gateway.landing = gateway.landing_anew()
    gateway.landing.land()
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
