"""The merge: the end of every reading.

A *reading* is one message as read at one time: a row of `STAGING_SCHEMA`. Its version is (edit
time to the millisecond, or before all others without one; `observed_at`; `content_digest`).
After any readings, in any order, however batched and however often repeated, the table is the
same function of the set of them:

- a message's content is that of its highest version;
- the row is that content's *first* reading (lowest `observed_at`, an unknown one after all others, then
  `source`, then `correlation_id`), so what is read again and again keeps the source and correlation
  that brought it; `first_observed_at` says when that was and `observed_at` when the content was last read;
- `channel_id` is the lowest seen, of any version: a thread's first message is its parent channel's;
- `session_id` is the one that `domain/sessions/membership.py` gives for the row's channel and time;
- `deleted_at` is the tombstone's, whether it came before or after;
- `message_text` and `driver` take in the details of their highest version (see `details.py`);
- every other content is in `message_revisions`, as first read.

A message is *taken* when the policy of its channel took any of its readings. From then on every
reading of it counts, also those in which the policy would leave it out: an edit that empties a text arrives.
The readings of messages that were never taken wait in `skipped_messages` (see `skipped_messages.py`).
Readings of messages that were erased are only counted (see `storage/erasure_list.py`).

Only `created_at`, `updated_at` and `recorded_at` are times of this database. This needs two
things of the normalizer: that equal digests mean equal edit times to the millisecond, and that a
reading is distinguished by its id, digest, `observed_at`, `source` and `correlation_id`.

Most readings are of one message that is new, or that is there already with the very content:
`classify_staged` finds them, and they are inserted or touched as they are. The rest - an edit, a tombstone's
message, an id twice in a batch, a reading older than the first - is ranked with every version known of its
message by `resolve_versions`. Both ways end in the same rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ingest_pipeline.domain.messages.normalize import SkipReason
from ingest_pipeline.storage.engine.columns import as_numpy, column, in_one_piece, repeated
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import erasures_in, without_erased
from ingest_pipeline.storage.messages.changes import ChangeKind, record_changes
from ingest_pipeline.storage.messages.deletions import admit, release
from ingest_pipeline.storage.messages.details import (
    any_details,
    compose,
    count_changed,
    decompose,
    merge_details,
)
from ingest_pipeline.storage.messages.membership import link_merged, sessions_at, share_sessions
from ingest_pipeline.storage.messages.schema import DECIDING_COLUMNS, STAGING_SCHEMA, staged

_TIME = STAGING_SCHEMA.field("observed_at").type


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """Counts of the staged rows by outcome, which add up to their number.

    Attributes:
        created: Messages that were not in the table.
        updated: Messages whose content was replaced by a newer one.
        unchanged: Rows with the content that was there already, or that another row brought.
        stale: Rows with a content older than what the table has now.
        skipped: Rows of messages that no policy has taken, by reason.
        changed_ids: Messages of which anything is other than before, apart from when they were last seen:
            also such as count as unchanged, for example one that moved to another channel.
        created_ids: Those of them that were not in the table.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    changed_ids: frozenset[int] = field(default=frozenset(), compare=False, repr=False)
    created_ids: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    def __add__(self, other: MergeCounts) -> MergeCounts:
        """Add the counts of two merges."""
        return MergeCounts(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.stale + other.stale,
            self.skipped + other.skipped,
            self.changed_ids | other.changed_ids,
            self.created_ids | other.created_ids,
        )


def merge_messages(connection: Connection, rows: pa.Table, *, now: datetime) -> MergeCounts:
    """Merge readings into `messages` and `message_revisions`, or into `skipped_messages`; feed the changes.

    Args:
        rows: Readings, of `STAGING_SCHEMA`; may be empty and may hold an id several times.
        now: Time of the merge, aware UTC: `created_at` of new rows, `updated_at` of changed ones.

    Returns:
        What became of each row.
    """
    counts = _merge(connection, rows, now)
    record_changes(connection, ChangeKind.CREATED, counts.created_ids, now=now)
    record_changes(connection, ChangeKind.UPDATED, counts.changed_ids - counts.created_ids, now=now)
    return counts


def _merge(connection: Connection, rows: pa.Table, now: datetime) -> MergeCounts:
    if not rows.num_rows:
        return MergeCounts()
    readings = staged(rows)
    connection.stage("staged_readings", readings.select(DECIDING_COLUMNS))
    # Both before anything is read: a session that changes now, or another merge of the same message, would
    # make this one write what is true no more.
    share_sessions(connection)
    connection.execute("lock_staged")
    kept = without_erased(erasures_in(connection), rows)
    if kept is not rows:
        erased = MergeCounts(skipped=Counter({SkipReason.ERASED.value: len(rows) - len(kept)}))
        return erased + _merge(connection, kept, now)
    changed = merge_details(connection, rows)
    updated = count_changed(connection, changed)
    admission = admit(connection, rows, now=now)
    # The rows that wait in `skipped_messages` now must not be classified.
    if admission.rows is not rows:
        readings = staged(admission.rows)
        connection.stage("staged_readings", readings.select(DECIDING_COLUMNS))
    counts = MergeCounts(skipped=admission.skipped)
    if len(readings):
        counts += _merge_staged(connection, readings, now)
    if any_details(connection):
        compose(connection, set(rows["discord_id"].to_pylist()), changed, now=now)
    # Their content is there already, their details are not.
    return replace(
        counts,
        updated=counts.updated + updated,
        unchanged=counts.unchanged - updated,
        changed_ids=counts.changed_ids | changed,
    )


