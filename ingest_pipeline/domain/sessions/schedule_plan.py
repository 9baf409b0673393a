"""The changes that a schedule makes to the stored sessions.

What an entry is compared by is its version, a calendar's SEQUENCE and time of writing (RFC 5546, 2.1.5): an
older file changes nothing. A subscription's entry that is as it was last time leaves its session alone, so
what somebody has changed by hand since stays until the source says something new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from ingest_pipeline.domain.sessions.schedule import Cancellation, Schedule, ScheduledSession, Version
from ingest_pipeline.domain.sessions.session import Session


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a stored session: the entry that was applied last.

    Attributes:
        session_id: The stored session.
        entry_id: The id that the source's entry makes; another one where it was matched by its values.
        source: The schedule's source.
        uid: The entry's UID.
        version: The entry's version.
        digest: Of the values that were applied.
    """

    session_id: str
    entry_id: str
    source: str
    uid: str
    version: Version
    digest: str


class SessionChange(NamedTuple):
    """A session's change.

    Attributes:
        kind: `created`, `updated` or `cancelled`.
        before: As it is stored, or None.
        after: As it will be.
        reason: Why it is cancelled; empty otherwise.
    """

    kind: str
    before: Session | None
    after: Session
    reason: str = ""

    @property
    def fields(self) -> dict[str, tuple[object, object]]:
        """The values that differ, by field: before and after."""
        before = asdict(self.before) if self.before else {}
        after = asdict(self.after)
        return {name: (before.get(name), value) for name, value in after.items() if before.get(name) != value}


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """What a schedule changes.

    Attributes:
        changes: The sessions that are written.
        origins: The origins that are written.
        unchanged: How many sessions are as the schedule has them, or were changed by hand since then.
        older: Sessions that stay as a newer entry made them.
        removed: Sessions that somebody removed and that a subscription does not bring back.
        matched: Sessions that were found by time, channel and name, by the id that the source makes now.
        unknown: Cancelled events of which no session is stored.
    """

    changes: tuple[SessionChange, ...] = ()
    origins: tuple[Origin, ...] = ()
    unchanged: int = 0
    older: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    matched: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[Cancellation, ...] = ()

    def of_kind(self, kind: str) -> list[SessionChange]:
        """Return the changes of one kind."""
        return [change for change in self.changes if change.kind == kind]


def digest_of(session: Session) -> str:
    """Return a digest of a session's values without its id."""
    values = asdict(session)
    del values["session_id"]
    return blake2b(repr(sorted(values.items())).encode(), digest_size=16).hexdigest()


def plan_changes(
    schedule: Schedule, stored: Mapping[str, Session], origins: Iterable[Origin], now: datetime
) -> SchedulePlan:
    """Compare a schedule with what is stored.

    Args:
        schedule: What a source says.
        stored: All sessions by id.
        origins: What is known of where they come from.
        now: The present, aware UTC; what is over is not cancelled because it is missing.
    """
    return _Comparison(schedule, stored, {each.entry_id: each for each in origins}, now).plan()


