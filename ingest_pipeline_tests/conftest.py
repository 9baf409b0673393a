"""What every test shares."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from ingest_pipeline.redaction import forget
from ingest_pipeline_tests.contract.postgres_server import running_server

# A slow moment of the machine is no failure of a property.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_configure() -> None:
    """Handle Ctrl-C in the background too, where shells turn it off for whatever they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
def no_secrets_of_earlier_tests() -> Iterator[None]:
    """What one test keeps secret is an ordinary word in the next."""
    yield
    forget()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server, one for all tests of a process."""
    with running_server(os.environ.get("TEST_POSTGRES_URL")) as url:
        yield url
