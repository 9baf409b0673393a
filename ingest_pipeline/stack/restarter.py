"""The restarter of one service: starts it, notices its death, starts it again after a pause.

Nothing here sleeps or waits: the supervisor's loop calls `look` with its clock, which also makes
every decision testable. Pauses double from one second to a minute, and start over once a part has
run well for a minute.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from ingest_pipeline.domain.backoff import Backoff, FailureCount
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.stack.forks import ServiceForks
from ingest_pipeline.stack.processes import ask_to_stop, is_alive, kill
from ingest_pipeline.stack.services import ServiceSpec

LINE_LIMIT_BYTES = 65_536
# The process itself reports that it lives before it becomes the program, and the pipe does not end while it
# has it: whenever its supervisor is killed, the reaper knows of it. The inner shell alone dies without a
# reader.
_ANNOUNCED = ("/bin/sh", "-c", '(echo "+$$" >&0); exec "$@" </dev/null', "sh")
RESTARTS = Backoff(first_seconds=1.0, longest_seconds=60.0)
STABLE_SECONDS = 60.0
LEFTOVER_GRACE_SECONDS = 5.0
LAST_OUTPUT_SECONDS = 1.0


class Process(Protocol):
    """A started process."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code (negative: the signal that ended it), or None while it runs."""


class Child:
    """A started process that leads a session, so that what it starts can be stopped with it.

    Args:
        command: Program and arguments; never a secret among them, since any user can list them.
        environment: The whole environment.
        folder: Working directory.
        reports: Descriptor of a pipe that it writes `+<process id>` to before anything else.
        on_line: Called in a thread with each line of output and error output.
        forks: Starts it as a fork, whose environment and working directory are that server's.

    Raises:
        ConfigurationError: The program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        reports: int,
        on_line: Callable[[str], None],
        forks: ServiceForks | None = None,
    ) -> None:
        if forks is not None:
            self._process, self._output = _forked(forks, command, reports)
        else:
            self._process, self._output = _executed(command, environment, folder, reports)
        self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reader.start()

    @property
    def leader(self) -> int:
        """Its process id, which is also its process group's and its session's."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how the process ended (negative: by that signal), or None while it runs."""
        return self._process.poll()

    def finish_reading(self, timeout_seconds: float) -> None:
        """Wait until all output was handed on, at most this time."""
        self._reader.join(timeout_seconds)

    def _read(self, on_line: Callable[[str], None]) -> None:
        with self._output, suppress(ValueError):
            while line := self._output.readline(LINE_LIMIT_BYTES):
                on_line(line.decode("utf-8", errors="replace"))


def _executed(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, reports: int
) -> tuple[Process, IO[bytes]]:
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        raise ConfigurationError(f"cannot be started ({command[0]}: no such program)")
    reader, writer = os.pipe()
    output = os.fdopen(reader, "rb")
    try:
        process = subprocess.Popen(
            [*_ANNOUNCED, *command],
            env=dict(environment),
            cwd=folder,
            stdin=reports,
            stdout=writer,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        output.close()
        raise ConfigurationError(f"cannot be started ({command[0]}: {error.strerror})") from None
    finally:
        os.close(writer)
    return process, output


def _forked(forks: ServiceForks, command: Sequence[str], reports: int) -> tuple[Process, IO[bytes]]:
    reader, writer = os.pipe()
    output = os.fdopen(reader, "rb")
    try:
        return forks.start(command, reports, writer), output
    except ConfigurationError:
        output.close()
        raise
    finally:
        os.close(writer)


def describe_exit(code: int) -> str:
    """Say how a process ended: its exit code, or the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


class Reporter(Protocol):
    """Takes reports of processes that are gone; those that live report themselves (see `Child`)."""

    def ended(self, leader: int) -> None:
        """Note that nothing of a part is left."""


class ProcessRestarter:
    """Keeps one part running.

    Args:
        part: What to run.
        start: Starts the part's process.
        log: Takes a line about what happened.
        reporter: Takes a report of every end.
    """

    def __init__(
        self,
        part: ServiceSpec,
        *,
        start: Callable[[ServiceSpec], Child],
        log: Callable[[str], None],
        reporter: Reporter,
    ) -> None:
        self.part = part
        self._start = start
        self._log = log
        self._reporter = reporter
        self._child: Child | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._failures = FailureCount(RESTARTS)
        self._leftover_deadline: float | None = None

    def look(self, now: float) -> None:
        """Do what is due.

        Args:
            now: A monotonic clock's reading in seconds.
        """
        if self._child is None:
            if now >= self._start_at:
                self._begin(now)
        elif self._child.exit_code() is not None:
            self._after_death(self._child, now)

    def ask_to_stop(self) -> None:
        """Ask the part, and what it started, to end."""
        if self._child is not None:
            ask_to_stop(self._child.leader)

    def kill(self) -> None:
        """End the part, and what it started, at once."""
        if self._child is not None:
            kill(self._child.leader)

    def is_gone(self) -> bool:
        """Return whether no process of the part is left; forgets it then."""
        if self._child is None:
            return True
        if self._child.exit_code() is None or is_alive(self._child.leader):
            return False
        self._forget(self._child)
        return True

    def _begin(self, now: float) -> None:
        try:
            self._child = self._start(self.part)
        except ConfigurationError as error:
            self._plan_restart(now, str(error))
            return
        self._started_at = now

    def _after_death(self, child: Child, now: float) -> None:
        # What the dead part had started would meet its successor: it is stopped first.
        if self._leftover_deadline is None:
            self._leftover_deadline = now + LEFTOVER_GRACE_SECONDS
            ask_to_stop(child.leader)
        if is_alive(child.leader) and now < self._leftover_deadline:
            return
        kill(child.leader)
        lived = now - self._started_at
        if lived >= STABLE_SECONDS:
            self._failures.reset()
        self._forget(child)
        code = child.exit_code() or 0
        if code in self.part.final_codes:
            self._log(f"{self.part.name} is off ({describe_exit(code)}): see above; everything else runs")
            self._start_at = float("inf")
            return
        self._plan_restart(now, f"ended with {describe_exit(code)} after {lived:.0f} s")

    def _plan_restart(self, now: float, reason: str) -> None:
        pause = self._failures.next_pause()
        self._log(f"{self.part.name} {reason}; starting it again in {pause:.0f} s")
        self._start_at = now + pause

    def _forget(self, child: Child) -> None:
        child.finish_reading(LAST_OUTPUT_SECONDS)
        self._reporter.ended(child.leader)
        self._child = None
        self._leftover_deadline = None
