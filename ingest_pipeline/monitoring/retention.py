"""Retention: deletes events, raw exports, raw readings and expired invitations past their age.

The table of messages and what the ledger proves are never touched. A dry run counts what would go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from upath import UPath

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.listings import Tree, look_at_tree, subfolders
from ingest_pipeline.landing.stored_files import remove_tree
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.install_intents import count_purgeable_intents, purge_intents
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.manifests import is_as_sealed, newest_manifests
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.runs.events import count_events, forget_events

_LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """Deleted data or, after a dry run, data that would be deleted.

    Attributes:
        dry_run: Whether everything is as it was.
        events: Events past their age; what they counted stays counted.
        sessions: Sessions whose raw exports and normalized files are past their age.
        kept: Sessions whose files are past it and stay, with why.
        quarantined: Refused exports past their age.
        raw_files: Files of raw readings past their age.
        raw_days: Days of channels whose raw readings were put into one file, which deletes nothing.
        files: Files of all three.
        size_bytes: Size of these files.
    """

    dry_run: bool
    events: int = 0
    sessions: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)
    quarantined: int = 0
    raw_files: int = 0
    raw_days: int = 0
    files: int = 0
    size_bytes: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.events or self.sessions or self.quarantined or self.raw_files or self.raw_days)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "dry_run": self.dry_run,
            "events": self.events,
            "sessions": list(self.sessions),
            "kept": self.kept,
            "quarantined": self.quarantined,
            "raw_files": self.raw_files,
            "raw_days": self.raw_days,
            "files": self.files,
            "bytes": self.size_bytes,
        }


def apply_retention(services: Services, *, dry_run: bool, now: datetime | None = None) -> Retention:
    """Delete what the settings say is past its age, or count it.

    Raw exports go a session at a time, and only of a session that is sealed and has not changed since:
    until then they may be the only copy. Their normalized files go with them. Raw readings go a day at a
    time; those of a day that stays are put into one file for each channel.

    Args:
        dry_run: Whether to leave everything as it is.

    Raises:
        StorageRejected: A store does not answer or refuses.
        DatabaseBusy: Another process held the database for too long.
    """
    moment, settings = now or datetime.now(UTC), services.settings
    done = Retention(dry_run)
    if settings.retain_events_days:
        before = moment - timedelta(days=settings.retain_events_days)
        done = replace(done, events=_forget(services, before, dry_run=dry_run))
    if settings.retain_landings_days:
        before = moment - timedelta(days=settings.retain_landings_days)
        done = _delete_landings(services, before, done)
    return _tidy_raw(services, moment, done)


def purge_expired_intents(services: Services, *, dry_run: bool, now: datetime | None = None) -> int:
    """Delete the invitations that expired longer than the grace period ago, or count them."""
    moment = now or datetime.now(UTC)
    grace = timedelta(seconds=services.settings.install_intent_grace_seconds)
    if dry_run:
        with services.database.read() as connection:
            return count_purgeable_intents(connection, now=moment, grace=grace)
    return services.database.run(lambda connection: purge_intents(connection, now=moment, grace=grace))


def is_past_retention(session: Session, settings: Settings, now: datetime) -> bool:
    """Return whether a session's raw exports may be gone because of their age."""
    days = settings.retain_landings_days
    return bool(days) and session.end_time < now - timedelta(days=days)


def _forget(services: Services, before: datetime, *, dry_run: bool) -> int:
    with services.database.read() as connection:
        found = count_events(connection, before)
    if dry_run or not found:
        return found
    return services.database.run(lambda connection: forget_events(connection, before))


def _delete_landings(services: Services, before: datetime, done: Retention) -> Retention:
    """Return what was done with the files that are past their age as well."""
    roots = services.landing.root, services.normalized.root
    with services.database.read() as connection:
        known = {session.session_id: session for session in list_sessions(connection)}
    trees = {name: [look_at_tree(root / name) for root in roots] for name in _session_folders(roots)}
    old_ones = [name for name, found in trees.items() if _is_old(known.get(name), found, before)]
    with services.database.read() as connection:
        reasons = {name: _why_kept(connection, known.get(name)) for name in old_ones}
    gone = [name for name in old_ones if reasons[name] is None]
    kept = {name: reason for name, reason in reasons.items() if reason}
    done = replace(
        _with(done, [tree for name in gone for tree in trees[name]]), sessions=tuple(gone), kept=kept
    )
    quarantined = [look_at_tree(folder) for folder in subfolders(services.landing.quarantined)]
    old = [tree for tree in quarantined if tree.modified_at and tree.modified_at < before]
    done = replace(_with(done, old), quarantined=len(old))
    if not done.dry_run:
        for tree in (*(tree for name in gone for tree in trees[name]), *old):
            remove_tree(tree.folder)
    return done


def _tidy_raw(services: Services, now: datetime, done: Retention) -> Retention:
    """Delete raw readings that are past their age, and put those of days that are past together."""
    store, days = services.landing.raw, services.settings.retain_raw_days
    if days:
        found = store.forget((now - timedelta(days=days)).date(), dry_run=done.dry_run)
        size_bytes = done.size_bytes + found.size_bytes
        done = replace(done, raw_files=found.files, files=done.files + found.files, size_bytes=size_bytes)
    # A batch that began before midnight may still land.
    today = (now - _LATE).date()
    return replace(done, raw_days=store.compact(today, dry_run=done.dry_run))


def _session_folders(roots: Iterable[UPath]) -> list[str]:
    found = {folder.name for root in roots for folder in subfolders(root)}
    return sorted(name for name in found if not name.startswith("_"))


def _is_old(session: Session | None, trees: Iterable[Tree], before: datetime) -> bool:
    """Return whether a session's files are past their age: by its end, or, of one unknown, by their own."""
    if session is not None:
        return session.end_time < before and any(tree.files for tree in trees)
    times = [tree.modified_at for tree in trees if tree.modified_at]
    return bool(times) and max(times) < before


def _why_kept(connection: Connection, session: Session | None) -> str | None:
    if session is None:
        return None
    if not newest_manifests(connection, session.session_id):
        return "it is not sealed: the raw exports may be the only copy"
    return None if is_as_sealed(connection, session) else "it has changed since it was sealed"


def _with(done: Retention, trees: Iterable[Tree]) -> Retention:
    counted = list(trees)
    return replace(
        done,
        files=done.files + sum(tree.files for tree in counted),
        size_bytes=done.size_bytes + sum(tree.size_bytes for tree in counted),
    )
