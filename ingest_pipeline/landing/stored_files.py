"""Files of a folder or an object store: read without caching, replaced as a whole, in bounded memory.

What the files mean is the business of `landing.py` and `normalized_store.py`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO, cast
from uuid import uuid4

from upath import UPath

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.landing.store_errors import is_local, store_errors

READ_BYTES = 4 << 20
# An upload holds at most twice this in memory: a smaller file whole, of a larger one two parts.
PART_BYTES = 8 << 20


def open_root(url: str) -> UPath:
    """Return the root of a store; nothing is touched yet.

    Args:
        url: A folder, or an fsspec URL such as `s3://bucket/prefix`.

    Raises:
        ConfigurationError: Nobody knows such a store.
    """
    if "://" not in url:
        return UPath(url)
    try:
        # fsspec keeps listings for as long as the process lives: files of other machines would not be seen.
        return UPath(url, use_listings_cache=False)
    except ValueError as error:
        raise ConfigurationError(
            f"INGEST_LANDING_URL {url!r} is not a store ({error}): write a folder, or a URL such as "
            "s3://bucket/prefix"
        ) from error


def try_store(root: UPath) -> None:
    """Write a file into a store and delete it; nothing else is made, neither folder nor bucket.

    A folder that is not there yet is tried from the nearest one above it that is.

    Raises:
        ConfigurationError: The store's package is not installed.
        StorageRejected: The store cannot be written.
        StorageUnavailable: The store does not answer.
    """
    with store_errors(root, "written"):
        if not is_local(root):
            probe = root / f".probe-{uuid4().hex}"
            probe.fs.pipe_file(probe.path, b"probe")
            probe.fs.rm_file(probe.path)
            return
        folder = Path(root.path).absolute()
        while not folder.exists():
            folder = folder.parent
        with TemporaryFile(dir=folder) as file:
            file.write(b"probe")


def file_exists(path: UPath) -> bool:
    """Return whether a file exists; a folder, or the marker of one that a store's console makes, is no file.

    Raises:
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer.
    """
    with store_errors(path, "read"):
        if is_local(path):
            return path.is_file()
        try:
            # `UPath.is_file` says no when the store does not answer.
            return is_file_entry(path.fs.info(path.path))
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The metadata of a stored file.

    Attributes:
        size_bytes: Its size.
    """

    size_bytes: int


def file_facts(path: UPath) -> FileFacts:
    """Return what the store knows of a file.

    Raises:
        FileNotFoundError: There is none.
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer.
    """
    with store_errors(path, "read"):
        found = path.stat()
    return FileFacts(int(found.st_size))


def write_text(path: UPath, text: str) -> None:
    """Write a small file, in a folder that is there.

    Raises:
        StorageRejected: The store cannot be written.
        StorageUnavailable: The store does not answer.
    """
    with store_errors(path, "written"):
        path.write_text(text, encoding="utf-8")


def open_file(path: UPath) -> BinaryIO:
    """Open a file for reading; of one elsewhere only what is read is fetched, `READ_BYTES` at a time.

    Raises:
        FileNotFoundError: There is none.
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer, now or while it is read.
    """
    with store_errors(path, "read"):
        if is_local(path):
            return path.open("rb")
        file = path.fs.open(path.path, "rb", block_size=READ_BYTES)
        return cast("BinaryIO", _FileElsewhere(cast("BinaryIO", file), path))


class _FileElsewhere(io.BufferedIOBase):
    """A file that is read from a store, which may go away in the middle.

    Args:
        file: What the store's client has opened.
        path: Where it is.
    """

    def __init__(self, file: BinaryIO, path: UPath) -> None:
        """Read nothing yet."""
        self._file = file
        self._path = path

    def read(self, size: int | None = -1, /) -> bytes:
        """Fetch bytes."""
        with store_errors(self._path, "read"):
            return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move; nothing is fetched."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be moved in."""
        return True

    def close(self) -> None:
        """Close the client's file too."""
        self._file.close()
        super().close()


def remove_tree(folder: UPath) -> None:
    """Delete a folder with everything below it; one that is not there is not an error.

    Raises:
        StorageRejected: The store refuses.
    """
    with store_errors(folder, "deleted"):
        if folder.exists():
            folder.fs.rm(folder.path, recursive=True)


def delete_file(path: UPath) -> None:
    """Delete a file; one that is not there is not an error.

    Raises:
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer.
    """
    with store_errors(path, "deleted"), suppress(FileNotFoundError):
        path.fs.rm_file(path.path)


def is_file_entry(described: Mapping[str, Any]) -> bool:
    """Distinguish a file from a folder, and from the empty object that marks one by a name like it."""
    return described["type"] == "file" and not str(described["name"]).endswith("/")


def replace_file(target: UPath, source: Path) -> None:
    """Put a copy of a local file in a target's place, whole or not at all.

    Raises:
        StorageRejected: The store cannot be written; the target is as it was.
        StorageUnavailable: The store does not answer; the target is as it was, or as the source.
    """
    if not is_local(target):
        _upload(target, source)
        return
    with new_version(target) as draft, source.open("rb") as reader, draft.open("xb") as writer:
        while chunk := reader.read(1 << 20):
            writer.write(chunk)


@contextmanager
def new_version(target: UPath) -> Iterator[Path]:
    """Yield a local path to write a file to, which takes the target's place when the block has ended.

    After an error in the block the target is as it was.

    Raises:
        StorageRejected: The store cannot be written; the target is as it was.
        StorageUnavailable: The store does not answer; the target is as it was, or as the source.
    """
    if is_local(target):
        with _draft_beside(target) as draft:
            yield draft
        return
    with TemporaryDirectory(prefix="ingest-upload-") as folder:
        draft = Path(folder) / target.name
        with store_errors(UPath(draft), "written"):
            yield draft
        _upload(target, draft)


@contextmanager
def _draft_beside(target: UPath) -> Iterator[Path]:
    """Yield a name of its own beside the target, forced to disk and renamed over it in the end."""
    place = Path(target.path)
    draft = place.with_name(f".{place.name}.{uuid4().hex}.tmp")
    with store_errors(target, "written"):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            _force_to_disk(draft)
            draft.replace(place)
            _force_to_disk(place.parent)
        finally:
            draft.unlink(missing_ok=True)


def _upload(target: UPath, source: Path) -> None:
    """Upload a file: object stores show it only when all of it has arrived, and need no folder for it."""
    with store_errors(target, "written"):
        target.fs.put_file(str(source), target.path, chunksize=PART_BYTES, max_concurrency=2)


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
