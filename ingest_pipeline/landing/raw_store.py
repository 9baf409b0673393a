"""The raw store: message objects and deletions as the bot and Discord's REST interface gave them.

Each is a line of JSON in a file that is compressed with zstd, by guild, channel and UTC day:

    <root>/<guild>/<channel>/<day>/<time>-<correlation id>.jsonl.zst    a segment
    <root>/<guild>/<channel>/<day>.jsonl.zst                            a day that is past, of its segments

A segment's time is that of its first frame, or the time at which answers landed.

A segment is written whole or not at all, and never changed, except where something is erased. The first line
of a day's file names the segments that it was made of, so a kill before these are deleted doubles nothing.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path

import msgspec
import pyarrow as pa
from upath import UPath

from ingest_pipeline.domain.erasures import Erasures
from ingest_pipeline.errors import BadInput, IngestError
from ingest_pipeline.landing.erasure.readings import ChannelRef, without_erased
from ingest_pipeline.landing.listings import files_in, subfolders
from ingest_pipeline.landing.raw_reading import RawReading, decoded_reading, in_order
from ingest_pipeline.landing.store_errors import is_local, store_errors
from ingest_pipeline.landing.stored_files import file_exists, file_facts, new_version, open_file

ABSENT = "ABSENT"
"""The event of a message that is gone: Discord was asked for it and did not have it."""

_SUFFIX = ".jsonl.zst"
_FRAME_BYTES = 4 << 20
# A segment is small and written while others wait, a day is large and written once.
_SEGMENT_LEVEL, _DAY_LEVEL = 3, 9
_logger = logging.getLogger(__name__)


class _DayHead(msgspec.Struct):
    segments: list[str]


@dataclass(frozen=True, slots=True)
class Segment:
    """A file to be written.

    Attributes:
        path: Where to.
        content: Its bytes, compressed.
        readings: How many readings it holds.
    """

    path: UPath
    content: bytes
    readings: int


@dataclass(frozen=True, slots=True)
class Files:
    """Some files of the store.

    Attributes:
        files: How many.
        size_bytes: Their size.
    """

    files: int = 0
    size_bytes: int = 0


_ENCODER = msgspec.json.Encoder()
_HEAD = b'{"segments":'


class RawStore:
    """The raw store.

    Args:
        root: Its folder.
    """

    def __init__(self, root: UPath) -> None:
        """Point at the root; nothing is touched yet."""
        self.root = root

    def segments(
        self, readings: Mapping[ChannelRef, Sequence[RawReading]], correlation_id: str, begins: datetime
    ) -> list[Segment]:
        """Return the segments of a batch, one for each channel; nothing is written.

        Args:
            readings: Those of each channel, in the order they were received.
            correlation_id: The batch's.
            begins: The time of the segments, aware UTC: that of its first frame, or of landing.
        """
        name = f"{begins:%H%M%S%f}-{correlation_id}{_SUFFIX}"
        codec = pa.Codec("zstd", compression_level=_SEGMENT_LEVEL)
        return [
            Segment(
                self._folder(channel) / f"{begins:%Y-%m-%d}" / name,
                codec.compress(_ENCODER.encode_lines(each), asbytes=True),
                len(each),
            )
            for channel, each in readings.items()
        ]

    def channels(self) -> list[ChannelRef]:
        """Return the channels that something has landed of, in order.

        Raises:
            StorageUnavailable: The store does not answer.
        """
        return [
            (int(guild.name) or None, int(channel.name))
            for guild in subfolders(self.root)
            for channel in subfolders(guild)
        ]

    def files(self, channel: ChannelRef, since: date | None = None) -> list[UPath]:
        """Return the files of a channel in the order of their times.

        Args:
            channel: The channel.
            since: The first day, UTC; from the beginning when None.

        Raises:
            StorageUnavailable: The store does not answer.
        """
        found = files_in(self._folder(channel), f"**/*{_SUFFIX}")
        wanted = [path for path in found if since is None or _day(path) >= since.isoformat()]
        return sorted(wanted, key=lambda path: (_day(path), _is_segment(path), path.name))

    def read(self, channel: ChannelRef, since: date | None = None) -> Iterator[RawReading]:
        """Read what has landed of a channel, in the order of receipt; see `files` and `read_file`."""
        return in_order((begins_at(path), read_file(path)) for path in self.files(channel, since))

    def compact(self, before: date, *, dry_run: bool = False) -> int:
        """Put the segments of each day that is past into one file; return of how many days.

        A day with a damaged segment stays as it is, which is logged.

        Args:
            before: The first day that is not past, UTC.
            dry_run: Whether to count these days and leave them as they are.

        Raises:
            StorageRejected: The store cannot be written.
            StorageUnavailable: The store does not answer.
        """
        days = [
            day
            for channel in self.channels()
            for day in subfolders(self._folder(channel))
            if day.name < before.isoformat()
        ]
        for day in () if dry_run else days:
            try:
                _compact(day)
            except BadInput as error:
                _logger.error("the raw readings in %s stay as they are: %s", day, error)  # noqa: TRY400
        return len(days)

    def forget(self, before: date, *, dry_run: bool) -> Files:
        """Delete what landed before a day, or count it.

        Raises:
            StorageRejected: The store refuses.
            StorageUnavailable: The store does not answer.
        """
        found = Files()
        for channel in self.channels():
            for path in self.files(channel):
                if _day(path) < before.isoformat():
                    found = Files(found.files + 1, found.size_bytes + file_facts(path).size_bytes)
                    if not dry_run:
                        _delete(path)
        return found

    def erase(self, erasures: Erasures, *, dry_run: bool = False) -> int:
        """Take what was erased, and what others quote of it, out of every file.

        A damaged file stays as it is, which is logged.

        Returns:
            How many readings were deleted or changed.

        Raises:
            StorageRejected: The store cannot be written.
            StorageUnavailable: The store does not answer.
        """
        erased = 0
        for channel in self.channels():
            for path in self.files(channel):
                try:
                    erased += _erase_in_file(path, channel, erasures, dry_run=dry_run)
                except BadInput as error:
                    _logger.error("what was erased may still be in a file of the raw store: %s", error)  # noqa: TRY400
        return erased

    def _folder(self, channel: ChannelRef) -> UPath:
        guild_id, channel_id = channel
        return self.root / str(guild_id or 0) / str(channel_id)


def read_file(path: UPath) -> Iterator[RawReading]:
    """Read a file of the store.

    Raises:
        BadInput: It is damaged, or was put into its day's while this went on.
        StorageUnavailable: The store does not answer.
    """
    return (_decoded(path, line) for line in _lines(path))


def begins_at(path: UPath) -> datetime:
    """Return the time of a file of the store, aware UTC; of a day's file the beginning of the day."""
    time = path.name.partition("-")[0] if _is_segment(path) else "000000000000"
    try:
        return datetime.strptime(f"{_day(path)} {time}+0000", "%Y-%m-%d %H%M%S%f%z")
    except ValueError:
        # Not a name of ours; what the file holds decides.
        return datetime.min.replace(tzinfo=UTC)


