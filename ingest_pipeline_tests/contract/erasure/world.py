"""A deployment in which one person's words are in every place that words get to."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from ingest_pipeline.bot.gateway_ingest import SpoolReader, ingest_spooled
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.refresh import landed_documents
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.spool import SPOOL_FOLDER, Position, Spool
from ingest_pipeline.reporting.report import write_session_report
from ingest_pipeline.search.search import bring_up_to_date, open_index
from ingest_pipeline.storage.erasure_list import read_erasures
from ingest_pipeline.storage.messages.manifests import write_manifests
from ingest_pipeline.storage.messages.membership import keep_parents
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.transfer.backup import back_up
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, START, export, message

AUTHOR, OTHER = 594020924865620473, 694020924865620479
THREAD = 1201802452224856174
SESSION = Session("monza", START, START + timedelta(hours=2), (CHANNEL_ID,), year=2026)
KEY = "T+000m"
NOW = START + timedelta(hours=3)


def word_of_ours() -> str:
    """Return a word that is nowhere else, with no digit in it."""
    return "zyx" + "".join(secrets.choice("bcdfghjklmnpqrstvwz") for _ in range(12))


@dataclass
class World:
    """The deployment.

    Attributes:
        services: Its services.
        word: What the person says.
        position: How far the spool is read.
    """

    services: Services
    word: str = field(default_factory=word_of_ours)
    position: Position = field(default_factory=Position)

    @property
    def data_dir(self) -> Path:
        """Where everything is."""
        return self.services.settings.data_dir

    def author(self, user_id: int) -> dict[str, Any]:
        """Return an author as exports have it; the person's name is the word."""
        name = self.word if user_id == AUTHOR else "engineer"
        return {"id": str(user_id), "name": name, "nickname": name, "isBot": False, "roles": []}

    def posted(self, after: float, content: str, user_id: int = AUTHOR, **fields: Any) -> dict[str, Any]:
        """Return a message of an export."""
        return message(after, content, author=self.author(user_id), **fields)

    def document(self) -> dict[str, Any]:
        """Return an export with everything that can hold words."""
        word = self.word
        clip = {
            "id": "1",
            "url": f"https://cdn.invalid/{word}.mp4",
            "fileName": f"{word}.mp4",
            "fileSizeBytes": 9,
        }
        embed = {"title": word, "url": None, "timestamp": None, "description": word}
        plan = f"A+ Scalp Trade Setups — Sun Sep 6\n\nNVDA\n🔼 Breakout above 12O {word}"
        forwarded = {"content": word, "timestamp": START.isoformat(), "attachments": [], "embeds": []}
        first = self.posted(1, f"`Leclerc` {word} box", attachments=[clip], embeds=[embed])
        reference = {"type": "Forward", "messageId": first["id"], "channelId": str(CHANNEL_ID)}
        return export(
            [
                first,
                self.posted(2, "plain", OTHER, mentions=[self.author(AUTHOR)]),
                self.posted(3, plan),
                self.posted(4, "", attachments=[clip]),
                self.posted(5, "", OTHER, reference=reference, forwardedMessage=forwarded),
                self.posted(6, "another", OTHER),
            ]
        )

    def thread(self) -> dict[str, Any]:
        """Return the export of a thread in which the person wrote."""
        place = {"id": str(THREAD), "type": "GuildPublicThread", "categoryId": str(CHANNEL_ID), "name": "pit"}
        return export([self.posted(7, f"thread {self.word}")], channel=place)

    def write(self, document: dict[str, Any], name: str = "export.json") -> Path:
        """Write an export outside of the data folder."""
        path = self.data_dir.parent / f"{self.data_dir.name}-{name}"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def land(self) -> None:
        """Read the window like a poll: landed, normalized, merged."""
        windows = [(KEY, Window(START, START + timedelta(minutes=5)))]
        self.services.landing.land(
            self.write(self.document()),
            "monza",
            windows,
            CHANNEL_ID,
            NOW,
            erasures=read_erasures(self.services.database),
        )
        for key, document in landed_documents(self.services, SESSION, [KEY], "landing"):
            self.services.normalized.save(document, "monza", key)

    def take(self, document: dict[str, Any]) -> Any:
        """Import an export and return the report."""
        return import_messages(
            self.services,
            "monza",
            file=self.write(document),
            on_rows_merged=reading_content(self.services),
        )

    def frame(self, after: float, content: str, user_id: int, **fields: Any) -> bytes:
        """Return an event of the gateway."""
        posted_at = START + timedelta(seconds=after)
        data = {
            "id": str(first_id_at(posted_at) + 1),
            "channel_id": str(CHANNEL_ID),
            "guild_id": str(GUILD_ID),
            "timestamp": posted_at.isoformat(),
            "edited_timestamp": None,
            "author": {"id": str(user_id), "username": self.author(user_id)["name"]},
            "content": content,
            "type": 0,
            "pinned": False,
            "attachments": [],
            "embeds": [],
            "mentions": [],
        } | fields
        return json.dumps({"op": 0, "s": 1, "t": "MESSAGE_CREATE", "d": data}).encode()

    def frames(self) -> list[bytes]:
        """Return what the gateway sends: the person, and somebody who quotes and mentions the person."""
        quoted = json.loads(self.frame(1, self.word, AUTHOR))["d"]
        named = [{"id": str(AUTHOR), "username": self.word}]
        return [
            self.frame(20, f"live {self.word}", AUTHOR),
            self.frame(21, "quoting", OTHER, referenced_message=quoted, mentions=named),
        ]

    def deletion(self, message_id: int) -> bytes:
        """Return the event of a deletion."""
        data = {"id": str(message_id), "channel_id": str(CHANNEL_ID), "guild_id": str(GUILD_ID)}
        return json.dumps({"op": 0, "s": 1, "t": "MESSAGE_DELETE", "d": data}).encode()

    def content_of_landed(self) -> str:
        """Return all documents that have landed."""
        return "".join(path.read_text() for path in (self.data_dir / "landing" / "monza").rglob("*.json"))

    def spool(self, *frames: bytes) -> Any:
        """Receive events: spooled, merged, landed in the raw store. The spool keeps them."""
        spool = Spool(self.data_dir / SPOOL_FOLDER)
        for place, each in enumerate(frames):
            spool.append(each, NOW + timedelta(seconds=place))
        spool.flush()
        batch = ingest_spooled(
            self.services,
            SpoolReader(spool, "forget"),
            self.position,
            is_monitored=lambda _: True,
            sessions=[],
        )
        self.position = batch.position if batch else self.position
        SpoolLanding(
            spool,
            self.services.landing.raw,
            self.data_dir / SPOOL_FOLDER,
            lambda _: True,
            erasures=partial(read_erasures, self.services.database),
        ).land()
        return batch

    def fill(self) -> None:
        """Put the words everywhere."""
        services, database = self.services, self.services.database
        database.run(lambda connection: save_sessions(connection, [SESSION], now=NOW))
        self.land()
        earlier = self.document()
        earlier["messages"][0]["content"] += " earlier"
        self.take(earlier | {"exportedAt": (START + timedelta(hours=2)).isoformat()})
        self.take(self.document())
        database.run(lambda connection: keep_parents(connection, {THREAD: CHANNEL_ID}, now=NOW))
        self.take(self.thread())
        self.spool(*self.frames())
        services.landing.quarantine(self.write(self.document(), "bad.json"), "it is damaged")
        kept = self.data_dir / "tmp_transcripts_from_discord" / "kept.json"
        kept.parent.mkdir()
        kept.write_text(json.dumps(self.document()), encoding="utf-8")
        clip = self.data_dir / "clips" / "ab" / f"{self.word}.mp4"
        clip.parent.mkdir(parents=True)
        clip.write_text(self.word, encoding="ascii")
        first = int(self.document()["messages"][0]["id"])
        database.run(
            lambda connection: connection.execute(
                "keep_clip_file",
                discord_id=first,
                clip_key=f"https://cdn.invalid/{self.word}.mp4",
                sha256="ab",
                stored_bytes=12,
                file_path=str(clip),
                problem=None,
                fetched_at=NOW,
            )
        )
        bring_up_to_date(open_index(database))
        database.run(lambda connection: write_manifests(connection, SESSION, source="export", now=NOW))
        write_session_report(services, SESSION)
        back_up(database, self.data_dir / "before.duckdb")
        (self.data_dir / "ingest.duckdb.damaged-1").write_text(f"torn {self.word}", encoding="ascii")

    def ids(self) -> set[int]:
        """Return the messages that are stored."""
        with self.services.database.read() as connection:
            return {row["discord_id"] for row in connection.fetch_all("list_message_sources")}


