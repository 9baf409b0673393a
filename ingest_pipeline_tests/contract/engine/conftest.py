"""The engines themselves are tested from the beginning: nothing is made or migrated beforehand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline_tests.conftest import FROM_NOTHING
from ingest_pipeline_tests.contract.postgres_server import fresh_schema


@pytest.fixture(autouse=True)
def made_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DuckDB file is no copy of one that was migrated before."""
    monkeypatch.setattr(DuckDBDatabase, "_current", FROM_NOTHING)


@pytest.fixture
def make_postgres(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[str]]:
    """Make an empty schema on the server."""
    return lambda: fresh_schema(request.getfixturevalue("postgres_url"))
