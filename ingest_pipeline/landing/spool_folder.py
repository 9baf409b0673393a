"""The spool's folder: owned by one process at a time, with an identity of its own.

How far a spool is processed is kept in the database, under the identity: a folder that was deleted
begins anew instead of taking over the position of the one before, and the bots of two machines that
share a database do not take over each other's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ingest_pipeline.errors import ConfigurationError, StorageRejected

_IDENTITY = "identity"
_LOCK = "lock"


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
        raise _refused(folder, error) from error
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
        with draft.open("w", encoding="ascii") as file:
            file.write(f"{fresh}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise _refused(folder, error) from error
    return fresh


def _refused(folder: Path, error: OSError) -> StorageRejected:
    return StorageRejected(
        f"the gateway spool {folder} cannot be written ({error.strerror or error}): mend its permissions "
        "or free space"
    )