def with_the_word(world: World) -> set[str]:
    """Return the files of the data folder and of the PostgreSQL server that have the word in any byte."""
    wanted = [world.word.encode(), world.word.upper().encode(), world.word.encode("utf-16-le")]
    found = set()
    for path in sorted(world.data_dir.rglob("*")):
        if path.is_file() and any(each in content for each in wanted for content in _readings(path)):
            found.add(str(path.relative_to(world.data_dir)))
    found |= {str(path.relative_to(world.data_dir)) for path in world.data_dir.rglob(f"*{world.word}*")}
    for name, content in _server_files(world):
        if any(each in content for each in wanted):
            found.add(name)
    return found


def _readings(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and what they are when they are unpacked."""
    yield path.read_bytes()
    if path.suffix == ".zst":
        with path.open("rb") as file, pa.CompressedInputStream(file, "zstd") as stream:
            yield stream.read()
    if path.suffix == ".parquet":
        yield str(pq.read_table(path).to_pylist()).encode()
        yield str(pq.read_metadata(path).metadata).encode()


def _server_files(world: World) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the database on the server, by the names of their tables and indexes."""
    url = world.services.settings.database_url
    if url is None:
        return
    with psycopg.connect(url.get_secret_value()) as connection:
        found = connection.execute(
            "SELECT current_setting('data_directory'), oid::TEXT FROM pg_database "
            "WHERE datname = current_database()"
        ).fetchone()
        assert found is not None
        names: dict[str, str] = dict(
            connection.execute(
                "SELECT pg_relation_filenode(oid)::TEXT, relname::TEXT FROM pg_class WHERE relfilenode <> 0"
            ).fetchall()
        )
    for path in sorted(Path(found[0], "base", found[1]).iterdir()):
        # The server removes files of its own meanwhile; one that is gone holds no word.
        with suppress(FileNotFoundError):
            yield names.get(path.name, f"file {path.name} of no table"), path.read_bytes()
