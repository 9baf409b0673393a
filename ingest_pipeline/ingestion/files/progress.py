"""The progress of an import of files, in bytes of the files on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingest_pipeline.landing.files.archives import Source

# Of the time of an import, reading takes about a tenth.
_READING = 0.1

OnProgress = Callable[[int, str], None]
"""Called with how many bytes of all files are done, and with the file's name."""


@dataclass(slots=True)
class Meter:
    """The bytes of the files on disk that are done: read and merged.

    Attributes:
        report: Called as it goes on, or None.
        finished: Bytes of the files that are read.
        limit: The size of the file that is being read.
        current: Bytes that were read of it; more than its size where parts are read twice.
        merged: Bytes whose messages are merged.
        name: The file that is being read.
    """

    report: OnProgress | None
    finished: int = 0
    limit: int = 0
    current: int = 0
    merged: float = 0.0
    name: str = ""

    @property
    def read(self) -> int:
        """How many bytes have been read."""
        return self.finished + min(self.current, self.limit)

    def begin(self, source: Source) -> None:
        """Begin a file."""
        self.limit, self.current, self.name = source.size_bytes, 0, source.path.name

    def count(self, length: int) -> None:
        """Count bytes that were read of it."""
        self.current += length
        self.show()

    def end(self) -> None:
        """End it."""
        self.finished, self.current, self.limit = self.finished + self.limit, 0, 0
        self.show()

    def merge(self, position: float) -> None:
        """Note up to which byte of all files the messages are merged."""
        self.merged = position
        self.show()

    def show(self) -> None:
        """Report how far the import is."""
        if self.report:
            self.report(int(_READING * self.read + (1 - _READING) * self.merged), self.name)
