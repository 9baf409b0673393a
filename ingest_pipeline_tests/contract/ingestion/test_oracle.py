"""Files through the real import, held field by field against an oracle that shares no code with it."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database, Result
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.contract import oracle
from ingest_pipeline_tests.exports import CHANNEL_ID, REAL, START, as_bytes, export, message
from ingest_pipeline_tests.thoroughness import examples

NOT_COMPARED = {"content_digest", "created_at", "updated_at", "normalizer_version"}
JSON_COLUMNS = (
    *("attachments", "embeds", "stickers", "reactions"),
    *("parts", "forwarded", "author_roles", "inline_emojis"),
)
REAL_CHANNELS = (1084759013451331126, 1210815126511750802, 1169508251549769566)


class _Undone(Exception):
    """Raised to leave a transaction without a trace."""


class _Within:
    """A database whose every transaction is part of one that is open already."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, work: Callable[[Connection], Result]) -> Result:
        return work(self._connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._connection


@contextmanager
def trial(services: Services) -> Iterator[Services]:
    """Give working parts whose database forgets everything afterwards."""
    with suppress(_Undone), services.database.write() as connection:
        yield replace(services, database=_Within(connection))  # type: ignore[arg-type]
        raise _Undone


@pytest.fixture(params=[False, True], ids=["words", "media-too"])
def keep_media_only(request: pytest.FixtureRequest) -> bool:
    """Both policies."""
    return bool(request.param)


@pytest.fixture
def services(settings: Settings, database: Database, keep_media_only: bool) -> Services:
    """The working parts on one engine, under one policy."""
    path = settings.settings_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"defaults: {{keep_media_only: {str(keep_media_only).lower()}}}\n")
    small = settings.model_copy(update={"batch_rows": 700})
    return replace(build_services(small), database=database)


def add(services: Services, *sessions: oracle.Session) -> None:
    """Save sessions."""
    known = [Session(each.session_id, each.start, each.end, each.channel_ids) for each in sessions]
    services.database.run(lambda connection: save_sessions(connection, known, now=START))


def imported(services: Services, raw: bytes, session: oracle.Session) -> oracle.Import:
    """Import a file, and check that its report accounts for every message of it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "export.json")
        path.write_bytes(raw)
        report = import_messages(services, session.session_id, file=path)
    merged = report.created + report.updated + report.unchanged + report.stale
    assert report.received == merged + sum(report.skipped.values()) == len(json.loads(raw)["messages"])
    return oracle.Import(raw, session, report.correlation_id)


def stored(services: Services) -> dict[int, oracle.Row]:
    """Return the rows of `messages` by id, JSON columns read."""
    page = {"table": "messages", "columns": "*", "key": "discord_id"}
    with services.database.read() as connection:
        rows = connection.fetch_all("read_first_page", page, maximum=10**6)
    for row in rows:
        for name in JSON_COLUMNS:
            row[name] = json.loads(row[name]) if row[name] else None
    return {row["discord_id"]: row for row in rows}


def compare(services: Services, expected: dict[int, oracle.Row]) -> None:
    """Hold every field of every row against the oracle's."""
    rows = stored(services)
    assert rows.keys() == expected.keys()
    for discord_id, wanted in expected.items():
        row = rows[discord_id]
        assert {name: row[name] for name in wanted} == wanted
        assert row.keys() - wanted.keys() - NOT_COMPARED <= {"observed_at", "first_observed_at"}


def test_the_oracle_shares_nothing_with_the_package() -> None:
    """It imports the standard library only, and of that what reads JSON, texts and times."""
    source = Path(sys.modules[oracle.__name__].__file__ or "").read_text(encoding="utf-8")
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {ast.unparse(node).split()[1].partition(".")[0] for node in imports}
    assert names == {"__future__", "collections", "dataclasses", "datetime", "json", "re", "typing"}


EVER = oracle.Session(
    "ever", datetime(2023, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), tuple(sorted(REAL_CHANNELS))
)


