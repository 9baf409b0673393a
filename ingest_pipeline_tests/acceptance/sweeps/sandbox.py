"""A whole deployment for processes to work on: a simulated channel, an exporter, an engine, a folder.

The channel is the demo's simulation (`demo/simulated_session.py`): messages, edits, previews, reactions and
deletions follow from a seed, so what the table must hold at any time is known.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.demo.simulated_session import Scene
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.migrations import list_tables
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.acceptance.sweeps.boundaries import Boundary
from ingest_pipeline_tests.acceptance.sweeps.children import Child, Ended, Order

TOKEN = "an-invented-token-0123456789"
CHANNEL_ID = 1_100_000_000_000_000_042
SESSION_ID = "monza"
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
SCENE = Scene(START, seed=5, minutes=20, channel_id=CHANNEL_ID)

# A first poll, the poll under test, the one after it, and the session's end with everything settled.
FIRST, POLL, LATER, AFTER = (START + timedelta(minutes=minutes) for minutes in (6, 8.5, 11, 40))

MERGED = ("messages", "message_revisions", "tombstones")
# What was done when and by whom, which differs between two runs of the same.
_OF_THE_MACHINERY = {
    "schema_migrations",
    "events",
    "copy_progress",
    # Positions in the feed, and its id, are each database's own.
    "message_changes",
    "change_feeds",
    # Registered by the first run that reads content.
    "content_kinds",
}

Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Ground:
    """A deployment in a folder.

    Attributes:
        folder: Everything but the data of PostgreSQL.
        url: The database's URL; None for DuckDB in the data folder.
        settings: Environment variables besides.
        scene: What happens in the channel.
    """

    folder: Path
    url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    scene: Scene = SCENE

    def __post_init__(self) -> None:
        """Install the exporter, and an empty `.env` that keeps the project's out."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        (self.folder / ".env").touch()
        install_stand_in(self.folder / "bin", self.world)

    @property
    def engine(self) -> str:
        """The engine's name."""
        return "postgres" if self.url else "duckdb"

    @property
    def data_dir(self) -> Path:
        """Where everything is written."""
        return Path(self.environment["INGEST_DATA_DIR"])

    @property
    def world(self) -> Path:
        """The file that says what the exporter sees."""
        return self.folder / "world.json"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the processes."""
        return {
            "INGEST_DATA_DIR": str(self.folder / "data"),
            "INGEST_EXPORTER_PATH": str(self.folder / "bin" / "DiscordChatExporter.Cli"),
            "INGEST_DATABASE_WAIT_SECONDS": "30",
            "DISCORD_OAUTH_TOKEN": TOKEN,
            # What killed processes leave there goes with the folder.
            "TMPDIR": str(self.folder / "tmp"),
            **({"INGEST_DATABASE_URL": self.url} if self.url else {}),
            **self.settings,
        }

    def show(self, now: datetime | None, *, fault: str | None = None) -> None:
        """Let the exporter see the channel as it is at a time, or as time goes by, and fail on request."""
        acts = self.scene
        scene = {"start": acts.start.isoformat(), "seed": acts.seed, "minutes": acts.minutes}
        channel = {"id": str(CHANNEL_ID), "name": "team-radio", "scenes": [scene]}
        guild = {"id": "690000000000000001", "name": "Paddock", "iconUrl": ""}
        world = {"token": TOKEN, "guild": guild, "channels": [channel], "fault": fault}
        self.world.write_text(json.dumps({**world, "now": now and now.isoformat()}), encoding="utf-8")

    def start(
        self,
        work: Any,
        *arguments: object,
        now: datetime | None = None,
        boundary: Boundary | None = None,
        **environment: str,
    ) -> Child:
        """Start a process on an action of `actions.py`, at a time that stands still if given."""
        settings = {**self.environment, **environment}
        return Child(Order(work, arguments, self.folder, settings, now, boundary))

    def run(self, work: Any, *arguments: object, now: datetime | None = None, **more: Any) -> Ended:
        """Show the channel at a time, run a process on an action then, and wait for its end."""
        if now:
            self.show(now)
        return self.start(work, *arguments, now=now, **more).ended()

    def open(self) -> Database:
        """Open the database in this process."""
        url = SecretStr(self.url) if self.url else None
        return open_database(
            Settings(_env_file=None, data_dir=self.data_dir, database_url=url, database_wait_seconds=20)
        )

    def add_session(self) -> None:
        """Store the session, before which nothing is live."""
        start = self.scene.start
        end = start + timedelta(minutes=self.scene.minutes)
        database = self.open()
        with database.write() as connection:
            save_sessions(connection, [Session(SESSION_ID, start, end, (CHANNEL_ID,))], now=start)
        database.close()

    def tables(self) -> Tables:
        """Return every row of every table that holds data, and every column of it."""
        database = self.open()
        try:
            return stored_tables(database)
        finally:
            database.close()

    def wipe(self) -> None:
        """Leave neither data folder nor tables."""
        shutil.rmtree(self.data_dir, ignore_errors=True)
        if self.url:
            with psycopg.connect(self.url, autocommit=True) as connection:
                (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
                for statement in ("DROP SCHEMA {} CASCADE", "CREATE SCHEMA {}"):
                    connection.execute(sql.SQL(statement).format(sql.Identifier(schema)))

    def copy_of(self, other: Ground) -> None:
        """Make data folder and database what another ground's are."""
        shutil.rmtree(self.data_dir, ignore_errors=True)
        shutil.copytree(other.data_dir, self.data_dir)
        if self.url and other.url:
            database = self.open()
            database.migrate()
            database.close()
            copy_schema(other.url, self.url)


