"""One child process in a session of its own, and its output line by line."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ingest_pipeline.errors import ConfigurationError

LINE_LIMIT_BYTES = 65_536
# The process itself says that it lives before it becomes the program, and the pipe does not end while it has
# it: whenever its supervisor is killed, the warden knows of it. The inner shell alone dies when nobody reads.
_ANNOUNCED = ("/bin/sh", "-c", '(echo "+$$" >&0); exec "$@" </dev/null', "sh")


class Child:
    """A started process that leads a session, so that what it starts can be stopped with it.

    Args:
        command: Program and arguments; never a secret among them, since any user can list them.
        environment: The whole environment.
        folder: Working directory.
        reports: Descriptor of a pipe that it writes `+<process id>` to before anything else.
        on_line: Called in a thread with each line of output and error output.

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
    ) -> None:
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            raise ConfigurationError(f"cannot be started ({command[0]}: there is no such program)")
        try:
            self._process = subprocess.Popen(
                [*_ANNOUNCED, *command],
                env=dict(environment),
                cwd=folder,
                stdin=reports,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(f"cannot be started ({command[0]}: {error.strerror})") from None
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
        """Wait until all output was handed on, at most so long."""
        self._reader.join(timeout_seconds)

    def _read(self, on_line: Callable[[str], None]) -> None:
        output = self._process.stdout
        if output is None:
            return
        with output, suppress(ValueError):
            while line := output.readline(LINE_LIMIT_BYTES):
                on_line(line.decode("utf-8", errors="replace"))


def describe_exit(code: int) -> str:
    """Say how a process ended: its exit code, or the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