@pytest.mark.slow
def test_real_exports_become_the_rows_that_stand_in_them(services: Services, keep_media_only: bool) -> None:
    """2,426 messages of three channels, overlapping, in any order of the files, one of them twice."""
    paths = sorted(REAL.glob("*.json"))
    paths.append(next(path for path in paths if path.stem.startswith("overlapping")))
    Random(keep_media_only).shuffle(paths)  # noqa: S311
    add(services, EVER)
    read = [imported(services, path.read_bytes(), EVER) for path in paths]
    expected = oracle.expected_rows(read, [EVER], keep_media_only=keep_media_only)
    assert len(expected) == (2422 if keep_media_only else 2332)
    compare(services, expected)


def test_what_becomes_no_row_is_counted_with_its_reason(services: Services, keep_media_only: bool) -> None:
    """The reasons of a real export are those that stand in it."""
    add(services, EVER)
    raw = (REAL / "text-channel-2384.json").read_bytes()
    with trial(services) as within, TemporaryDirectory() as folder:
        path = Path(folder, "export.json")
        path.write_bytes(raw)
        skipped = import_messages(within, "ever", file=path).skipped
    each = oracle.Import(raw, EVER, "")
    assert skipped == oracle.skip_reasons(each, keep_media_only=keep_media_only)


TEXTS = [
    ":studio_microphone: `Leclerc` Box, box.",
    "\U0001f4fb  **`Norris`** tyres are gone",
    "`` Sainz ` `` copy",
    "```py\ncode\n``` then `Piastri` yes",
    "said by nobody",
    "half ` a tick",
    "`` empty",
    "nul \0 inside",
    "  <a:mic:12> spaces around  ",
    "` ` blank span",
]
EMPTY = ["", "   ", None]
TYPES = ["Reply", "ThreadCreated", "46", "PollResult", "21", "ChatInputCommand", "20", "99", 46]
ZONES = ["+00:00", "+09:00", "-03:30", "Z"]
CDN = "https://cdn.discordapp.com/a.mp4"
ATTACHMENTS = [
    {"id": "5", "url": f"{CDN}?ex=1&is=2&hm=3", "fileName": "a.MP4", "fileSizeBytes": 7},
    {"id": "5", "url": f"{CDN}?ex=9&is=2&hm=9", "fileName": "a.MP4", "fileSizeBytes": 8},
    {"id": "6", "url": "u", "fileName": "notes", "fileSizeBytes": 1},
]
EMBEDS = [
    {"title": "T", "url": "https://cdn.discordapp.com/x?ex=1&hm=2", "description": "", "fields": []},
    {
        "title": "",
        "author": {"name": "A", "url": None},
        "footer": {"text": "F"},
        "image": {"url": "https://proxy.invalid/i", "canonicalUrl": "https://x.invalid/i"},
        "thumbnail": {"url": "https://x.invalid/t"},
        "video": {"url": "https://x.invalid/v"},
        "fields": [{"name": "n", "value": "v\0", "isInline": True}],
    },
]
REACTIONS = [
    {"emoji": {"id": "", "name": "\U0001f525", "code": "fire"}, "count": 3},
    {"emoji": {"id": "77", "name": "box", "code": "box"}, "count": 2**31 - 2},
]
STICKERS = [{"id": "4", "name": "s", "format": "Png", "sourceUrl": "https://x.invalid/s"}]


def zoned(moment: datetime, zone: str, digits: int) -> str:
    """Write a time in a zone, with so many digits of its second."""
    offset = timedelta() if zone == "Z" else datetime.fromisoformat(f"2026-01-01T00:00:00{zone}").utcoffset()
    local = (moment + (offset or timedelta())).replace(tzinfo=None)
    fraction = f".{local.microsecond:06d}9"[: digits + 1] if digits else ""
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


