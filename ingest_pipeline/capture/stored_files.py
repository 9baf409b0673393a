"""Files of a folder or an object store: seen as they are now, replaced whole, in bounded memory.

What the files mean is the business of `landing.py` and `normalised_store.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast
from uuid import uuid4

from upath import UPath

from ingest_pipeline.errors import LandingRefused

READ_BYTES = 4 << 20
# An upload holds at most twice this in memory: a smaller file whole, of a larger one two parts.
PART_BYTES = 8 << 20


def open_root(url: str) -> UPath:
    """Return the root of a store; nothing is touched yet.

    Args:
        url: A folder, or an fsspec URL such as `s3://bucket/prefix`.
    """
    if "://" not in url:
        return UPath(url)
    # fsspec keeps listings for as long as the process lives: files of other machines would not be seen.
    return UPath(url, use_listings_cache=False)


def is_local(path: UPath) -> bool:
    """Tell whether a path is in a folder of this machine."""
    return path.protocol in {"", "file", "local"}


def file_exists(path: UPath) -> bool:
    """Tell whether a file is there.

    Raises:
        LandingRefused: The store does not answer.
    """
    with _store_errors(path, "read"):
        return path.exists()


def open_file(path: UPath) -> BinaryIO:
    """Open a file for reading; of one elsewhere only what is read is fetched, `READ_BYTES` at a time.

    Raises:
        FileNotFoundError: There is none.
        LandingRefused: The store does not answer or refuses.
    """
    with _store_errors(path, "read"):
        if is_local(path):
            return path.open("rb")
        return cast("BinaryIO", path.fs.open(path.path, "rb", block_size=READ_BYTES))


@dataclass(frozen=True, slots=True)
class Tree:
    """The files below a folder.

    Attributes:
        folder: The folder.
        files: How many; 0 when there is no such folder.
        size_bytes: Their size.
        modified_at: When the newest was written, aware UTC, or None without any.
    """

    folder: UPath
    files: int
    size_bytes: int
    modified_at: datetime | None


def subfolders(folder: UPath) -> list[UPath]:
    """Return the folders in a folder by name; none when it is not there.

    Raises:
        LandingRefused: The store does not answer.
    """
    with _store_errors(folder, "read"):
        if not folder.exists():
            return []
        return sorted((each for each in folder.iterdir() if each.is_dir()), key=lambda each: each.name)


def look_at_tree(folder: UPath) -> Tree:
    """Count the files below a folder.

    Raises:
        LandingRefused: The store does not answer.
    """
    with _store_errors(folder, "read"):
        found = folder.fs.find(folder.path, detail=True).values() if folder.exists() else []
    times = [_modified_at(each) for each in found]
    return Tree(folder, len(times), sum(int(each["size"]) for each in found), max(times, default=None))


def remove_tree(folder: UPath) -> None:
    """Delete a folder with everything below it; one that is not there is no error.

    Raises:
        LandingRefused: The store refuses.
    """
    with _store_errors(folder, "deleted"):
        if folder.exists():
            folder.fs.rm(folder.path, recursive=True)


def _modified_at(described: Mapping[str, Any]) -> datetime:
    """Return when a file was written, from what a local folder or S3 tells of it."""
    stated = described.get("mtime", described.get("LastModified"))
    return stated if isinstance(stated, datetime) else datetime.fromtimestamp(float(stated or 0), UTC)


def replace_file(target: UPath, source: Path) -> None:
    """Put a copy of a local file in a target's place, whole or not at all.

    Raises:
        LandingRefused: The store cannot be written; the target is as it was.
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
        LandingRefused: The store cannot be written; the target is as it was.
    """
    if is_local(target):
        with _draft_beside(target) as draft:
            yield draft
        return
    with TemporaryDirectory(prefix="ingest-upload-") as folder:
        draft = Path(folder) / target.name
        with _store_errors(UPath(draft), "written"):
            yield draft
        _upload(target, draft)


@contextmanager
def _draft_beside(target: UPath) -> Iterator[Path]:
    """Yield a name of its own beside the target, forced to disk and renamed over it in the end."""
    place = Path(target.path)
    draft = place.with_name(f".{place.name}.{uuid4().hex}.tmp")
    with _store_errors(target, "written"):
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
    with _store_errors(target, "written"):
        target.fs.put_file(str(source), target.path, chunksize=PART_BYTES, max_concurrency=2)


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _store_errors(path: UPath, done: str) -> Iterator[None]:
    """Turn what a store raises into an error that says what to do.

    The block may hold nothing but a store's own calls when the path is not local: client libraries raise
    errors of their own beside `OSError`, botocore's for S3.
    """
    try:
        yield
    except OSError as error:
        if done == "read" and isinstance(error, FileNotFoundError):
            raise
        raise _refused(path, done, error.strerror or str(error)) from error
    except Exception as error:
        if is_local(path):
            raise
        raise _refused(path, done, str(error)) from error


def _refused(path: UPath, done: str, reason: str) -> LandingRefused:
    remedy = (
        "free space, mend its permissions, or set INGEST_LANDING_URL to another place"
        if is_local(path)
        else "check INGEST_LANDING_URL, the credentials and the network"
    )
    return LandingRefused(f"{path} cannot be {done} ({reason}): {remedy}")
