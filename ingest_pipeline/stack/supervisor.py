"""The supervisor of the stack, and its console.

Lines come from other programs and may quote messages from Discord, so control characters, which
a terminal would obey, are dropped. Debug lines go to the files alone.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from time import gmtime
from typing import Protocol, TextIO

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.redaction import redact
from ingest_pipeline.stack.forks import ServiceForks
from ingest_pipeline.stack.lock import OrphanReaper
from ingest_pipeline.stack.restarter import Child, ProcessRestarter
from ingest_pipeline.stack.services import ServiceSpec

FILE_BYTES = 5_000_000
FILES_KEPT = 4
NAME_WIDTH = 10
OWN_NAME = "start"

_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
_DEBUG_MARK = " - DEBUG - "
_CONTROL_CHARACTERS = {code: None for code in (*range(32), *range(127, 160)) if code != ord("\t")}
_COLOURS = {OWN_NAME: "1", "webserver": "36", "daemon": "35", "code": "33", "api": "34"}
LOOK_EVERY_SECONDS = 0.1
PROBE_EVERY_SECONDS = 0.2
STOP_GRACE_SECONDS = 20.0
KILL_GRACE_SECONDS = 2.0
WAIT_FOR_READY_SECONDS = 60.0
RENEW_AGAIN_SECONDS = 10.0


def clean(line: str) -> str:
    """Return a line without secrets and without control characters."""
    return redact(_COLOUR_CODES.sub("", line)).translate(_CONTROL_CHARACTERS)


class Console:
    """The one writer to the terminal and to the log files; safe to call from several threads.

    Args:
        stream: Where people read along.
        folder: Where `<part>.log` files go: at most 5 of 5 MB each, oldest dropped.
        colour: Whether part names are coloured.
    """

    def __init__(self, stream: TextIO, folder: Path, *, colour: bool = False) -> None:
        self._stream = stream
        self._folder = folder
        self._colour = colour
        self._lock = threading.Lock()
        self._files: dict[str, _PartFile] = {}
        self._readable = True

    def log(self, line: str) -> None:
        """Write a line of the supervisor's own."""
        self.write(OWN_NAME, line)

    def write(self, name: str, line: str) -> None:
        """Write one line that the part `name` wrote, with or without its line end."""
        text = clean(line.rstrip())
        with self._lock:
            self._file(name).handle(logging.makeLogRecord({"msg": text}))
            if text and _DEBUG_MARK not in text:
                self._show(f"{self._label(name)} │ {text}\n")

    def show(self, text: str) -> None:
        """Write text to the console alone, unprefixed: banners, which no file needs."""
        with self._lock:
            self._show(text)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _label(self, name: str) -> str:
        padded = name.ljust(NAME_WIDTH)
        return f"\033[{_COLOURS.get(name, '32')}m{padded}\033[0m" if self._colour else padded

    def _show(self, text: str) -> None:
        if not self._readable:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # A closed terminal or pipe must not take the stack down: the files go on.
            self._readable = False

    def _file(self, name: str) -> _PartFile:
        if name not in self._files:
            self._files[name] = _PartFile(self._folder / f"{name}.log")
        return self._files[name]


class _PartFile(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(
            path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="replace", delay=True
        )
        formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = gmtime
        self.setFormatter(formatter)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Lose the log, not the stack, to a full disk."""


class StopRequest:
    """Counts the requests to stop; a second one means at once.

    A plain counter rather than a lock-holding event, because a signal handler may interrupt the
    very code that holds the lock.
    """

    def __init__(self) -> None:
        self.count = 0

    def listen(self) -> None:
        """Count Ctrl-C, SIGTERM and a closed terminal from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.ask)

    def ask(self, *_: object) -> None:
        """Ask to stop."""
        self.count += 1


class Home(Protocol):
    """The files that all services need on disk."""

    def is_whole(self) -> bool:
        """Return whether it is still there."""
        ...

    def renew(self) -> None:
        """Make it again, or raise `ConfigurationError`."""
        ...