@st.composite
def parts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a message may hold besides when and by whom it was written."""
    chosen: dict[str, Any] = {
        "content": draw(st.sampled_from(TEXTS + EMPTY)),
        "attachments": draw(st.lists(st.sampled_from(ATTACHMENTS), max_size=2)),
        "embeds": draw(st.lists(st.sampled_from(EMBEDS), max_size=1)),
        "stickers": draw(st.lists(st.sampled_from(STICKERS), max_size=1)),
        "reactions": draw(st.lists(st.sampled_from(REACTIONS), max_size=2)),
        "isPinned": draw(st.booleans()),
    }
    if draw(st.booleans()):
        chosen["type"] = draw(st.sampled_from(TYPES))
        chosen["reference"] = {"messageId": draw(st.sampled_from(["77", "", "x", None])), "channelId": "1"}
    if draw(st.integers(0, 3)) == 0:
        chosen["forwardedMessage"] = {"content": draw(st.sampled_from(["passed on", ""]))}
    return chosen


@st.composite
def written(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a message as one export shows it."""
    chosen = draw(parts())
    seconds = draw(st.integers(0, 7))
    shown = message(seconds * 600, **chosen)
    posted_at = START + timedelta(seconds=seconds * 600, microseconds=draw(st.sampled_from([0, 999_999])))
    shown["timestamp"] = zoned(posted_at, draw(st.sampled_from(ZONES)), draw(st.sampled_from([0, 3, 6, 7])))
    edited = draw(st.sampled_from([None, None, 1.0005, 1.0007, 90.0]))
    shown["timestampEdited"] = edited and zoned(posted_at + timedelta(seconds=edited), "Z", 6)
    nickname = draw(st.sampled_from([None, "Pit wall", "nul\0"]))
    shown["author"] |= {"nickname": nickname, "isBot": draw(st.booleans())}
    return shown


ODD = [
    7,
    None,
    {},
    {"id": "0", "timestamp": "2026-09-06T13:00:00Z"},
    message(1, timestamp=None),
    message(2, timestamp="yesterday"),
    message(3, timestamp="2026-09-06T13:00:00"),
    message(-1),
    message(7200, "at the very end"),
]


@dataclass(frozen=True)
class File:
    """A file to import, and for which of the sessions."""

    raw: bytes
    session: int


MINUTE = timedelta(minutes=1)
SIDE = CHANNEL_ID + 1
# Started from a message of the channel, whose id it has.
THREAD = first_id_at(START + 10 * MINUTE) + 1
SESSIONS = (
    oracle.Session("a-second", START + 30 * MINUTE, START + 120 * MINUTE, (CHANNEL_ID, SIDE)),
    oracle.Session("b-first", START, START + 50 * MINUTE, (CHANNEL_ID, SIDE)),
    oracle.Session("c-earliest", START - 60 * MINUTE, START + 20 * MINUTE, (SIDE,)),
)
PLACES = [
    {"id": str(CHANNEL_ID), "type": "GuildTextChat", "name": "radio", "categoryId": "9"},
    {"id": str(SIDE), "type": "GuildTextChat", "name": "side", "categoryId": "9"},
    {"id": str(THREAD), "type": "GuildPublicThread", "name": "lap 1", "categoryId": str(CHANNEL_ID)},
]


@pytest.fixture
def known_sessions(services: Services) -> None:
    """Sessions that overlap in their channels."""
    add(services, *SESSIONS)


@st.composite
def files(draw: st.DrawFn) -> list[File]:
    """Draw files of two channels and a thread, each read at its own time, in some order, some twice."""
    times = draw(st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True))
    unknown = draw(st.sampled_from([None, times[0]]))
    made = []
    for read in times:
        shown = draw(st.lists(written(), min_size=3, max_size=8, unique_by=lambda each: each["id"]))
        place = draw(st.integers(0, 2))
        for each in shown:
            each["id"] = str(int(each["id"]) + place)
        if place == 2 and draw(st.booleans()):
            shown[0]["id"] = str(THREAD)
        shown += draw(st.lists(st.sampled_from(ODD), max_size=2))
        # Of two files without a time nobody could say which is the older.
        read_at = None if read == unknown else (START + timedelta(hours=3, seconds=read)).isoformat()
        raw = as_bytes(export(shown, exportedAt=read_at, channel=PLACES[place]))
        made.append(File(raw, draw(st.integers(0, 1))))
    again = draw(st.lists(st.sampled_from(made), max_size=1))
    return draw(st.permutations(made + again))


@pytest.mark.slow
@settings(
    max_examples=examples(6),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=files())
@pytest.mark.usefixtures("known_sessions")
def test_any_files_in_any_order_become_the_rows_of_the_oracle(
    services: Services, keep_media_only: bool, made: list[File]
) -> None:
    """With edits, media, odd elements and overlaps, of two channels and a thread, for three sessions."""
    with trial(services) as within:
        read = [imported(within, each.raw, SESSIONS[each.session]) for each in made]
        expected = oracle.expected_rows(read, SESSIONS, keep_media_only=keep_media_only)
        compare(within, expected)
