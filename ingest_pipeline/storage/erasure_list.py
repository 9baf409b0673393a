"""The list of erasures in the database, and what of a batch it forbids to take.

Every reading passes here before it is merged, so nothing brings an erased message back: an import, a poll,
the history, an event of the gateway, a raw reading that is merged again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes

import pyarrow as pa

from ingest_pipeline.domain.erasures import ALWAYS, Erasures, Origin, Subject, digest_of
from ingest_pipeline.storage.engine.columns import column
from ingest_pipeline.storage.engine.database import Connection, Database

_AT_ONCE = 20_000
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Erasure:
    """One entry of the list.

    Attributes:
        subject: What was erased.
        digest: Its keyed digest.
        before_id: Messages with lower ids are erased; None for all, later ones too.
        erased_at: When, aware UTC.
    """

    subject: Subject
    digest: str
    before_id: int | None
    erased_at: datetime


def erasures_in(connection: Connection) -> Erasures:
    """Return the erasures of a database, looked up in the transaction as long as it is open."""
    subjects = frozenset(Subject(row["subject"]) for row in connection.fetch_all("list_erased_subjects"))
    if not subjects:
        return Erasures()

    def lookup(digests: Collection[str]) -> dict[str, int]:
        every = list(digests)
        found: dict[str, int] = {}
        for first in range(0, len(every), _AT_ONCE):
            some = every[first : first + _AT_ONCE]
            for row in connection.fetch_all("find_erasures", digests=some):
                found[row["digest"]] = ALWAYS if row["before_id"] is None else row["before_id"]
        return found

    return Erasures(keys_in(connection), subjects, lookup)


def read_erasures(database: Database) -> Erasures:
    """Return the erasures of a database, held in memory."""
    with database.read() as connection:
        found = erasures_in(connection)
        if not found:
            return found
        entries = list_erasures(connection)
    before = {each.digest: ALWAYS if each.before_id is None else each.before_id for each in entries}
    return Erasures(
        found.keys, found.subjects, lambda digests: {each: before[each] for each in digests if each in before}
    )


def keys_in(connection: Connection) -> tuple[bytes, ...]:
    """Return the keys of the digests, the one that is used for new ones first."""
    return tuple(bytes.fromhex(row["secret"]) for row in connection.fetch_all("list_erasure_keys"))


def keep_keys(connection: Connection, keys: Iterable[bytes], *, now: datetime) -> None:
    """Keep keys of digests."""
    for key in keys:
        connection.execute("keep_erasure_key", key_id=sha256(key).hexdigest()[:16], secret=key.hex(), now=now)


def list_erasures(connection: Connection) -> list[Erasure]:
    """Return the whole list."""
    return [
        Erasure(Subject(row["subject"]), row["digest"], row["before_id"], row["erased_at"])
        for row in connection.fetch_all("list_erasures")
    ]


def keep_erasures(connection: Connection, entries: Sequence[Erasure]) -> None:
    """Add entries to the list; those that are there stay."""
    for first in range(0, len(entries), _AT_ONCE):
        some = entries[first : first + _AT_ONCE]
        connection.execute(
            "keep_erasures",
            subjects=[each.subject.value for each in some],
            digests=[each.digest for each in some],
            before_ids=[each.before_id for each in some],
            erased_ats=[each.erased_at for each in some],
        )


def note_erased(
    connection: Connection,
    subject: Subject,
    entity_ids: Collection[int],
    *,
    before_id: int | None,
    now: datetime,
) -> None:
    """Note that messages, authors, channels or guilds are erased.

    Args:
        connection: A write transaction that no merge goes on beside; see `lock_sessions`.
        subject: What they are.
        entity_ids: Their ids.
        before_id: Only messages with lower ids are; None for all, later ones too.
        now: When, aware UTC.
    """
    keys = keys_in(connection)
    if not keys:
        keys = (token_bytes(_KEY_BYTES),)
        keep_keys(connection, keys, now=now)
    entries = [Erasure(subject, digest_of(keys[0], subject, each), before_id, now) for each in entity_ids]
    keep_erasures(connection, entries)


def note_erased_threads(connection: Connection, parents: Mapping[int, int], *, now: datetime) -> None:
    """Note of threads that become known that the channel or forum they are in was erased, as far as it was.

    Args:
        connection: As for `note_erased`.
        parents: Thread id → id of its channel or forum.
        now: When, aware UTC.
    """
    for parent_id, before in erasures_in(connection).bounds(Subject.CHANNEL, set(parents.values())).items():
        threads = [each for each, parent in parents.items() if parent == parent_id]
        bound = None if before == ALWAYS else before
        note_erased(connection, Subject.CHANNEL, threads, before_id=bound, now=now)


def without_erased(erasures: Erasures, rows: pa.Table) -> pa.Table:
    """Return those rows, of `STAGING_SCHEMA`, whose messages were not erased; the very table when all are."""
    if not erasures or not rows.num_rows:
        return rows
    names = ("discord_id", "author_id", "channel_id", "guild_id", "reference_id", "forwarded")
    origins = [
        Origin(message_id, author_id, channel_id, guild_id, reference_id if forwarded else None)
        for message_id, author_id, channel_id, guild_id, reference_id, forwarded in zip(
            *(rows[name].to_pylist() for name in names), strict=True
        )
    ]
    erased = erasures.erased(origins)
    if not any(erased):
        return rows
    kept = [position for position, is_erased in enumerate(erased) if not is_erased]
    return rows.take(column(kept, pa.int64()))
