"""What every test shares."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import cache
from tempfile import TemporaryDirectory

import pytest
import typer.testing
from hypothesis import HealthCheck, settings

from ingest_pipeline.redaction import forget
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline_tests.contract.postgres_server import migrated_copies, running_server
from ingest_pipeline_tests.thoroughness import examples

# A slow moment of the machine is no failure of a property.
settings.register_profile(
    "suite", max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
# Typer's runner makes all commands anew for each one that it runs, which takes longer than most of them.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let slow tests be asked for."""
    parser.addoption("--all", action="store_true", help="run the tests marked slow, and acceptance, as well")


def pytest_configure(config: pytest.Config) -> None:
    """Run slow tests when they are named; handle Ctrl-C in the background, where shells turn it off."""
    is_selected = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    config.option.all = config.option.all or bool(is_selected or config.option.markexpr)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is slow, unless it is asked for."""
    for item in items:
        if "acceptance" in item.path.parts:
            item.add_marker("slow")
    if config.option.all:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if not item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)


@pytest.fixture(autouse=True)
def no_logging_of_earlier_commands() -> None:
    """What commands in earlier tests set up is undone: their levels would hide what a test looks for."""
    for name in list(logging.root.manager.loggerDict):
        if not name.startswith(("ingest_pipeline", "discord", "urllib3")):
            continue
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        logger.handlers.clear()


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """What a test's commands and libraries set for the whole process does not reach the next test."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
    for each, handler in handlers.items():
        if signal.getsignal(each) is not handler:
            signal.signal(each, handler)


@pytest.fixture(autouse=True)
def no_secrets_of_earlier_tests() -> Iterator[None]:
    """What one test keeps secret is an ordinary word in the next."""
    yield
    forget()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server, one for all tests of a process."""
    with running_server(os.environ.get("TEST_POSTGRES_URL")) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """Make a database of its own on the server, its tables made and empty."""
    with migrated_copies(postgres_url) as copy:
        yield copy


FROM_NOTHING = DuckDBDatabase._current


@pytest.fixture(scope="session", autouse=True)
def migrated_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let a DuckDB file that a test begins to use be a copy of a migrated one: a tenth of the work.

    `DuckDBDatabase.migrate` goes on making it from nothing; so do the tests of the engine.
    """
    template = DuckDBDatabase(tmp_path_factory.mktemp("migrated") / "ingest.duckdb", 20)
    template.migrate()

    def current(database: DuckDBDatabase, *, read_only: bool) -> AbstractContextManager[Connection]:
        path = database.path
        if not path.exists():
            # What is wrong with the folder is reported by the engine itself.
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                with TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:
                    path.hardlink_to(shutil.copy(template.path, folder))
        return FROM_NOTHING(database, read_only=read_only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckDBDatabase, "_current", current)
        yield