class _Comparison:
    """One comparison of a schedule with what is stored."""

    def __init__(
        self, schedule: Schedule, stored: Mapping[str, Session], origins: Mapping[str, Origin], now: datetime
    ) -> None:
        self._schedule, self._stored, self._origins, self._now = schedule, stored, origins, now
        self._entry_ids = {each.session.session_id for each in schedule.sessions}
        self._changes: dict[str, SessionChange] = {}
        self._written: dict[str, Origin] = {}
        self._older: list[str] = []
        self._removed: list[str] = []
        self._matched: dict[str, str] = {}
        self._unknown: list[Cancellation] = []
        self._unchanged = 0
        taken = self._entry_ids.union(
            self._origins[each].session_id for each in self._entry_ids & origins.keys()
        )
        self._by_values = {
            _values(session): key
            for key, session in stored.items()
            if key not in taken and session.event_name and not session.is_cancelled
        }

    def plan(self) -> SchedulePlan:
        for entry in self._schedule.sessions:
            self._take(entry)
        for cancellation in self._schedule.cancelled:
            self._cancel(cancellation)
        self._cancel_missing()
        return SchedulePlan(
            tuple(self._changes.values()),
            tuple(self._written.values()),
            self._unchanged,
            tuple(self._older),
            tuple(self._removed),
            self._matched,
            tuple(self._unknown),
        )

    def _take(self, entry: ScheduledSession) -> None:
        entry_id = entry.session.session_id
        origin = self._origins.get(entry_id)
        session_id = origin.session_id if origin else self._match(entry.session)
        before, after = self._stored.get(session_id), replace(entry.session, session_id=session_id)
        digest = digest_of(after)
        after = after.keeping_extension(before)
        if origin and entry.version.is_older_than(origin.version):
            if digest == origin.digest:
                self._unchanged += 1
            else:
                self._older.append(session_id)
            return
        # A subscription is read again and again: what somebody has changed or removed since is left so.
        is_as_before = bool(origin and origin.digest == digest and self._schedule.is_whole)
        if is_as_before and before is None:
            self._removed.append(session_id)
            return
        self._note(Origin(session_id, entry_id, self._schedule.source, entry.uid, entry.version, digest))
        if before == after or is_as_before:
            self._unchanged += 1
            return
        kind = "updated" if before else "created"
        self._changes[session_id] = SessionChange(kind, before, after)

    def _match(self, session: Session) -> str:
        """Return the id of the stored session that this is: its own, or of equal time, channel and name."""
        if session.session_id in self._stored:
            return session.session_id
        found = self._by_values.pop(_values(session), None)
        if found is not None:
            self._matched[session.session_id] = found
        return found or session.session_id

    def _cancel(self, cancellation: Cancellation) -> None:
        known = self._origins.get(cancellation.session_id)
        found = [known] if known else []
        if not found and cancellation.session_id in self._stored:
            entry_id, source = cancellation.session_id, self._schedule.source
            found = [Origin(entry_id, entry_id, source, cancellation.uid, cancellation.version, "")]
        if cancellation.is_series:
            found += [
                each
                for each in self._origins.values()
                if each.uid == cancellation.uid and each is not known and self._is_coming(each)
            ]
        for origin in found:
            self._mark(origin, cancellation.version, "the schedule cancels it")
        if not found:
            self._unknown.append(cancellation)

    def _cancel_missing(self) -> None:
        """Cancel what is coming and has left its series, or the whole schedule."""
        schedule = self._schedule
        versions: dict[str, Version] = {}
        for entry in schedule.sessions:
            earlier = versions.get(entry.uid, entry.version)
            versions[entry.uid] = max(earlier, entry.version, key=lambda version: version.rank)
        is_told_of_all = schedule.is_whole and bool(schedule.sessions or schedule.may_be_empty)
        present = self._entry_ids.union(each.session_id for each in schedule.cancelled)
        spared = schedule.partial.union(each.uid for each in schedule.left_out)
        for origin in self._origins.values():
            if origin.entry_id in present or origin.uid in spared or not self._is_coming(origin):
                continue
            # One that has begun may have been taken off the list because it is over.
            if self._stored[origin.session_id].start_time <= self._now:
                continue
            if origin.uid in versions:
                self._mark(origin, versions[origin.uid], "it is no longer in its series")
            elif is_told_of_all and origin.source == schedule.source:
                self._mark(origin, Version(origin.version.sequence), f"{schedule.source} no longer has it")

    def _is_coming(self, origin: Origin) -> bool:
        session = self._stored.get(origin.session_id)
        if session is None or session.end_time <= self._now or session.is_cancelled:
            return False
        in_range = self._schedule.since <= session.start_time < self._schedule.until
        return in_range or origin.uid not in self._schedule.series

    def _mark(self, origin: Origin, version: Version, reason: str) -> None:
        before = self._stored.get(origin.session_id)
        if before is None:
            return
        if version.is_older_than(origin.version):
            self._older.append(origin.session_id)
            return
        after = replace(before, is_cancelled=True)
        self._note(replace(origin, version=version, digest=digest_of(after)))
        if before == after:
            self._unchanged += 1
        else:
            self._changes[before.session_id] = SessionChange("cancelled", before, after, reason)

    def _note(self, origin: Origin) -> None:
        if self._origins.get(origin.entry_id) != origin:
            self._written[origin.session_id] = origin


def _values(session: Session) -> tuple[datetime, tuple[int, ...], str | None]:
    return session.start_time, session.channel_ids, session.event_name


def describe_changes(plan: SchedulePlan) -> Iterator[str]:
    """Write each change as a line."""
    for change in plan.changes:
        after = change.after
        name = f" ({after.event_name})" if after.event_name else ""
        times = f"{after.start_time:%Y-%m-%d %H:%M} to {after.end_time:%Y-%m-%d %H:%M} UTC"
        if change.kind == "updated":
            differing = "; ".join(
                f"{each}: {_text(old)} → {_text(new)}" for each, (old, new) in change.fields.items()
            )
            yield f"updated   {after.session_id}{name}: {differing}"
        else:
            yield f"{change.kind:<9} {after.session_id}{name}: {change.reason or times}"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def plan_as_dict(schedule: Schedule, plan: SchedulePlan) -> dict[str, Any]:
    """Return a plan as JSON values: times as ISO 8601 in UTC, ids as strings."""
    return {
        "source": schedule.source,
        "created": len(plan.of_kind("created")),
        "updated": len(plan.of_kind("updated")),
        "cancelled": len(plan.of_kind("cancelled")),
        "unchanged": plan.unchanged,
        "session_ids": [entry.session.session_id for entry in schedule.sessions],
        "changes": [
            {
                "kind": change.kind,
                "session_id": change.after.session_id,
                "reason": change.reason or None,
                "fields": {
                    name: [_plain(before), _plain(after)] for name, (before, after) in change.fields.items()
                },
            }
            for change in plan.changes
        ],
        "left_out": [
            {"where": each.where, "name": each.name, "reason": each.reason} for each in schedule.left_out
        ],
        "older": list(plan.older),
        "removed": list(plan.removed),
        "matched": dict(plan.matched),
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(map(str, value)) if isinstance(value, tuple) else value
