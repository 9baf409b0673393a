"""The list of erasures as a file in the data folder, for a database that is put in the place of this one.

A backup of before an erasure has no word of it. So the list is kept beside the database, too, and is joined
into whatever database is restored, copied or made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upath import UPath

from ingest_pipeline.domain.erasures import Subject
from ingest_pipeline.errors import ConfigurationError, DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.landing.stored_files import new_version
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.migrations import pending
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.erasure.tables import pending_files
from ingest_pipeline.storage.erasure_list import (
    Erasure,
    keep_erasures,
    keep_keys,
    keys_in,
    list_erasures,
)


def list_file(settings: Settings) -> Path:
    """Return where the list is kept, whether it is there or not."""
    return settings.data_dir / "erasures.jsonl"


def save_list(settings: Settings, database: Database) -> None:
    """Write what is on the list of a database into the file, with what the file has already.

    Raises:
        ConfigurationError: The file that is there cannot be read.
        StorageRejected: It cannot be written.
    """
    with database.read() as connection:
        keys, entries = keys_in(connection), list_erasures(connection)
    if not entries:
        return
    known_keys, known = read_list(settings)
    lines: list[dict[str, Any]] = [{"key": key.hex()} for key in dict.fromkeys((*keys, *known_keys))]
    by_digest = {each.digest: each for each in (*known, *entries)}
    lines += [
        {
            "subject": each.subject.value,
            "digest": each.digest,
            "before_id": each.before_id,
            "erased_at": each.erased_at.isoformat(),
        }
        for each in by_digest.values()
    ]
    path = list_file(settings)
    with new_version(UPath(path)) as draft:
        draft.touch(mode=0o600)
        draft.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="ascii")


def read_list(settings: Settings) -> tuple[list[bytes], list[Erasure]]:
    """Return the keys and entries in the file; none without one.

    Raises:
        ConfigurationError: It cannot be read.
    """
    path = list_file(settings)
    if not path.exists():
        return [], []
    try:
        lines = list(_lines(path))
        keys = [bytes.fromhex(line["key"]) for line in lines if "key" in line]
        return keys, [_entry(line) for line in lines if "digest" in line]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path}, the list of what was erased, cannot be read ({error}): bring it back from a backup, or "
            "delete it, and `ingest erase` writes it again from the database"
        ) from error


def join_list(settings: Settings, connection: Connection) -> int:
    """Put what the file has on the list of a database; return how many entries the file has.

    Args:
        settings: Say where the file is.
        connection: A write transaction.
    """
    keys, entries = read_list(settings)
    if entries:
        keep_keys(connection, keys, now=datetime.now(UTC))
        keep_erasures(connection, entries)
    return len(entries)


def erasure_problem(settings: Settings) -> str | None:
    """Return why something that was erased may be there still; None when nothing is, or nobody can say."""
    # A database that cannot be read has a check of its own.
    with suppress(DatabaseUnavailable, DatabaseBusy), closing(open_database(settings)) as database:
        return _problem(settings, database)
    return None


def _problem(settings: Settings, database: Database) -> str | None:
    with database.inspect() as connection:
        if connection is None or pending(connection):
            return None
        is_unfinished = pending_files(connection) is not None
        there = {each.digest for each in list_erasures(connection)}
    if is_unfinished:
        return "an erasure was broken off"
    if any(each.digest not in there for each in read_list(settings)[1]):
        return "the database does not know all that was erased: it may be a copy of before"
    return None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="ascii") as file:
        for line in file:
            yield json.loads(line)


def _entry(line: dict[str, Any]) -> Erasure:
    moment = datetime.fromisoformat(line["erased_at"])
    return Erasure(Subject(line["subject"]), line["digest"], line["before_id"], moment)
