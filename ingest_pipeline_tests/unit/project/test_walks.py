"""The two walks of docs/architecture.md: a reader who follows them must find the calls that are made."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType

import pytest

import ingest_pipeline
from ingest_pipeline.bot.gateway_ingest import SpoolReader, ingest_spooled
from ingest_pipeline.bot.gateway_state import GatewayState
from ingest_pipeline.bot.ingest import SpoolIngester
from ingest_pipeline.bot.watchlist import Watchlist
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.gateway_events import CAPTURED
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.spool import Position, Spool
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.gateway import GatewayClient
from ingest_pipeline.storage.messages.queries import find_message
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

PACKAGE = Path(ingest_pipeline.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"
MOST_FILES = 5

Function = tuple[str, str]


@dataclass(frozen=True)
class Step:
    """A row of a walk: file below the package, function, and who calls it; nobody for a beginning."""

    file: str
    name: str
    caller: str


def walk(title: str) -> list[Step]:
    """Return the steps of a walk."""
    section = PAGE.read_text(encoding="utf-8").split(f"**{title}**", 1)[1].split("\n\n", 2)[1]
    return [
        Step(*row)
        for row in re.findall(r"^\| `(\S+\.py)` \| `([\w.]+)` \| (?:`([\w.]+)`)? ?\|", section, re.MULTILINE)
    ]


@contextmanager
def callers_of(steps: list[Step]) -> Iterator[dict[Function, set[str]]]:
    """Yield, for each step that is entered, the nearest step that was at work then."""
    wanted = {(step.file, step.name) for step in steps}
    found: dict[Function, set[str]] = {}

    def function_of(frame: FrameType) -> Function | None:
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(PACKAGE):
            return None
        function = (path.relative_to(PACKAGE).as_posix(), frame.f_code.co_qualname)
        return function if function in wanted else None

    def profile(frame: FrameType, event: str, _: object) -> None:
        function = function_of(frame) if event == "call" else None
        if function is None:
            return
        above = frame.f_back
        while above and function_of(above) is None:
            above = above.f_back
        found.setdefault(function, set()).add(above.f_code.co_qualname if above else "")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """A deployment on DuckDB with one session."""
    services = build_services(Settings(data_dir=tmp_path / "data", _env_file=None))
    session = Session("monza", START, START + timedelta(hours=1), (CHANNEL_ID,))
    services.database.run(lambda connection: save_sessions(connection, [session], now=START))
    return services


def is_stored(services: Services, message_id: int) -> bool:
    """Return whether a message has a row."""
    with services.database.read() as connection:
        return find_message(connection, message_id) is not None


def assert_followed(steps: list[Step], found: dict[Function, set[str]]) -> None:
    """Check that each step was entered from the one that the page names, and that few files hold them."""
    assert len(steps) > MOST_FILES
    assert found == {(step.file, step.name): {step.caller} for step in steps}
    assert len({step.file for step in steps}) <= MOST_FILES


def test_a_message_is_followed_from_file_to_row(services: Services, tmp_path: Path) -> None:
    """Each function of the walk calls the next, seen in an import of a file."""
    steps = walk("From file to row")
    sent = message(60, "Box, box.")
    file = write_export(tmp_path / "export.json", [sent])
    with callers_of(steps) as found:
        import_messages(services, "monza", file=file)
    assert is_stored(services, int(sent["id"]))
    assert_followed(steps, found)


def test_a_message_is_followed_from_frame_to_row(services: Services, tmp_path: Path) -> None:
    """Each function of the walk calls the next; the spool lies between the receipt and the batch."""
    steps = walk("From gateway frame to row")
    message_id = first_id_at(START)
    data = {
        "id": str(message_id),
        "channel_id": str(CHANNEL_ID),
        "guild_id": "7",
        "timestamp": START.isoformat(),
        "author": {"id": "5", "username": "engineer"},
        "content": "Box, box.",
        "type": 0,
    }
    frame = json.dumps({"op": 0, "s": 1, "t": "MESSAGE_CREATE", "d": data})
    spool, watchlist = Spool(tmp_path / "spool"), Watchlist()
    reader = SpoolReader(spool, "one")

    async def receive() -> None:
        listening = GatewayState(watchlist, SpoolIngester(services, reader, tmp_path, watchlist), "journey")
        client = GatewayClient(spool, CAPTURED, listening)
        client.dispatch("socket_raw_receive", frame)

    with callers_of(steps) as found:
        asyncio.run(receive())
        spool.flush()
        ingest_spooled(services, reader, Position(), is_monitored=lambda _: True, sessions=[])
    assert is_stored(services, message_id)
    assert_followed(steps, found)
