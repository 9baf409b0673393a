"""A database file as a whole: copied while it is read, and replaced while other processes wait."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ingest_pipeline.errors import DatabaseUnavailable
from ingest_pipeline.storage.engine.duckdb import undo
from ingest_pipeline.storage.engine.duckdb.handles import copy_bytes, kept_open, locked
from ingest_pipeline.storage.engine.duckdb.log import log_path


def copy_file(path: Path, target: Path) -> None:
    """Copy a database file and its log, if it has one.

    To be called inside a transaction that reads it, so that nobody writes it meanwhile.

    Raises:
        DatabaseUnavailable: The copy cannot be written.
    """
    try:
        with target.open("xb") as copy:
            copy_bytes(kept_open(path), copy)
        if log_path(path).exists():
            shutil.copyfile(log_path(path), log_path(target))
    except OSError as error:
        raise DatabaseUnavailable(
            f"{target} cannot be written ({error.strerror}): make room or name another folder"
        ) from error


def replace_file(path: Path, draft: Path, deadline: float) -> Path | None:
    """Put another database file in the place of one that no transaction of this process has open.

    At every moment one of the two is in place, and what was there is kept beside.

    Args:
        path: The database file; it need not be there.
        draft: What comes in its place, without a log, in a folder of the same file system.
        deadline: When to stop waiting for other processes to let go of it, as `time.monotonic` counts.

    Returns:
        Where the file that was there is kept, None when there was none.

    Raises:
        DatabaseBusy: Other processes have it open.
        DatabaseUnavailable: It cannot be replaced.
    """
    kept = path.with_name(f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        if not path.exists():
            draft.replace(path)
            undo.sync_folder(path.parent)
            return None
        with locked(path, deadline) as file:
            try:
                kept.hardlink_to(path)
            except OSError:
                with kept.open("xb") as copy:
                    copy_bytes(file, copy)
            with suppress(FileNotFoundError):
                shutil.copyfile(log_path(path), log_path(kept))
            draft.replace(path)
            # It is of the file that was there: DuckDB would refuse the one that came.
            log_path(path).unlink(missing_ok=True)
            undo.discard(path)
            undo.sync_folder(path.parent)
    except OSError as error:
        raise DatabaseUnavailable(f"{path} cannot be replaced ({error.strerror})") from error
    return kept