def _merge_staged(connection: Connection, readings: pa.Table, now: datetime) -> MergeCounts:
    connection.execute("classify_staged")
    actions = connection.fetch_one("count_actions") or {}
    released = release(connection) if actions["any_skipped"] else None
    if actions["any_moved"]:
        # What is counted where they were is not right any more.
        connection.execute("forget_rates_of_moved")
    if actions["touched"]:
        connection.execute("update_last_seen")
    new_ids: frozenset[int] = frozenset()
    if actions["inserted"]:
        new = _rows_of_action(connection, readings, "insert", actions["inserted"])
        new_ids = frozenset(new["discord_id"].to_pylist())
        connection.load("messages", _new_messages(connection, new, now))
    unchanged = len(readings) - actions["inserted"] - actions["resolved"]
    counts = MergeCounts(actions["inserted"], unchanged=unchanged, changed_ids=new_ids, created_ids=new_ids)
    if actions["outdated"]:
        counts += _normalize_again(connection, readings, now)
    if actions["resolved"]:
        unresolved = _rows_of_action(connection, readings, "resolve", actions["resolved"])
        counts += _resolve_versions(connection, unresolved, now)
    if actions["outdated"] or actions["moved"]:
        counts += MergeCounts(changed_ids=_ids(connection, "list_outdated_or_moved"))
    if actions["resolved"] or actions["moved"]:
        link_merged(connection, now=now)
    connection.execute("drop_staged_actions")
    if released:
        # Each was counted when it was skipped, and the message itself by the row that took it.
        taken = _merge(connection, released, now)
        counts += MergeCounts(changed_ids=taken.changed_ids, created_ids=taken.created_ids)
    return counts


def _ids(connection: Connection, query: str) -> frozenset[int]:
    return frozenset(row["discord_id"] for row in connection.fetch_all(query))


def _normalize_again(connection: Connection, readings: pa.Table, now: datetime) -> MergeCounts:
    """Make what an earlier version of the normalizer made of the very content that is there."""
    outdated = _listed(readings, connection.fetch_all("list_outdated"))
    connection.stage("staged_readings", outdated.select(DECIDING_COLUMNS))
    decompose(connection)
    connection.stage("staged_messages", outdated)
    changed = connection.fetch_one("count_outdated") or {"n": 0}
    connection.execute("update_outdated", now=now)
    return MergeCounts(updated=changed["n"], unchanged=-changed["n"])


def _rows_of_action(connection: Connection, readings: pa.Table, merge_action: str, count: int) -> pa.Table:
    # Most batches need one action only, and no list of rows has to be fetched.
    if count == len(readings):
        return readings
    return _listed(readings, connection.fetch_all("list_rows_of_action", merge_action=merge_action))


def _listed(readings: pa.Table, listed: list[dict[str, Any]]) -> pa.Table:
    return readings.take(column([row["staging_row"] for row in listed], pa.int32()))


def _new_messages(connection: Connection, readings: pa.Table, now: datetime) -> pa.Table:
    """Return rows of `messages` for readings of messages that it does not have, in the order of ids."""
    ids = as_numpy(readings["discord_id"])
    if (ids[1:] < ids[:-1]).any():
        readings = readings.take(column(np.argsort(ids).tolist(), pa.int32()))
    channels, times = (in_one_piece(readings[name]) for name in ("channel_id", "posted_at"))
    moment = repeated(now, _TIME, len(readings))
    # Highlights are not the merge's: rows begin without.
    flags = readings.schema.get_field_index("is_highlight_candidate")
    return (
        readings.drop_columns(["staging_row"])
        .set_column(flags, "is_highlight_candidate", repeated(False, pa.bool_(), len(readings)))
        .append_column("session_id", sessions_at(connection, channels, times))
        .append_column("first_observed_at", readings["observed_at"])
        .append_column("created_at", moment)
        .append_column("updated_at", moment)
    )


def _resolve_versions(connection: Connection, readings: pa.Table, now: datetime) -> MergeCounts:
    """Rank every version of the readings' messages and put each where it belongs."""
    readings = staged(readings.drop_columns(["staging_row"]))
    connection.stage("staged_readings", readings.select(DECIDING_COLUMNS))
    decompose(connection)
    connection.execute("resolve_versions")
    counts = connection.fetch_one("count_outcomes") or {}
    found = connection.fetch_one("count_changes") or {}
    changes = connection.fetch_all("list_changed")
    changed_ids = frozenset(row["discord_id"] for row in changes)
    created_ids = frozenset(row["discord_id"] for row in changes if row["is_new"])
    if found["changes"]:
        # Texts are the bulk of a batch: only those that are written are sent.
        is_all = found["staged"] == len(readings)
        to_write = readings if is_all else _listed(readings, connection.fetch_all("list_staged_versions"))
        _write_changes(connection, to_write, now)
    connection.execute("update_last_seen_resolved")
    connection.execute("drop_ranked_versions")
    return MergeCounts(**counts, changed_ids=changed_ids, created_ids=created_ids)


def _write_changes(connection: Connection, readings: pa.Table, now: datetime) -> None:
    """Put the contents that are new, or no longer or again the message's, where they belong."""
    connection.stage("staged_messages", readings)
    connection.execute("archive_superseded", now=now)
    connection.execute("upsert_messages", now=now)
    connection.execute("delete_restored_revisions")
