"""The files that were imported, so that a second import skips those that have not changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file that was imported, or an archive of which every file was.

    Attributes:
        file: Its absolute path, and its place in its archive.
        archive: The archive's absolute path, or None.
        version: Its size, time of change and checksum.
        channel_id: The channel it is of; None for an archive.
        reader: What else decides which rows it becomes.
        after: The lower bound that was asked for, aware UTC, or None.
        before: The upper bound that was asked for, aware UTC, or None.
        is_salvaged: Whether it was damaged and its sound part was taken.
        messages: How many messages it holds; of an archive, how many files.
        first_id: The smallest id of its messages, or None.
        last_id: The largest id of its messages, or None.
        correlation_id: The journey its rows came with.
    """

    file: str
    archive: str | None
    version: str
    channel_id: int | None
    reader: str
    after: datetime | None
    before: datetime | None
    is_salvaged: bool
    messages: int
    first_id: int | None
    last_id: int | None
    correlation_id: str


def imported_files(connection: Connection, files: Sequence[str]) -> dict[str, ImportedFile]:
    """Return what is known of some files and of the members of archives among them, by path."""
    rows = connection.fetch_all("list_imported_files", files=list(files))
    return {
        row["file"]: ImportedFile(
            after=row.pop("after_time"),
            before=row.pop("before_time"),
            **row,
        )
        for row in rows
    }


def keep_imported_files(connection: Connection, files: Sequence[ImportedFile], *, now: datetime) -> None:
    """Keep that files, all with the same bounds, were imported."""
    if not files:
        return
    connection.execute(
        "keep_imported_files",
        files=[each.file for each in files],
        archives=[each.archive for each in files],
        versions=[each.version for each in files],
        channel_ids=[each.channel_id for each in files],
        readers=[each.reader for each in files],
        after_time=files[0].after,
        before_time=files[0].before,
        salvaged=[each.is_salvaged for each in files],
        messages=[each.messages for each in files],
        first_ids=[each.first_id for each in files],
        last_ids=[each.last_id for each in files],
        correlation_ids=[each.correlation_id for each in files],
        now=now,
    )
