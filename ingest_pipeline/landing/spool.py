"""The spool of gateway events: segments in a folder that one bot owns, each line durable before it counts.

An event counts as received once `flush` has returned. The reader keeps the position that it has
reached in the database, in the transaction of the rows it wrote, so that a crash between any two
steps replays events and never loses one. Records are lines: the time of receipt in microseconds
since 1970, a space, and the event's JSON, in which a raw line break cannot occur.

A line that a damaged disk has left is not one of these: it is set aside, and those after it are read.

How far a spool is processed is kept in the database, under the identity: a folder that was deleted
starts again instead of taking over the position of the one before, and the bots of two machines that
share a database do not take over each other's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from uuid import uuid4

from filelock import FileLock, Timeout

from ingest_pipeline.domain.snowflake import DISCORD_EPOCH
from ingest_pipeline.errors import ConfigurationError, StorageRejected

DAMAGED_FOLDER = "damaged"
SPOOL_FOLDER = "gateway"
"""The spool's folder in the data folder."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SUFFIX = ".jsonl"
# A clock may have been ahead when an event was received; one of another year would win over all that follows.
_LATEST_AHEAD = timedelta(days=1)
_STAMP_DIGITS = 20
_logger = logging.getLogger(__name__)
_IDENTITY = "identity"
_LOCK = "lock"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place between two records: bytes from the start of a numbered segment."""

    segment: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it was received.

    Attributes:
        received_at: Aware UTC, to the microsecond.
        event: The gateway frame's JSON.
    """

    received_at: datetime
    event: bytes


class Spool:
    """The queue, in a folder of its own. One process writes it; its methods may be called from threads.

    Args:
        folder: Where the segments are; made when absent.
        segment_bytes: Size at which a new segment is begun.

    Raises:
        StorageRejected: The folder cannot be made.
    """

    def __init__(self, folder: Path, segment_bytes: int = 64 * 1024 * 1024) -> None:
        """Cut a torn last line off, which no flush had confirmed, and begin a new segment."""
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._buffer: list[bytes] = []
        self._buffer_lock = Lock()
        self._file_lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            segments = self._segments()
            if segments:
                _cut_torn_line(self._path(segments[-1]))
        except OSError as error:
            raise _refused(folder, error) from error
        self._durable = Position(segments[-1] + 1 if segments else 1)

    @property
    def durable(self) -> Position:
        """The end of what is safely on disk."""
        return self._durable

    def append(self, event: bytes, received_at: datetime) -> None:
        """Take an event into memory; it is durable after the next `flush`."""
        line = b"%d %b\n" % ((received_at - _EPOCH) // _MICROSECOND, event)
        with self._buffer_lock:
            self._buffer.append(line)

    def flush(self) -> Position:
        """Force everything appended before this call to disk and return the end of it.

        Raises:
            StorageRejected: The disk is full or read-only; what was appended stays in memory, for the
                next call.
        """
        with self._file_lock:
            with self._buffer_lock:
                lines, self._buffer = self._buffer, []
            if lines:
                try:
                    self._write(b"".join(lines))
                except OSError as error:
                    with self._buffer_lock:
                        # In front of what came meanwhile: events stay in the order of receipt.
                        self._buffer[:0] = lines
                    raise _refused(self._folder, error) from error
            return self._durable

    def read(self, after: Position, limit: int) -> tuple[list[Record], Position]:
        """Return up to some durable records after a position, and the position behind them.

        Lines that are no records are set aside in the folder `damaged`, each as a file of its own.
        """
        records: list[Record] = []
        position = after
        for segment in self._segments():
            # Beyond `durable` a write may have failed half-way.
            if segment < after.segment or segment > self._durable.segment:
                continue
            offset = after.offset if segment == after.segment else 0
            end = self._durable.offset if segment == self._durable.segment else None
            with self._path(segment).open("rb") as file:
                file.seek(offset)
                while len(records) < limit and (end is None or offset < end) and (line := file.readline()):
                    record = _record(line)
                    if record is None:
                        self._set_aside(Position(segment, offset), line)
                    else:
                        records.append(record)
                    offset += len(line)
            position = Position(segment, offset)
            if len(records) >= limit:
                break
        return records, position

    def forget(self, before: Position) -> int:
        """Delete the segments that lie wholly before a position and return how many there were."""
        # The segment that is written to stays, even when all of it is processed.
        old = [
            segment for segment in self._segments() if segment < min(before.segment, self._durable.segment)
        ]
        for segment in old:
            self._path(segment).unlink(missing_ok=True)
        return len(old)

    def bytes_after(self, position: Position) -> int:
        """Return how large what lies behind a position is."""
        sizes = [self._path(each).stat().st_size for each in self._segments() if each >= position.segment]
        return max(sum(sizes) - position.offset, 0)

    def _set_aside(self, position: Position, line: bytes) -> None:
        path = self._folder / DAMAGED_FOLDER / f"{position.segment:010d}-{position.offset}"
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                file.write(line)
        except FileExistsError:
            # The line was met before.
            return
        except OSError as error:
            _logger.warning("%s cannot be written (%s)", path, error.strerror or error)
        _logger.error(
            "the gateway spool is damaged: a line of %d bytes was set aside in %s, and the lines after "
            "it are read; the next reading of the channels repairs the loss. Check the disk",
            len(line),
            path,
        )

    def _write(self, block: bytes) -> None:
        start = self._durable
        if start.offset >= self._segment_bytes:
            start = Position(start.segment + 1)
        path = self._path(start.segment)
        is_new = not path.exists()
        with path.open("ab") as file:
            # A failed write may have left part of a block behind: it was never confirmed.
            file.truncate(start.offset)
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        # The file's data is on disk; after a power cut its name would be missing.
        if is_new:
            _sync_folder(self._folder)
        self._durable = Position(start.segment, start.offset + len(block))

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:010d}{_SUFFIX}"

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())


