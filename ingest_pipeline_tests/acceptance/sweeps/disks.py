"""Small disks of their own for tests: they can be full or read-only without harm to anybody."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted disk in memory.

    Attributes:
        path: Where it is mounted.
    """

    path: Path

    @contextmanager
    def filled(self, but_bytes: int) -> Iterator[None]:
        """Take up all of its room but some, for a while."""
        ballast = self.path / "ballast"
        room = os.statvfs(self.path)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - but_bytes, 1))
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nobody write to it, for a while."""
        _run("mount", "-o", "remount,ro", str(self.path))
        try:
            yield
        finally:
            _run("mount", "-o", "remount,rw", str(self.path))


@contextmanager
def mounted_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount a disk of a size on a folder; skip the test where that is not allowed."""
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    try:
        yield Disk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)
