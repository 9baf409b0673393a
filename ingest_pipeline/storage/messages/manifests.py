"""Manifests of sealed sessions: the content of each channel, in versions, and the changes between them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import pyarrow as pa

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.storage.engine.columns import column, in_one_piece
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.manifest_changes import (
    Changes,
    Held,
    Sealed,
    changes_as_json,
    changes_from_json,
    compare,
    only_rows,
    rows_of,
)
from ingest_pipeline.storage.messages.membership import sessions_at, share_sessions


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of one channel of a session when it was sealed.

    Attributes:
        session_id: The session.
        version: From 1; the next is written only when something has changed.
        channel_id: The channel.
        message_count: Its live messages that belong to the session.
        first_id: The first of them, or None.
        last_id: The last of them, or None.
        digest: SHA-256, in hex, over `id:content_digest` lines in the order of ids.
        source: How the session was read again before: `history` or `export`.
        sealed_at: When, aware UTC.
        skipped: How many of its messages the channel's policy leaves out, by reason; None in versions of
            before they were sealed, too.
        skipped_digest: SHA-256, in hex, over their `id:content_digest:reason` lines in the order of ids; None
            likewise.
        changes: What is different since the version before.
        reason: Why there is this version: `first sealed`, or what has changed since the one before:
            `session moved`, `channels changed`, `messages changed`, `skipped messages changed`, `messages
            erased`, joined by commas; None for versions of before reasons were noted.
    """

    session_id: str
    version: int
    channel_id: int
    message_count: int
    first_id: int | None
    last_id: int | None
    digest: str
    source: str
    sealed_at: datetime
    skipped: Mapping[str, int] | None = None
    skipped_digest: str | None = None
    changes: Changes = field(default_factory=Changes)
    reason: str | None = None


class SealedVersion(NamedTuple):
    """The newest version of a session's manifests, and when it was sealed (aware UTC)."""

    version: int
    sealed_at: datetime


def write_manifests(
    connection: Connection,
    session: Session,
    *,
    source: str,
    now: datetime,
    erased: Mapping[int, int] | None = None,
) -> list[Manifest]:
    """Seal a session as it is in the table now.

    Args:
        source: How it was read again just before: `history` or `export`.
        now: Time of sealing, aware UTC.
        erased: How many of its messages, by channel, were erased since and are nowhere any more.

    Returns:
        The manifests of its channels: those of a new version, or, when nothing has changed, those of
        the version there is.
    """
    share_sessions(connection)
    connection.execute("lock_manifests")
    newest = newest_manifests(connection, session.session_id)
    current = _current(connection, session)
    before = _sealed(connection, session.session_id)
    changes = {
        channel_id: compare(
            before.get(channel_id, {}), current.get(channel_id, {}), (erased or {}).get(channel_id, 0)
        )
        for channel_id in sorted(current.keys() | before.keys())
    }
    if {manifest.channel_id for manifest in newest} == current.keys() and not any(changes.values()):
        return newest
    reason = _reason(connection, newest, current.keys(), changes)
    version = max((manifest.version for manifest in newest), default=0) + 1
    manifests = [
        Manifest(
            session_id=session.session_id,
            version=version,
            channel_id=channel_id,
            message_count=len(rows := rows_of(held)),
            first_id=min(rows, default=None),
            last_id=max(rows, default=None),
            digest=_digest(rows),
            source=source,
            sealed_at=now,
            skipped=_reasons(held),
            skipped_digest=_skipped_digest(held),
            changes=changes[channel_id] if version > 1 else Changes(),
            reason=reason,
        )
        for channel_id, held in current.items()
    ]
    for manifest in manifests:
        texts = {"changes": changes_as_json(manifest.changes), "skipped": json.dumps(manifest.skipped)}
        connection.execute("insert_manifest", **{**asdict(manifest), **texts})
    _keep(connection, session.session_id, current)
    return manifests


def newest_manifests(connection: Connection, session_id: str) -> list[Manifest]:
    """Return the manifests of a session's newest version by channel; none when it was never sealed."""
    manifests = list_manifests(connection, session_id)
    return [manifest for manifest in manifests if manifest.version == manifests[0].version]


def list_manifests(connection: Connection, session_id: str) -> list[Manifest]:
    """Return a session's manifests, the newest version first, then by channel."""
    return [
        Manifest(
            **{
                **row,
                "changes": changes_from_json(row["changes"]),
                "skipped": None if row["skipped"] is None else json.loads(row["skipped"]),
            }
        )
        for row in connection.fetch_all("list_manifests", session_id=session_id)
    ]


def sealed_versions(connection: Connection) -> dict[str, SealedVersion]:
    """Return the newest version of every sealed session."""
    return {
        row["session_id"]: SealedVersion(row["version"], row["sealed_at"])
        for row in connection.fetch_all("newest_manifest_versions")
    }