def _record(line: bytes) -> Record | None:
    """Return the record of a line, or None when it is not one."""
    # A block that never reached the disk is read as zeros; the record behind it may be whole.
    stamp, space, event = line.lstrip(b"\0").rstrip(b"\n").partition(b" ")
    if not space or not stamp.isdigit() or len(stamp) > _STAMP_DIGITS:
        return None
    try:
        received_at = _EPOCH + int(stamp) * _MICROSECOND
    except OverflowError:
        return None
    if not DISCORD_EPOCH <= received_at <= datetime.now(UTC) + _LATEST_AHEAD:
        return None
    return Record(received_at, event)


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        # Only the last line can be without an end.
        file.truncate(sum(len(line) for line in file if line.endswith(b"\n")))
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(folder: Path, error: OSError) -> StorageRejected:
    return StorageRejected(
        f"the gateway spool {folder} cannot be written ({error.strerror or error}): free space or fix "
        "its permissions; events are kept in memory meanwhile"
    )


@contextmanager
def own_spool(folder: Path) -> Iterator[str]:
    """Keep a spool's folder to this process, and yield its identity; made when absent.

    Raises:
        ConfigurationError: Another process has it.
        StorageRejected: It cannot be written.
    """
    # Another kind of lock, where the folder's file system has none, would not hold against an older bot.
    lock = FileLock(folder / _LOCK, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigurationError(
            f"another bot writes to {folder}: stop that one, or set INGEST_DATA_DIR to another folder"
        ) from None
    except OSError as error:
        raise _folder_refused(folder, error) from error
    try:
        yield _identity(folder)
    finally:
        # The end of the process gives the lock back too, however it comes.
        lock.release()


def _identity(folder: Path) -> str:
    path = folder / _IDENTITY
    try:
        if path.exists() and (known := path.read_text(encoding="ascii").strip()):
            return known
        fresh = uuid4().hex
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(f"{fresh}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        # Under its name it is whole: half an identity would begin the spool again.
        draft.replace(path)
    except OSError as error:
        raise _folder_refused(folder, error) from error
    return fresh


def _folder_refused(folder: Path, error: OSError) -> StorageRejected:
    return StorageRejected(
        f"the gateway spool {folder} cannot be written ({error.strerror or error}): fix its permissions "
        "or free space"
    )
