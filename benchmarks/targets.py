"""Targets of contenders: an empty folder each, or an empty database on a server of the benchmark's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.contenders import Contender
from benchmarks.processes import usage
from ingest_pipeline_tests.contract.postgres_server import own_postgres


@dataclass(frozen=True, slots=True)
class Target:
    """One contender's place.

    Attributes:
        url: The database: a path, or the server's URL.
        folder: A folder for whatever else it keeps.
        table: Its table of messages, as SQL.
    """

    url: str
    folder: Path
    table: str


class Targets:
    """Makes targets below a folder; the server is started when the first one needs it."""

    def __init__(self, root: Path) -> None:
        """Start nothing yet."""
        self._root = root
        self._stack = ExitStack()
        self._server: str | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        """Use it in a `with` block, so that the server is stopped."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._stack.close()

    @property
    def server(self) -> str:
        """The URL of the server."""
        if self._server is None:
            server = self._stack.enter_context(own_postgres())
            self._server, self._pid = str(server.get_uri()), int(server.get_pid())
        return self._server

    def server_cpu(self) -> float:
        """Return the CPU seconds that the server has taken so far, 0 while there is none."""
        return usage(self._pid, with_memory=False).cpu_seconds if self._pid else 0.0

    def version(self) -> str:
        """Return the server's version."""
        with psycopg.connect(self.server) as connection:
            return connection.info.parameter_status("server_version") or "unknown"

    @contextmanager
    def fresh(self, contender: Contender) -> Iterator[Target]:
        """Yield an empty target, removed afterwards."""
        self._root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{contender.name}-", dir=self._root)).absolute()
        table = "rival.messages" if "dlt" in contender.name else "messages"
        try:
            if contender.engine == "postgres":
                with self.database() as url:
                    yield Target(url, folder, table)
            else:
                yield Target(str(folder / f"ingest.{contender.engine}"), folder, table)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def lasting(self, name: str) -> str:
        """Return the URL of an empty database that goes when the server does."""
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlsplit(self.server)._replace(path=f"/{name}").geturl()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of an empty database of the server, dropped afterwards."""
        name = sql.Identifier("benchmark")
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield urlsplit(self.server)._replace(path="/benchmark").geturl()
        finally:
            with psycopg.connect(self.server, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
                # What was written is flushed now and not while the next one is measured.
                connection.execute("CHECKPOINT")
