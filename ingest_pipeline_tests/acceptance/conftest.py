"""Deployments for the tests with real processes, on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from ingest_pipeline_tests.acceptance.sweeps.sandbox import Ground, prepared
from ingest_pipeline_tests.contract.postgres_server import fresh_schema

ENGINES = ("duckdb", "postgres")


@pytest.fixture(scope="session")
def empty_ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Ground]]:
    """Make a deployment without any data on an engine."""
    with ExitStack() as stack:

        def make(engine: str, **settings: str) -> Ground:
            url = None
            if engine == "postgres":
                url = stack.enter_context(fresh_schema(request.getfixturevalue("postgres_url")))
            return Ground(tmp_path_factory.mktemp(engine), url, settings)

        yield make


@pytest.fixture(scope="session")
def templates(empty_ground: Callable[..., Ground]) -> Callable[[str], Ground]:
    """Return the deployment of an engine whose first poll is done; not to be changed."""
    return cache(lambda engine: prepared(empty_ground(engine)))


@pytest.fixture(scope="session", params=ENGINES)
def template(request: pytest.FixtureRequest, templates: Callable[[str], Ground]) -> Ground:
    """A deployment whose first poll is done, once for each engine; not to be changed."""
    return templates(request.param)


@pytest.fixture(scope="session")
def duckdb_template(templates: Callable[[str], Ground]) -> Ground:
    """The one on the embedded engine."""
    return templates("duckdb")
