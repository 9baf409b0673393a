"""Files to import: found in folders and by patterns, and read out of archives without unpacking them.

An archive is read member by member: a ZIP through its directory, a tar, compressed or not, in one go from its
start to its end. No more of a member is in memory than its reader takes at a time.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from ingest_pipeline.errors import BadInput, ExportTruncated
from ingest_pipeline.landing.files.forms import HEAD_BYTES, FileForm, is_of_data_package
from ingest_pipeline.landing.files.member_streams import (
    FAULTS,
    Count,
    CountedFile,
    Damage,
    Decompress,
    as_is,
    decompressor,
    member_stream,
    unreadable,
)

EXPORT_SUFFIXES = frozenset({".json", ".gz", ".zst", ".bz2", ".xz"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tzst"})
OTHER_SUFFIXES = frozenset({".html", ".htm", ".csv", ".txt", ".jsonl", ".ndjson"})
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_ENCRYPTED = 0x1
_MARK_BYTES = 6
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file that may be an export.

    Attributes:
        name: What to call it: its path, and its place in the archive.
        key: The same with the path made absolute.
        version: Size, time and checksum as far as they are known without reading it.
        member: Its place in the archive, or its own path.
        length: Its bytes, uncompressed; None when that is not known.
        opener: Opens it; given a `Damage`, the stream ends where it breaks instead of raising.
        is_readable_once: Whether it can be opened only once, before the next one is asked for.
        form: What it is, if that is known without looking into it.
    """

    name: str
    key: str
    version: str
    member: str
    length: int | None
    opener: Callable[[Damage | None], BinaryIO]
    is_readable_once: bool = False
    form: FileForm | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file on disk: an export, an archive of exports, or something else.

    Attributes:
        path: Where it lies.
        size_bytes: Its size.
        version: Its size and time of change.
        is_named: Whether it was asked for by its name, and not only found in a folder.
        form: What it is, if that is known already.
    """

    path: Path
    size_bytes: int
    version: str
    is_named: bool
    form: FileForm | None = None

    @property
    def key(self) -> str:
        """Its absolute path."""
        return _storable(str(self.path.absolute()))


def natural_order(text: str) -> list[tuple[bool, int | str]]:
    """Return a key for sorting that puts part 2 before part 10."""
    return [
        (not part.isdigit(), int(part) if part.isdigit() else part) for part in _DIGITS.split(text) if part
    ]


@contextmanager
def open_source(source: Source, count: Count) -> Iterator[tuple[Iterator[ExportFile], bool]]:
    """Open a file on disk.

    Args:
        count: Called with the number of bytes that are read of it.

    Yields:
        The files in it, one if it is no archive; and whether it is one.

    Raises:
        BadInput: It cannot be opened, or is damaged where its members are listed; also from the iterator.
    """
    if source.form is not None:
        yield iter([_plain_file(source, count)]), False
        return
    try:
        file = CountedFile(source.path, count)
    except OSError as error:
        raise BadInput(f"{source.path} cannot be read ({error.strerror}): check its permissions") from error
    with io.BufferedReader(file) as raw:
        head = raw.peek(_TAR_MARK_AT + len(_TAR_MARK))
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield _zip_files(source, raw), True
        elif _is_tar(decompress := decompressor(head), source.path):
            yield _tar_files(source, decompress(raw)), True
        elif decompress is not as_is:
            yield iter([_compressed_file(source, decompress, count)]), False
        else:
            yield iter([_plain_file(source, count)]), False


def _plain_file(source: Source, count: Count) -> ExportFile:
    def opened(_: Damage | None) -> BinaryIO:
        return io.BufferedReader(CountedFile(source.path, count))

    return ExportFile(
        str(source.path),
        source.key,
        source.version,
        source.path.as_posix(),
        source.size_bytes,
        opened,
        form=source.form,
    )


def _compressed_file(source: Source, decompress: Decompress, count: Count) -> ExportFile:
    name = str(source.path)

    def opened(damage: Damage | None) -> BinaryIO:
        raw = io.BufferedReader(CountedFile(source.path, count))
        return member_stream(name, decompress(raw), damage, below=cast(BinaryIO, raw))

    return ExportFile(name, source.key, source.version, source.path.with_suffix("").as_posix(), None, opened)


def _zip_files(source: Source, raw: BinaryIO) -> Iterator[ExportFile]:
    try:
        with zipfile.ZipFile(raw) as archive:
            listed = sorted(archive.infolist(), key=lambda info: natural_order(info.filename))
            if any(is_of_data_package(info.filename) for info in listed):
                yield ExportFile(
                    str(source.path),
                    source.key,
                    source.version,
                    source.path.as_posix(),
                    None,
                    lambda _: io.BytesIO(),
                    form=FileForm.DATA_PACKAGE,
                )
                return
            for info in listed:
                if not info.is_dir() and is_wanted(info.filename):
                    stamp = "".join(f"{part:02}" for part in info.date_time)
                    yield _member(
                        source,
                        info.filename,
                        f"{info.file_size}-{stamp}-{info.CRC:08x}",
                        info.file_size,
                        partial(archive.open, _unchecked(info)),
                        checksum=info.CRC,
                    )
    except FAULTS as error:
        raise _broken(source, error) from error


def _unchecked(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return a member whose checksum the library does not compare: it would withhold the last bytes."""
    if info.flag_bits & _ENCRYPTED:
        return info
    unchecked = copy(info)
    del unchecked.CRC
    return unchecked


