"""Repair of a DuckDB file: copies before each write, blocks put back after a kill, whole files replaced.

A block is put back only when its checksum is wrong, its copy is right and the headers are those that the
copy was taken under. Nothing else is ever written to the file, and no checksum is made up. The file as
it was found is kept aside, and afterwards all of it is read once.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ingest_pipeline.errors import DatabaseDamaged, DatabaseUnavailable
from ingest_pipeline.storage.engine.duckdb import undo
from ingest_pipeline.storage.engine.duckdb.connection import DuckDBConnection
from ingest_pipeline.storage.engine.duckdb.handles import check_log, copy_bytes, kept_open, locked, log_path
from ingest_pipeline.storage.engine.duckdb.instances import OpenFile
from ingest_pipeline.storage.engine.duckdb.layout import (
    Headers,
    Unreadable,
    damaged_block,
    is_database,
    is_tested,
    is_whole,
    read_blocks,
    read_headers,
    tested_versions,
)
from ingest_pipeline.storage.engine.migrations import list_tables
from ingest_pipeline.storage.engine.queries import quoted

_DAMAGE = re.compile(
    r"corrupt|checksum|replaying WAL|WAL does not match|not a valid DuckDB|deseriali|"
    r"metadata (?:pointer|block)",
    re.IGNORECASE,
)
_REMEDY = (
    "Check the disk, then rebuild it from landed documents with `ingest database rebuild`, or restore "
    "a backup with `ingest database restore`"
)

_logger = logging.getLogger(__name__)


class Torn(Exception):
    """A block of metadata turned out to be damaged before anything was written."""


class Guard:
    """An open database, and copies of what a writer's checkpoint writes in place.

    The file is read by a handle of its own, which is closed after DuckDB's: closing any handle of a file
    drops all locks of the process on it (https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

    Args:
        path: The database file.
        opened: The file as DuckDB has it open, nothing written yet.
        is_writer: Whether it is about to write.
    """

    def __init__(self, path: Path, opened: OpenFile, *, is_writer: bool) -> None:
        """Take the open file over; `close` lets go of it."""
        self.raw = opened.raw
        self._opened = opened
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if is_writer and is_tested() else None

    def save(self) -> None:
        """Make copies of the metadata in effect durable.

        Raises:
            DatabaseUnavailable: They cannot be written.
            Torn: A header or block is damaged.
        """
        if self._file is None:
            return
        try:
            undo.save(self._path, self._file, read_headers(self._file))
        except Unreadable as error:
            raise Torn(str(error)) from error
        except OSError as error:
            raise DatabaseUnavailable(
                f"{self._path.parent} cannot be written ({error.strerror}): check that the disk has room "
                "and that files can be made in the folder"
            ) from error

    def close(self, *, is_clean: bool = True) -> None:
        """Close the database, which writes what was committed into its file.

        Args:
            is_clean: Whether nothing went wrong, so that the instance is kept for the next transaction.
        """
        if is_clean:
            self._opened.close()
        else:
            self._opened.discard()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def abandon(self) -> None:
        """Close the database without writing anything."""
        with suppress(duckdb.Error):
            DuckDBConnection(self.raw).execute("leave_log")
        self.close(is_clean=False)


def may_be_damage(error: Exception) -> bool:
    """Return whether an error of DuckDB's may come from a damaged file or log."""
    return isinstance(error, Torn | duckdb.InternalException) or bool(_DAMAGE.search(str(error)))


def refuse_damaged_log(path: Path) -> None:
    """Check the log that a killed writer left, if there is one, before DuckDB reads it.

    To be called while nothing of this project writes the database.

    Raises:
        DatabaseDamaged: It is damaged. It stays as it is.
    """
    try:
        log = log_path(path).read_bytes()
    except OSError:
        return
    if not (log and is_tested()):
        return
    try:
        headers = read_headers(kept_open(path))
    except (OSError, Unreadable):
        # DuckDB reports what is wrong with the file itself.
        return
    try:
        check_log(log, headers)
    except Unreadable as error:
        raise damaged(path, error.where) from error


def damaged(path: Path, where: str) -> DatabaseDamaged:
    """Return the error for a file or log that is damaged."""
    return DatabaseDamaged(f"{path} is damaged: {where} is not what was written. {_REMEDY}")


def other_file(path: Path) -> DatabaseUnavailable:
    """Return the error for a file that is no database."""
    return DatabaseUnavailable(
        f"{path} is not a valid DuckDB database file: name another, or move this one away"
    )


def restore(path: Path, deadline: float) -> bool:
    """Restore blocks torn by a killed writer, and read everything.

    No connection to the file may be open in this process.

    Args:
        path: The database file.
        deadline: When to stop waiting for other processes to let go of it, as `time.monotonic` counts.

    Returns:
        Whether anything was put back.

    Raises:
        DatabaseBusy: Other processes have it open.
        DatabaseDamaged: Something is damaged that cannot be put back.
        DatabaseUnavailable: There is no room to keep the damaged file aside.
    """
    if not is_tested():
        raise DatabaseDamaged(
            f"{path} is damaged, and DuckDB {duckdb.__version__} is not one of {tested_versions()}, "
            f"whose blocks can be restored: install one of these and try again. {_REMEDY}"
        )
    with locked(path, deadline) as file:
        if not is_database(file):
            raise other_file(path)
        try:
            headers = read_headers(file)
            put_back = _put_back(path, file, headers)
            found = damaged_block(file, headers, read_blocks(file, headers).free)
        except Unreadable as error:
            raise damaged(path, error.where) from error
        if found:
            raise damaged(path, found)
    if put_back:
        _read_all(path)
    return bool(put_back)


def _put_back(path: Path, file: int, headers: Headers) -> list[int]:
    """Write the copies of torn blocks, and return where these begin."""
    torn: dict[int, bytes] = {}
    with undo.opened(path) as copies:
        if copies is None or copies.headers_digest != headers.digest:
            return []
        for block in copies.digests:
            location = headers.location(block)
            if is_whole(os.pread(file, headers.block_bytes, location)):
                continue
            copy = copies.copy_of(block)
            if copy is not None:
                torn[location] = copy
    if not torn:
        return []
    aside = _keep_aside(path, file)
    for location, copy in torn.items():
        os.pwrite(file, copy, location)
    os.fsync(file)
    _logger.warning(
        "%s: a writer was killed while it wrote the metadata at byte %s; restored from the copy taken "
        "before, no commit is lost. The damaged file is kept as %s: remove it when all is well",
        path,
        ", ".join(map(str, torn)),
        aside,
    )
    return list(torn)


def _keep_aside(path: Path, file: int) -> Path:
    """Copy the file as it was found, and its log."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        with aside.open("xb") as target:
            copy_bytes(file, target)
        if log_path(path).exists():
            log_path(aside).write_bytes(log_path(path).read_bytes())
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DatabaseUnavailable(
            f"{path} was torn by a writer that was killed and can be repaired, but a copy of the "
            f"damaged file cannot be kept ({error.strerror}): make room for {os.fstat(file).st_size:,} "
            "bytes "
            f"in {path.parent}"
        ) from error
    undo.sync_folder(path.parent)
    return aside


def _read_all(path: Path) -> None:
    """Read every row of every table."""
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as raw:
            connection = DuckDBConnection(raw)
            for table in list_tables(connection):
                connection.fetch_one("read_whole_table", {"table": quoted(table.name)})
    except duckdb.Error as error:
        raise damaged(path, str(error).partition("\n")[0]) from error


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
    """Replace a database file that no transaction of this process has open.

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
