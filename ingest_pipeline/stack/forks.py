"""Services as forks of one process that has imported what they share.

A service that starts Python by itself imports the same hundred megabytes as its neighbours; as forks they
share them. The process is `orchestration/runtime/fork_server.py`, asked over a socket of packets: a request
is JSON with the descriptors for reports and output, and answers are `ready`, `started <process id>` and
`ended <process id> <exit code>`. Where it cannot be had, services are started as programs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.stack.processes import is_alive

FORK_SERVER = "ingest_pipeline.orchestration.runtime.fork_server"
LONGEST_PACKET_BYTES = 65_536
_ANSWER_SECONDS = 10.0
_STOP_SECONDS = 5.0


class ServiceForks:
    """Our end of the socket to the fork server, and the process itself.

    Args:
        environment: The whole environment of all services.
        folder: Their working directory.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", FORK_SERVER, str(theirs.fileno())],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._folder = folder
        self._is_ready = self._is_gone = False
        self._started: int | None = None
        self._codes: dict[int, int] = {}

    @property
    def process_id(self) -> int:
        """The process that services are forks of."""
        return self._process.pid

    def is_ready(self) -> bool:
        """Return whether services can be started."""
        self._hear()
        return self._is_ready and not self._is_gone

    def is_gone(self) -> bool:
        """Return whether the process has ended; what it started goes on."""
        self._hear()
        return self._is_gone

    def start(self, command: Sequence[str], reports: int, output: int) -> ForkedProcess:
        """Start a service.

        Args:
            command: `python -m`, a module and its arguments.
            reports: Descriptor that the service writes `+<process id>` to before anything else.
            output: Descriptor that it writes its output and error output to.

        Raises:
            ConfigurationError: The process does not answer.
        """
        self._started = None
        stated = {"module": command[2], "arguments": list(command[3:]), "folder": str(self._folder)}
        try:
            socket.send_fds(self._socket, [json.dumps(stated).encode()], [reports, output])
        except OSError:
            self._is_gone = True
        while self._started is None and not self._is_gone:
            self._hear(_ANSWER_SECONDS)
        if self._started is None:
            raise ConfigurationError("cannot be started (the fork server ended)")
        return ForkedProcess(self, self._started)

    def exit_code(self, process: int) -> int | None:
        """Return how a process ended (negative: by that signal), or None while it runs."""
        self._hear()
        if process not in self._codes and self._is_gone and not is_alive(process):
            # Nobody is left to report it to.
            self._codes[process] = 1
        return self._codes.get(process)

    def stop(self) -> None:
        """End the process; what it started is not touched."""
        self._socket.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self, seconds: float = 0.0) -> None:
        """Take the answers that are there; wait for the first of them at most this time."""
        while not self._is_gone:
            self._socket.settimeout(seconds)
            try:
                answer = self._socket.recv(LONGEST_PACKET_BYTES)
            except BlockingIOError:
                return
            except TimeoutError:
                self._is_gone = True
                self._process.kill()
                return
            except OSError:
                answer = b""
            self._take(answer.decode().split())
            seconds = 0.0

    def _take(self, answer: Sequence[str]) -> None:
        match answer:
            case ["ready"]:
                self._is_ready = True
            case ["started", process]:
                self._started = int(process)
            case ["ended", process, code]:
                self._codes[int(process)] = int(code)
            case _:
                self._is_gone = True
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)


class ForkedProcess:
    """A service that was forked, with the part of `subprocess.Popen` that is used here."""

    def __init__(self, forks: ServiceForks, process: int) -> None:
        self.pid = process
        self._forks = forks

    def poll(self) -> int | None:
        """See `subprocess.Popen`."""
        return self._forks.exit_code(self.pid)


def can_fork() -> bool:
    """Return whether a process that has imported everything may be forked: Python says so on Linux alone."""
    return sys.platform == "linux" and hasattr(os, "fork")