def _tar_files(source: Source, stream: BinaryIO) -> Iterator[ExportFile]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:
                if info.isfile() and is_wanted(info.name):
                    opener = cast(Callable[[], BinaryIO], partial(archive.extractfile, info))
                    version = f"{info.size}-{info.mtime}"
                    yield _member(source, info.name, version, info.size, opener, is_readable_once=True)
                archive.members.clear()  # type: ignore[attr-defined]
    except FAULTS as error:
        raise _broken(source, error) from error


def _member(
    source: Source,
    member: str,
    version: str,
    length: int,
    opener: Callable[[], BinaryIO | Any],
    *,
    checksum: int | None = None,
    is_readable_once: bool = False,
) -> ExportFile:
    name = _storable(f"{source.path}!{member}")

    is_compressed = Path(member).suffix.lower() in EXPORT_SUFFIXES - {".json"}

    def opened(damage: Damage | None) -> BinaryIO:
        try:
            stream = member_stream(name, opener(), damage, checksum)
            if not is_compressed:
                return stream
            decompress = decompressor(stream.read(_MARK_BYTES))
            stream.seek(0)
            return member_stream(name, decompress(stream), damage, below=stream)
        except FAULTS as error:
            raise unreadable(name, error) from error

    nested = Path(member).suffix.lower() in ARCHIVE_SUFFIXES or ".tar." in member.lower()
    return ExportFile(
        name,
        f"{source.key}!{_storable(member)}",
        version,
        member,
        None if is_compressed else length,
        opened,
        is_readable_once,
        FileForm.ARCHIVE if nested else None,
    )


def is_wanted(path: str) -> bool:
    """Return whether a file in a folder or archive may be an export, or be taken for one by people.

    What exports refer to (pictures, videos; the exporter puts them into a folder `…_Files`) is none.
    """
    *folders, name = Path(path).parts or ("",)
    if any(folder.endswith("_Files") or folder == "__MACOSX" for folder in folders) or name.startswith("."):
        return False
    return Path(name).suffix.lower() in EXPORT_SUFFIXES | ARCHIVE_SUFFIXES | OTHER_SUFFIXES


def _broken(source: Source, error: Exception) -> BadInput:
    return ExportTruncated(
        f"{source.path} is damaged ({error or type(error).__name__}): the files behind the damage are not "
        "read; get the archive again"
    )


def _is_tar(decompress: Decompress, path: Path) -> bool:
    try:
        with path.open("rb") as raw:
            head = decompress(raw).read(_TAR_MARK_AT + len(_TAR_MARK))
    except FAULTS:
        return ".tar" in path.name.lower() or path.suffix.lower() in ARCHIVE_SUFFIXES
    return head[_TAR_MARK_AT:] == _TAR_MARK


def read_head(stream: BinaryIO) -> bytes:
    """Read the beginning of a file and go back to its start."""
    head = b""
    while len(head) < HEAD_BYTES and (part := stream.read(HEAD_BYTES - len(head))):
        head += part
    stream.seek(0)
    return head


def _storable(text: str) -> str:
    """Return a path as a text that a database takes: bytes that are not UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
