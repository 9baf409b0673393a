"""The output of the services: prefixed on the console, dated in rotating files, free of secrets.

Lines come from other programs and may quote messages from Discord, so control characters, which
a terminal would obey, are dropped. Debug lines go to the files alone.
"""

from __future__ import annotations

import logging
import re
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from time import gmtime
from typing import TextIO

from ingest_pipeline.redaction import redact

FILE_BYTES = 5_000_000
FILES_KEPT = 4
NAME_WIDTH = 10
OWN_NAME = "start"

_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
_DEBUG_MARK = " - DEBUG - "
_CONTROL_CHARACTERS = {code: None for code in (*range(32), *range(127, 160)) if code != ord("\t")}
_COLOURS = {OWN_NAME: "1", "webserver": "36", "daemon": "35", "code": "33", "api": "34"}


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

    def say(self, line: str) -> None:
        """Write a line of the supervisor's own."""
        self.write(OWN_NAME, line)

    def write(self, name: str, line: str) -> None:
        """Write one line that the part `name` said, with or without its line end."""
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
        """Let a full disk cost the log, not the stack."""