def prepared(ground: Ground) -> Ground:
    """Store the session and let the sensor poll a first time."""
    from ingest_pipeline_tests.acceptance.sweeps.actions import tick

    ground.add_session()
    first = ground.run(tick, now=FIRST)
    assert first.code == 0, first
    assert len(ground.tables()["messages"]) > 50, first
    return ground


def unlike_the_channel(
    tables: Tables, now: datetime, since: datetime, scene: Scene = SCENE, *, until: datetime | None = None
) -> str:
    """Return what is missing from the table, or not as the channel has it; empty when nothing is.

    Held against the simulation itself: every message with text that can be read at a time is there,
    and those posted since another say what they say by then. Nothing else is there but what was posted
    until a third, where time went on while the channel was read.
    """
    rows = {row["discord_id"]: row for row in tables["messages"]}
    truth, later = scene.truth(now), scene.truth(until or now)
    expected = (truth.visible.keys() & later.visible.keys()) - truth.without_text
    posted = (later.visible.keys() - later.without_text) | later.deleted
    first = first_id_at(since)
    problems = [f"{discord_id} is missing" for discord_id in expected - rows.keys()]
    problems += [f"{discord_id} was never posted" for discord_id in rows.keys() - posted]
    problems += [
        f"{discord_id} says {rows[discord_id]['raw_content']!r}, not {truth.visible[discord_id]!r}"
        for discord_id in expected & rows.keys()
        if discord_id >= first
        and rows[discord_id]["raw_content"] not in {truth.visible[discord_id], later.visible[discord_id]}
    ]
    return "; ".join(sorted(problems))


def stored_tables(database: Database, names: Container[str] | None = None) -> Tables:
    """Return every row of every table that holds data, or of some tables, and every column of it."""
    with database.read() as connection:
        return {
            table.name: connection.fetch_all(
                "read_first_page",
                {"table": table.name, "columns": "*", "key": ", ".join(table.key)},
                maximum=10**6,
            )
            for table in list_tables(connection)
            if (table.name in names if names else table.name not in _OF_THE_MACHINERY)
        }


def without(tables: Tables, columns: Container[str]) -> Tables:
    """Return tables without some columns."""
    return {
        table: [{name: value for name, value in row.items() if name not in columns} for row in rows]
        for table, rows in tables.items()
    }


def merged(tables: Tables) -> Tables:
    """Return what the merge itself writes, in one transaction; what is derived comes in a later one."""
    return without({name: tables[name] for name in MERGED}, {"is_highlight_candidate"})


def proven(tables: Tables) -> list[tuple[int, int]]:
    """Return the ids that are proven as the fewest intervals, however many readings proved them."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted((row["low"], row["high"]) for row in tables["coverage"]):
        if joined and low <= joined[-1][1]:
            first, reached = joined.pop()
            joined.append((first, max(reached, high)))
        else:
            joined.append((low, high))
    return joined


def copy_schema(source: str, target: str) -> None:
    """Make every table of one schema hold what the same table of another does."""
    with psycopg.connect(source) as there, psycopg.connect(target) as here:
        (schema,) = there.execute("SELECT current_schema()").fetchone() or ("",)
        tables = [
            name
            for (name,) in here.execute(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
            )
        ]
        here.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, tables))))
        for name in tables:
            copied = sql.SQL("INSERT INTO {} SELECT * FROM {}").format(
                sql.Identifier(name), sql.Identifier(schema, name)
            )
            here.execute(copied)