class Supervisor:
    """Starts parts in order, restarts those that die, stops all together.

    Args:
        parts: What to run; a part's `after` must be named before it.
        environment: The whole environment of every part.
        folder: Their working directory.
        console: Takes their output and our own lines.
        reaper: Takes a report of every start and end.
        on_ready: Called with the name of each part that began to serve, once after each start of the whole.
        home: What is made again, and all parts started again, when somebody has deleted it.
        forks: Starts parts as forks; those that it cannot start are started as programs.
    """

    def __init__(
        self,
        parts: Sequence[ServiceSpec],
        *,
        environment: Mapping[str, str],
        folder: Path,
        console: Console,
        reaper: OrphanReaper,
        on_ready: Callable[[str], None],
        home: Home | None = None,
        forks: ServiceForks | None = None,
    ) -> None:
        self._forks = forks
        self._home = home
        self._renew_at = 0.0
        self._environment = environment
        self._folder = folder
        self._console = console
        self._reaper = reaper
        self._on_ready = on_ready
        self._ready: set[str] = set()
        self._probe_at = 0.0
        self._restarters = [
            ProcessRestarter(part, start=self._start, log=console.log, reporter=reaper) for part in parts
        ]

    def run(self, stop: StopRequest) -> bool:
        """Run until asked to stop.

        Returns:
            True when every part ended by itself after being asked, False when some were killed.
        """
        began = time.monotonic()
        while not stop.count:
            now = time.monotonic()
            if self._home is not None and not self._home.is_whole():
                if now >= self._renew_at:
                    began = self._start_again(self._home, stop)
                time.sleep(LOOK_EVERY_SECONDS)
                continue
            for restarter in self._restarters:
                if self._may_start(restarter.part, now - began):
                    restarter.look(now)
            self._note_ready(now)
            time.sleep(LOOK_EVERY_SECONDS)
        return self._stop_all(stop)

    def _start(self, part: ServiceSpec) -> Child:
        return Child(
            part.command,
            environment=self._environment,
            folder=self._folder,
            reports=self._reaper.reports,
            on_line=lambda line: self._console.write(part.name, line),
            forks=self._forks if self._forks and self._forks.is_ready() else None,
        )

    def _may_start(self, part: ServiceSpec, elapsed: float) -> bool:
        if elapsed > WAIT_FOR_READY_SECONDS:
            return True
        if self._forks and not (self._forks.is_ready() or self._forks.is_gone()):
            return False
        return part.after is None or part.after in self._ready

    def _note_ready(self, now: float) -> None:
        if now < self._probe_at:
            return
        self._probe_at = now + PROBE_EVERY_SECONDS
        for part in (restarter.part for restarter in self._restarters):
            if part.is_ready and part.name not in self._ready and part.is_ready():
                self._ready.add(part.name)
                self._on_ready(part.name)

    def _start_again(self, home: Home, stop: StopRequest) -> float:
        """Stop all parts, make the home again, and return when the parts may start.

        What still runs has files open that nobody finds any more; it would go on without a word.
        """
        self._console.log("Dagster's home was deleted: it is prepared again, and all parts are started again")
        for restarter in self._restarters:
            restarter.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while not self._all_gone() and not stop.count:
            if time.monotonic() > deadline:
                self._kill_all()
                break
            time.sleep(LOOK_EVERY_SECONDS)
        self._ready.clear()
        try:
            home.renew()
        except ConfigurationError as error:
            self._console.log(f"{error}; trying again in {RENEW_AGAIN_SECONDS:.0f} s")
            self._renew_at = time.monotonic() + RENEW_AGAIN_SECONDS
        return time.monotonic()

    def _stop_all(self, stop: StopRequest) -> bool:
        self._console.log("stopping; Ctrl-C again kills at once")
        for restarter in self._restarters:
            restarter.ask_to_stop()
        asked = stop.count
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while not self._all_gone():
            if stop.count > asked or time.monotonic() > deadline:
                return self._kill_all()
            time.sleep(LOOK_EVERY_SECONDS)
        self._console.log("stopped")
        return True

    def _kill_all(self) -> bool:
        left = [restarter.part.name for restarter in self._restarters if not restarter.is_gone()]
        for restarter in self._restarters:
            restarter.kill()
        deadline = time.monotonic() + KILL_GRACE_SECONDS
        while not self._all_gone() and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_SECONDS)
        self._console.log(f"killed {', '.join(left)}")
        return False

    def _all_gone(self) -> bool:
        gone = [restarter.is_gone() for restarter in self._restarters]
        return all(gone)
