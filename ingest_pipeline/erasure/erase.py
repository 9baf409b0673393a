"""The use case: erase a message, an author, a channel or a guild, out of every place.

First the list: from its commit on nothing of what is erased is taken any more, by whatever way it comes. Then
every place is swept by the list alone, so a sweep that was broken off at any moment is finished by the next.
The bot, Dagster and the HTTP interface may go on running meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from upath import UPath

from ingest_pipeline.domain.erasures import ALWAYS, Erasures, Subject, digest_of
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.erasure.dagster_log import erase_from_dagster
from ingest_pipeline.erasure.list_file import join_list, save_list
from ingest_pipeline.erasure.set_aside import erase_from_copies
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.erasure.files import (
    erase_from_export,
    erase_from_quarantine,
    erase_from_spool,
)
from ingest_pipeline.landing.listings import files_in
from ingest_pipeline.landing.spool import SPOOL_FOLDER
from ingest_pipeline.landing.stored_files import delete_file, file_exists, remove_tree
from ingest_pipeline.storage.erasure.free_space import purge
from ingest_pipeline.storage.erasure.tables import (
    Named,
    Swept,
    end_pending,
    find_named,
    note_named,
    pending_files,
    settle_pending,
    sweep_tables,
)
from ingest_pipeline.storage.erasure_list import read_erasures

Progress = Callable[[str], None]
TRANSCRIPTS = "tmp_transcripts_from_discord"
REPORTS = "reports"
_ANY_KEY = b"only for a count"


@dataclass(slots=True)
class ErasureReport:
    """A finished erasure, or what one would do.

    Attributes:
        dry_run: Whether everything is as it was.
        messages: How many messages were found by what was asked for; 0 for one that only finishes another.
        places: What was deleted or changed, by place: rows of tables, files and entries elsewhere.
        remarks: What only somebody else can do.
        seconds: Wall time.
    """

    dry_run: bool
    messages: int = 0
    places: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "dry_run": self.dry_run,
            "messages": self.messages,
            "places": dict(self.places),
            "remarks": self.remarks,
            "seconds": round(self.seconds, 3),
        }


def erase(
    services: Services,
    subject: Subject,
    entity_id: int,
    *,
    also_future: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ErasureReport:
    """Erase a message, or what an author has written or a channel or guild holds.

    Later readings of what was posted until now stay erased.

    Args:
        subject: What is erased.
        entity_id: Its id.
        also_future: Whether what is posted later is not taken either.
        dry_run: Whether to count only.
        progress: Called with what is being done.

    Raises:
        DatabaseBusy: Another process held the database for too long; run it again to finish.
        DatabaseUnavailable: The database cannot be reached or written; run it again to finish.
        StorageRejected: A store of files cannot be written; run it again to finish.
        StorageUnavailable: A store does not answer; run it again to finish.
    """
    began, now = time.monotonic(), datetime.now(UTC)
    before_id = None if also_future or subject is Subject.MESSAGE else first_id_at(now)
    with services.database.read() as connection:
        named = find_named(connection, subject, entity_id, before_id)
    if dry_run:
        report = _sweep(services, _list_of(named, before_id), dry_run=True, progress=progress)
    else:
        services.database.run(partial(note_named, named=named, before_id=before_id, now=now))
        report = finish(services, progress=progress)
    report.messages = len(named.message_ids)
    report.seconds = time.monotonic() - began
    return report


def finish(services: Services, *, progress: Progress | None = None) -> ErasureReport:
    """Sweep every place by the list of erasures: finishes what was broken off, and what came back by hand.

    Raises:
        IngestError: As `erase`.
    """
    began = time.monotonic()
    services.database.run(partial(join_list, services.settings))
    save_list(services.settings, services.database)
    report = _sweep(services, read_erasures(services.database), dry_run=False, progress=progress)
    services.database.run(end_pending)
    report.seconds = time.monotonic() - began
    return report


def finish_if_pending(services: Services) -> ErasureReport | None:
    """Finish what deletions on Discord or a broken erasure have left; None when there is nothing.

    Raises:
        IngestError: As `erase`.
    """
    with services.database.read() as connection:
        if pending_files(connection) is None:
            return None
    return finish(services)


def _list_of(named: Named, before_id: int | None) -> Erasures:
    """Return a list with one erasure, for counting."""
    before = {digest_of(_ANY_KEY, Subject.MESSAGE, each): ALWAYS for each in named.message_ids}
    subjects = {Subject.MESSAGE}
    if named.subject is not Subject.MESSAGE:
        bound = ALWAYS if before_id is None else before_id
        before[digest_of(_ANY_KEY, named.subject, named.entity_id)] = bound
        before |= {digest_of(_ANY_KEY, Subject.CHANNEL, each): bound for each in named.channel_ids}
        subjects |= {named.subject} | ({Subject.CHANNEL} if named.channel_ids else set())
    return Erasures(
        (_ANY_KEY,),
        frozenset(subjects),
        lambda digests: {each: before[each] for each in digests if each in before},
    )


def _sweep(
    services: Services, erasures: Erasures, *, dry_run: bool, progress: Progress | None
) -> ErasureReport:
    report = ErasureReport(dry_run)
    show = progress or (lambda _: None)
    show("tables")
    swept = sweep_tables(services.database, erasures if dry_run else None, dry_run=dry_run)
    report.places += swept.rows
    for place, work in _places(services, erasures, dry_run=dry_run):
        show(place)
        report.places += Counter({place: work()})
    _erase_derived(services, swept, report, show)
    show("other databases")
    count, remarks = erase_from_copies(services, dry_run=dry_run)
    report.places += Counter({"copies of databases": count})
    report.remarks += remarks
    show("Dagster's log")
    count, remarks = erase_from_dagster(services.settings.dagster_home, dry_run=dry_run)
    report.places += Counter({"entries of Dagster's log": count})
    report.remarks += remarks
    if not dry_run:
        # Before: what is noted may name what was erased, too.
        services.database.run(settle_pending)
        show("free space of the database and the search index")
        report.remarks += purge(services.database)
    return report


def _places(
    services: Services, erasures: Erasures, *, dry_run: bool
) -> Iterator[tuple[str, Callable[[], int]]]:
    landing, data_dir = services.landing, services.settings.data_dir
    yield "spooled events", partial(erase_from_spool, data_dir / SPOOL_FOLDER, erasures, dry_run=dry_run)
    yield "raw readings", partial(landing.raw.erase, erasures, dry_run=dry_run)
    yield "landed messages", partial(_in_documents, services, erasures, dry_run=dry_run)
    yield (
        "quarantined exports",
        partial(erase_from_quarantine, landing.quarantined, erasures, dry_run=dry_run),
    )
    yield "normalized rows", partial(services.normalized.erase, erasures, dry_run=dry_run)
    yield "exports that were kept", partial(_in_transcripts, data_dir, erasures, dry_run=dry_run)


def _in_documents(services: Services, erasures: Erasures, *, dry_run: bool) -> int:
    root = services.landing.root
    return sum(
        erase_from_export(path, erasures, dry_run=dry_run)
        for session_id in services.landing.session_ids()
        for path in files_in(root / session_id, "**/*.json")
    )


def _in_transcripts(data_dir: Path, erasures: Erasures, *, dry_run: bool) -> int:
    folder = UPath(data_dir / TRANSCRIPTS)
    if not folder.exists():
        return 0
    return sum(erase_from_export(path, erasures, dry_run=dry_run) for path in files_in(folder, "**/*"))


def _erase_derived(services: Services, swept: Swept, report: ErasureReport, show: Progress) -> None:
    """Delete reports of sessions, which can be made again, and files of clips."""
    with services.database.read() as connection:
        pending = pending_files(connection) or Swept()
    pending.add(swept)
    show("reports and clips")
    folders = [services.settings.data_dir / REPORTS / each for each in sorted(pending.sessions)]
    for folder in filter(Path.is_dir, folders):
        report.places["reports"] += 1
        if not report.dry_run:
            remove_tree(UPath(folder))
    for path in map(UPath, sorted(pending.clip_paths)):
        if file_exists(path):
            report.places["clip files"] += 1
            if not report.dry_run:
                delete_file(path)
