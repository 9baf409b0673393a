"""The lock on a data folder: one supervisor, and the reaper that outlives it when it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from filelock import lock_descriptor

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import PROJECT_ROOT

TAKEOVER_SECONDS = 15.0
LOOK_EVERY_SECONDS = 0.2


def hold_folder(folder: Path) -> TextIO:
    """Take the data folder for this process; the lock ends with the returned file.

    When the process named in the lock file is dead but its reaper still clears up after it, this
    waits for that to end.

    Args:
        folder: The data folder; made when absent.

    Raises:
        ConfigurationError: Another supervisor runs on the folder, or it cannot be written.
    """
    path = folder / "supervisor.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # A checkout's own folder is as git made it. Who opens it later has reasons.
            folder.chmod(0o700)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {folder}: {error.strerror}. Make it writable, or set INGEST_DATA_DIR to "
            "another folder"
        ) from None
    deadline = time.monotonic() + TAKEOVER_SECONDS
    while not lock_descriptor(file.fileno(), blocking=False):
        holder = _holder(file)
        if _is_alive(holder) or time.monotonic() > deadline:
            file.close()
            raise ConfigurationError(
                f"already running on {folder} as process {holder}. Stop that one (Ctrl-C there, or "
                f"kill {holder}), or set INGEST_DATA_DIR to another folder"
            )
        time.sleep(LOOK_EVERY_SECONDS)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


class OrphanReaper:
    """Our end of the pipe to the reaper process.

    Args:
        lock: The locked file that the reaper keeps open as long as it works.
    """

    def __init__(self, lock: TextIO) -> None:
        reader, writer = os.pipe()
        self._reports = os.fdopen(writer, "w", encoding="ascii")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ingest_pipeline.stack.processes"],
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock.fileno()],
            cwd=PROJECT_ROOT,
        )
        os.close(reader)

    @property
    def reports(self) -> int:
        """The descriptor that a part writes its process id to when it starts."""
        return self._reports.fileno()

    def ended(self, leader: int) -> None:
        """Note that nothing of a part is left."""
        self._send(f"-{leader}")

    def dismiss(self) -> None:
        """End the reaper; parts not reported as ended are stopped by it first."""
        with suppress(OSError):
            self._reports.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        # Without its reaper the supervisor still does all of its own work.
        with suppress(OSError):
            self._reports.write(f"{line}\n")
            self._reports.flush()


def _holder(file: TextIO) -> int | None:
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdigit() else None


def _is_alive(process: int | None) -> bool:
    if process is None:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
