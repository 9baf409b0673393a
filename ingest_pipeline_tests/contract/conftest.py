"""Every test here runs on both engines: a DuckDB file and a real PostgreSQL server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline_tests.contract.postgres_server import fresh_schema

ENGINES = ("duckdb", "postgres")


@pytest.fixture
def make_settings(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Settings]]:
    """Make the settings of an empty database on an engine."""
    with ExitStack() as stack:

        def make(engine: str) -> Settings:
            url = None
            if engine == "postgres":
                url = SecretStr(stack.enter_context(fresh_schema(request.getfixturevalue("postgres_url"))))
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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file whose tables are empty; copying it costs a fifth of making it."""
    made = DuckDBDatabase(tmp_path_factory.mktemp("migrated") / "ingest.duckdb", 20)
    made.migrate()
    return made.path


@pytest.fixture
def database(settings: Settings, migrated_file: Path) -> Iterator[Database]:
    """An empty database, once for each engine."""
    opened = open_database(settings)
    if isinstance(opened, DuckDBDatabase):
        opened.path.parent.mkdir(parents=True)
        shutil.copy(migrated_file, opened.path)
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
