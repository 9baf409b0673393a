"""A database with something of everything, and the HTTP interface on it, for tests."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from ingest_pipeline.api.app import build_api
from ingest_pipeline.api.server import BoundedProtocol
from ingest_pipeline.domain.guild import Channel, ChannelAccess, Guild
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.ingest import IngestReport, ingest_documents
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.guilds import save_channels, save_guild, set_monitor_patterns
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, START, as_bytes, export, message

RUN_ID = "0b6f3a52-6f0c-4a53-8a0f-0d6a3d1f9b6e"
WRITE_TOKEN = "write-token-of-the-tests"
RACE = Session("race", START, START + timedelta(hours=2), (CHANNEL_ID,), event_name="Italian Grand Prix")
NEXT = Session("next", START + timedelta(days=7), START + timedelta(days=7, hours=1), (CHANNEL_ID,))
LATEST = Session("practice", START - timedelta(days=1), START - timedelta(hours=22), (CHANNEL_ID,))
# Ten minutes into the race.
NOW = START + timedelta(minutes=10)


def settings_for(folder: Path, **values: Any) -> Settings:
    """Return settings with a database in a folder and a write token."""
    given = {"data_dir": folder, "api_token": WRITE_TOKEN, "database_wait_seconds": 5, **values}
    return Settings(_env_file=None, **given)


def fill(services: Services) -> IngestReport:
    """Put three sessions, a guild with two channels and five minutes of the race into a database."""

    def catalogue(connection: Connection) -> None:
        save_sessions(connection, [LATEST, RACE, NEXT], now=NOW)
        save_guild(connection, Guild(GUILD_ID, "Formula"), now=NOW)
        channels = [
            Channel(CHANNEL_ID, GUILD_ID, "team-radio", reading_state=ChannelAccess.READABLE),
            Channel(CHANNEL_ID + 1, GUILD_ID, "forum", channel_type="forum", position=1),
        ]
        save_channels(connection, channels, now=NOW)
        set_monitor_patterns(connection, GUILD_ID, ["*radio*"], now=NOW)

    services.database.run(catalogue)
    text = [
        message(20 * number, f":studio_microphone: `{driver}` Lap {number}.")
        for number, driver in enumerate(["Leclerc", "Norris", "Leclerc", "Hamilton", "Leclerc", "Norris"])
    ]
    window = Window(START, START + timedelta(minutes=5))
    return ingest_export(services, text, window=window, read_at=START + timedelta(minutes=7))


def ingest_export(
    services: Services,
    messages: list[dict[str, Any]],
    *,
    window: Window,
    read_at: datetime,
    session_id: str = "race",
    correlation_id: str = RUN_ID,
    is_cut: bool = False,
) -> IngestReport:
    """Merge a complete export of a window of the race, or one that is cut off after its messages."""
    raw = as_bytes(export(messages))
    raw = raw[: raw.index(b'"messageCount"')] if is_cut else raw
    document = ExportDocument(
        opener=lambda: io.BytesIO(raw),
        name="test.json",
        header=read_header(io.BytesIO(raw), "test.json"),
        policy=ChannelPolicy(),
        window=window,
        complete=True,
        provenance=Provenance(session_id, "export", read_at, correlation_id),
    )
    return ingest_documents(
        services.database,
        [document],
        correlation_id=correlation_id,
        settle=services.settings.settle,
        now=read_at,
    )


@contextmanager
def served(services: Services, now: datetime | None = NOW) -> Iterator[str]:
    """Serve the interface on a free port, at a time (or in the present), and return its address."""
    app = build_api(services, clock=None if now is None else lambda: now)
    config = uvicorn.Config(app, http=BoundedProtocol, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=120)


@contextmanager
def client_of(services: Services, now: datetime | None = NOW) -> Iterator[httpx.Client]:
    """Return a client of the interface, at a time."""
    with served(services, now) as url, httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
        yield client


@contextmanager
def filled_client(folder: Path, **values: Any) -> Iterator[httpx.Client]:
    """Return a client of the interface on a database with something of everything."""
    services = build_services(settings_for(folder, **values))
    fill(services)
    with client_of(services) as client:
        yield client


def writer() -> dict[str, str]:
    """Return the header of somebody who may write."""
    return {"Authorization": f"Bearer {WRITE_TOKEN}"}