def write_segment(segment: Segment) -> None:
    """Write a segment, whole or not at all.

    Raises:
        StorageRejected: The store cannot be written.
        StorageUnavailable: The store does not answer.
    """
    with new_version(segment.path) as draft:
        draft.write_bytes(segment.content)


def _is_segment(path: UPath) -> bool:
    # Ids have no hyphens.
    return "-" in path.parent.name


def _day(path: UPath) -> str:
    return path.parent.name if _is_segment(path) else path.name.removesuffix(_SUFFIX)


def _lines(path: UPath, *, with_head: bool = False) -> Iterator[bytes]:
    """Yield the lines of a file, without what a day's file begins with."""
    try:
        with open_file(path) as file, pa.CompressedInputStream(file, "zstd") as stream:
            for line in io.BufferedReader(stream):
                if with_head or not line.startswith(_HEAD):
                    yield line
    except IngestError:
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{path} was put into its day's file meanwhile: run it again") from error
    except OSError as error:
        raise BadInput(f"{path} is damaged ({error}): restore it from a backup or delete it") from error


def _decoded(path: UPath, line: bytes) -> RawReading:
    try:
        return decoded_reading(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({error}): restore it from a backup or delete it") from error


def _compact(folder: UPath) -> None:
    target = folder.parent / f"{folder.name}{_SUFFIX}"
    segments = files_in(folder, f"*{_SUFFIX}")
    contained: list[str] = []
    earlier: list[UPath] = []
    if file_exists(target):
        head = next(_lines(target, with_head=True), b"")
        contained = msgspec.json.decode(head, type=_DayHead).segments if head.startswith(_HEAD) else []
        earlier = [target]
    fresh = [path for path in segments if path.name not in contained]
    if fresh:
        head = _ENCODER.encode(_DayHead([*contained, *(path.name for path in fresh)])) + b"\n"
        readings = in_order((begins_at(path), read_file(path)) for path in [*earlier, *fresh])
        _write_lines(target, chain([head], (_ENCODER.encode(each) + b"\n" for each in readings)))
    for path in segments:
        _delete(path)
    if is_local(folder):
        # A segment may have come meanwhile.
        with suppress(OSError):
            Path(folder.path).rmdir()


def _write_lines(path: UPath, lines: Iterable[bytes]) -> None:
    codec = pa.Codec("zstd", compression_level=_DAY_LEVEL)
    with new_version(path) as draft, draft.open("wb") as file:
        block: list[bytes] = []
        held = 0
        for line in lines:
            block.append(line)
            held += len(line)
            if held >= _FRAME_BYTES:
                file.write(codec.compress(b"".join(block), asbytes=True))
                block, held = [], 0
        file.write(codec.compress(b"".join(block), asbytes=True))


def _delete(path: UPath) -> None:
    with store_errors(path, "deleted"):
        path.fs.rm_file(path.path)


def _erase_in_file(path: UPath, channel: ChannelRef, erasures: Erasures, *, dry_run: bool) -> int:
    lines = list(_lines(path, with_head=True))
    kept = [_without(path, line, channel, erasures) for line in lines]
    changed = sum(before is not after for before, after in zip(lines, kept, strict=True))
    if changed and not dry_run:
        _write_lines(path, [line for line in kept if line is not None])
    return changed


def _without(path: UPath, line: bytes, channel: ChannelRef, erasures: Erasures) -> bytes | None:
    """Return a line without what was erased; None when nothing is left of it."""
    if line.startswith(_HEAD):
        return line
    reading = _decoded(path, line)
    kept = without_erased(erasures, channel, reading)
    if kept is reading:
        return line
    return None if kept is None else _ENCODER.encode(kept) + b"\n"