def is_as_sealed(connection: Connection, session: Session) -> bool:
    """Return whether a session holds what its newest manifest records.

    One that was written before skipped messages were sealed, too, has nothing about them; the next has them.
    """
    newest = newest_manifests(connection, session.session_id)
    current = _current(connection, session)
    if any(manifest.skipped is None for manifest in newest):
        rows = {channel_id: only_rows(held) for channel_id, held in current.items()}
        current = {each: held for each, held in rows.items() if held or each in session.channel_ids}
    before = _sealed(connection, session.session_id)
    channels = {manifest.channel_id for manifest in newest}
    return channels == current.keys() and {key: held for key, held in current.items() if held} == before


def _current(connection: Connection, session: Session) -> dict[int, dict[int, Sealed]]:
    """Return the live and skipped messages that belong to a session, by channel or thread."""
    found = _by_channel(connection.fetch_arrow("sealable_messages", session_id=session.session_id))
    for channel_id, held in _by_channel(_skipped(connection, session)).items():
        found.setdefault(channel_id, {}).update(held)
    return {channel_id: {} for channel_id in session.channel_ids} | found


def _skipped(connection: Connection, session: Session) -> pa.Table:
    """Return the skipped messages that would belong to a session as rows."""
    skipped = connection.fetch_arrow(
        "sealable_skipped",
        channel_ids=list(session.channel_ids),
        start=session.start_time,
        end=session.end_time,
    ).combine_chunks()
    if not skipped.num_rows:
        return skipped
    parts = [in_one_piece(skipped[name]) for name in ("channel_id", "posted_at")]
    owners = sessions_at(connection, *parts).to_pylist()
    mine = [position for position, owner in enumerate(owners) if owner == session.session_id]
    return skipped.take(column(mine, pa.int64()))


def _reason(
    connection: Connection,
    newest: Sequence[Manifest],
    now: AbstractSet[int],
    changes: Mapping[int, Changes],
) -> str:
    """Return what has changed since the newest version: the session's time, its channels or its messages."""
    if not newest:
        return "first sealed"
    channels = {manifest.channel_id for manifest in newest}
    reasons = {"channels changed"} if channels != now else set()
    for channel_id, change in changes.items():
        if change.erased:
            reasons.add("messages erased")
        rows = connection.fetch_all("list_stored_since", discord_ids=[*change.added, *change.removed])
        stored = {row["discord_id"]: row for row in rows}
        # What is there as before and is the session's no longer, or was there and is the session's now.
        let_go = {each for each in change.removed if each in stored and stored[each]["deleted_at"] is None}
        taken = {each for each in change.added if stored[each]["created_at"] <= newest[0].sealed_at}
        if (let_go or taken) and channel_id in channels & now:
            reasons.add("session moved")
        if change.skipped:
            reasons.add("skipped messages changed")
        if change.changed or len(let_go) < len(change.removed) or len(taken) < len(change.added):
            reasons.add("messages changed")
    return ", ".join(sorted(reasons, reverse=True))


def _sealed(connection: Connection, session_id: str) -> dict[int, dict[int, Sealed]]:
    return _by_channel(connection.fetch_arrow("sealed_messages", session_id=session_id))


def _by_channel(table: pa.Table) -> dict[int, dict[int, Sealed]]:
    found: dict[int, dict[int, Sealed]] = {}
    names = ("channel_id", "discord_id", "content_digest", "skip_reason")
    for channel_id, discord_id, *sealed in zip(*(table[name].to_pylist() for name in names), strict=True):
        found.setdefault(channel_id, {})[discord_id] = Sealed(*sealed)
    return found


def _reasons(held: Held) -> dict[str, int]:
    """Count the skipped messages by reason."""
    reasons = Counter(each.skip_reason for each in held.values() if each.skip_reason)
    return dict(sorted(reasons.items()))


def _digest(digests: Mapping[int, int]) -> str:
    return _sha256(f"{discord_id}:{digests[discord_id]}" for discord_id in sorted(digests))


def _skipped_digest(held: Held) -> str:
    skipped = sorted((each, *sealed) for each, sealed in held.items() if sealed.skip_reason)
    return _sha256(":".join(map(str, each)) for each in skipped)


def _sha256(lines: Iterable[str]) -> str:
    return sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _keep(connection: Connection, session_id: str, current: Mapping[int, Held]) -> None:
    connection.execute("forget_sealed", session_id=session_id)
    rows = [
        (channel_id, discord_id, *sealed)
        for channel_id, held in current.items()
        for discord_id, sealed in held.items()
    ]
    if rows:
        channel_ids, discord_ids, content_digests, skip_reasons = map(list, zip(*rows, strict=True))
        connection.execute(
            "keep_sealed",
            session_id=session_id,
            channel_ids=channel_ids,
            discord_ids=discord_ids,
            content_digests=content_digests,
            skip_reasons=skip_reasons,
        )
