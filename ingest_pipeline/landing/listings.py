"""Listings of the folders of a store: which files are there, how many and how large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from upath import UPath

from ingest_pipeline.landing.store_errors import is_local, store_errors
from ingest_pipeline.landing.stored_files import file_exists, is_file_entry

_FEW = 256


def files_in(folder: UPath, pattern: str) -> list[UPath]:
    """Return the files of a folder whose names fit a pattern, by path; none when there is no folder.

    Args:
        pattern: For names, such as `*.json`; with `**/` before it also for those in folders below.

    Raises:
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer.
    """
    with store_errors(folder, "read"):
        if is_local(folder):
            return sorted(path for path in folder.glob(pattern) if path.is_file())
        try:
            # A glob would leave out a file beside which there is a folder of the same name.
            if pattern.startswith("**/"):
                found = list(folder.fs.find(folder.path, detail=True).values())
            else:
                found = folder.fs.ls(folder.path, detail=True)
        except FileNotFoundError:
            return []
    root = folder.fs._strip_protocol(folder.path)  # noqa: SLF001 - fsspec's own way to compare paths
    paths = {PurePosixPath(each["name"]).relative_to(root) for each in found if is_file_entry(each)}
    return sorted(folder / str(path) for path in paths if fnmatchcase(path.name, pattern.removeprefix("**/")))


def existing_files(folder: UPath, names: Sequence[str]) -> dict[str, UPath]:
    """Return those of some files below a folder that exist, in the given order.

    Args:
        folder: Where they are.
        names: Paths relative to it. A few are looked for one by one; for more, all that is there is listed.

    Returns:
        The path of each name that exists.

    Raises:
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer.
    """
    if len(names) <= _FEW:
        paths = {name: folder / name for name in names}
        return {name: path for name, path in paths.items() if file_exists(path)}
    with store_errors(folder, "read"):
        try:
            found = folder.fs.find(folder.path)
        except FileNotFoundError:
            return {}
    root = f"{folder.fs._strip_protocol(folder.path)}/"  # noqa: SLF001 - fsspec's own way to compare paths
    there = {name.removeprefix(root) for name in found}
    return {name: folder / name for name in names if name in there}


def subfolders(folder: UPath) -> list[UPath]:
    """Return the folders in a folder by name; none when it is not there.

    Raises:
        StorageUnavailable: The store does not answer.
    """
    with store_errors(folder, "read"):
        if not folder.exists():
            return []
        return sorted((each for each in folder.iterdir() if each.is_dir()), key=lambda each: each.name)


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


def look_at_tree(folder: UPath) -> Tree:
    """Count the files below a folder.

    Raises:
        StorageUnavailable: The store does not answer.
    """
    with store_errors(folder, "read"):
        everything = folder.fs.find(folder.path, detail=True).values() if folder.exists() else []
    found = [each for each in everything if is_file_entry(each)]
    times = [_modified_at(each) for each in found]
    return Tree(folder, len(times), sum(int(each["size"]) for each in found), max(times, default=None))


def _modified_at(described: Mapping[str, Any]) -> datetime:
    """Return when a file was written, from what a local folder or S3 lists of it."""
    stated = described.get("mtime", described.get("LastModified"))
    return stated if isinstance(stated, datetime) else datetime.fromtimestamp(float(stated or 0), UTC)
