"""Skipped messages: kept apart while their channel's policy leaves them out, merged once one is taken.

Whether a message is taken may be known late: its text may be read after the edit that emptied it, and a
policy may change. So what is not taken is kept in `skipped_messages`, each content with its first and last
reading, until a reading that is taken comes; then those contents become readings of the message like any
other. An id is in `messages` or here, never in both, and after any readings in any order both are the same
function of the set of them. A deletion is in `tombstones`, for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from ingest_pipeline.storage.engine.columns import column, counting, repeated
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA

# What the table does not keep, or what no longer holds when a message is taken.
_AT_RELEASE = {"is_highlight_candidate": False, "skip_reason": None}
_KEPT = [name for name in STAGING_SCHEMA.names if name not in _AT_RELEASE]


@dataclass(frozen=True, slots=True)
class Admission:
    """Which rows of a batch are merged.

    Attributes:
        rows: Those of messages that are known or taken; the very table that was given when these are all.
        skipped: How many are of messages that no policy has taken, by reason.
    """

    rows: pa.Table
    skipped: Counter[str] = field(default_factory=Counter)


def admit(connection: Connection, rows: pa.Table, *, now: datetime) -> Admission:
    """Keep the rows of messages that are not taken in `skipped_messages` and return the others.

    Args:
        connection: An open write transaction, with the rows staged in `staged_readings` and their turn taken.
        rows: Readings, of `STAGING_SCHEMA`.
        now: `recorded_at` of what is kept, aware UTC.
    """
    reasons = rows["skip_reason"]
    if reasons.null_count == len(rows):
        return Admission(rows)
    read = list(zip(rows["discord_id"].to_pylist(), reasons.to_pylist(), strict=True))
    left_out = {discord_id for discord_id, _ in read}
    left_out -= {discord_id for discord_id, reason in read if reason is None}
    if left_out:
        found = connection.fetch_all("known_among", discord_ids=sorted(left_out))
        left_out -= {row["discord_id"] for row in found}
    if not left_out:
        return Admission(rows)
    places: dict[bool, list[int]] = {True: [], False: []}
    for place, (discord_id, _) in enumerate(read):
        places[discord_id in left_out].append(place)
    _keep(connection, rows.take(column(places[True], pa.int64())), now)
    skipped = Counter(reason for discord_id, reason in read if discord_id in left_out)
    return Admission(rows.take(column(places[False], pa.int64())), skipped)


def release(connection: Connection) -> pa.Table | None:
    """Take the contents of the messages in `staged_readings` out of `skipped_messages`.

    Returns:
        Their first and last readings, of `STAGING_SCHEMA`; None when there are none.
    """
    waiting = connection.fetch_one("count_waiting")
    if not waiting or not waiting["n"]:
        return None
    kept = connection.fetch_arrow("read_skipped")
    connection.execute("release_skipped")
    place = kept.schema.get_field_index("observed_at")
    first = kept.set_column(place, "observed_at", kept["first_observed_at"])
    both = pa.concat_tables([first, kept])
    arrays = [
        both[each.name] if each.name in _KEPT else repeated(_AT_RELEASE[each.name], each.type, len(both))
        for each in STAGING_SCHEMA
    ]
    return pa.table(arrays, names=STAGING_SCHEMA.names).cast(STAGING_SCHEMA)


def skipped_among(connection: Connection, discord_ids: Collection[int]) -> dict[int, datetime]:
    """Return which of some messages are in `skipped_messages`, with when each was first read (aware UTC).

    Those of which no reading's time is known are left out.
    """
    if not discord_ids:
        return {}
    rows = connection.fetch_all("skipped_among", discord_ids=sorted(discord_ids))
    return {row["discord_id"]: row["first_observed_at"] for row in rows}


def _keep(connection: Connection, rows: pa.Table, now: datetime) -> None:
    numbered = rows.select([*_KEPT, "skip_reason"]).append_column("staging_row", counting(len(rows)))
    connection.stage("staged_skipped", numbered)
    connection.execute("update_skipped_last_seen")
    connection.execute("keep_skipped", now=now)
