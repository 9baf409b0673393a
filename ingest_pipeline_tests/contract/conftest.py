"""Every test here runs on both engines: a DuckDB file and a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.open import open_database

ENGINES = ("duckdb", "postgres")


@pytest.fixture
def make_postgres(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[str]]:
    """Make a PostgreSQL database and yield its URL; the server is started when it is first asked for."""

    def make() -> AbstractContextManager[str]:
        made: AbstractContextManager[str] = request.getfixturevalue("migrated_postgres")()
        return made

    return make


@pytest.fixture
def make_settings(
    tmp_path: Path, make_postgres: Callable[[], AbstractContextManager[str]]
) -> Iterator[Callable[[str], Settings]]:
    """Make the settings of an empty database on an engine."""
    with ExitStack() as stack:

        def make(engine: str) -> Settings:
            url = None
            if engine == "postgres":
                url = SecretStr(stack.enter_context(make_postgres()))
            return Settings(
                _env_file=None,
                data_dir=tmp_path / f"{engine}-{uuid4().hex[:8]}",
                database_url=url,
                database_wait_seconds=20,
            )

        yield make


@pytest.fixture(params=ENGINES)
def settings(request: pytest.FixtureRequest, make_settings: Callable[[str], Settings]) -> Settings:
    """The settings of an empty database, once for each engine."""
    return make_settings(request.param)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """An empty database, once for each engine."""
    opened = open_database(settings)
    yield opened
    opened.close()


@pytest.fixture
def make_database(make_settings: Callable[[str], Settings]) -> Iterator[Callable[[str], Database]]:
    """Make an empty database on an engine."""
    with ExitStack() as stack:

        def make(engine: str) -> Database:
            opened = open_database(make_settings(engine))
            stack.callback(opened.close)
            return opened

        yield make
