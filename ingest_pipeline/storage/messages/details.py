"""Details of messages: what the gateway and REST carry and exports do not (`domain/messages/details.py`).

A message's content and its details are two registers with versions of their own. A reading of a source that
does not carry details changes the content alone, so it removes nothing that it cannot know; the details of a
message are those of the highest version that a source which carries them has read. So two sources that read
in turns settle, and after any readings in any order the table is the same.

The words of details are in `messages.message_text`, after all others; `composed_messages` keeps what the row
says without them, for when one of the two changes.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.messages.details import DETAIL_COLUMNS, NO_DETAILS
from ingest_pipeline.storage.engine.columns import column
from ingest_pipeline.storage.engine.database import Connection

_STAGED = ("discord_id", "edited_at", "observed_at", *DETAIL_COLUMNS)
_DIGEST = "details_digest"


def merge_details(connection: Connection, rows: pa.Table) -> set[int]:
    """Keep the details of readings.

    Args:
        connection: An open write transaction; the turn of the rows' messages is taken.
        rows: Readings, of `STAGING_SCHEMA`; those with a null `details_digest` have none.

    Returns:
        The messages whose details are others now.
    """
    digests = rows[_DIGEST]
    if digests.null_count == len(rows):
        return set()
    read = rows.filter(pc.is_valid(digests)).select(_STAGED)
    # That there are none is noted of messages that had some, and of edited ones: without an edit nothing that
    # has words can go, and a row for every plain message would cost as much again as the message.
    plain = pc.and_(pc.equal(read[_DIGEST], NO_DETAILS), pc.is_null(read["edited_at"]))
    if pc.any(plain).as_py():
        ids = read["discord_id"].filter(plain).to_pylist()
        found = connection.fetch_all("detailed_among", discord_ids=ids)
        known = column([row["discord_id"] for row in found], pa.int64())
        read = read.filter(pc.or_(pc.invert(plain), pc.is_in(read["discord_id"], value_set=known)))
    if not len(read):
        return set()
    connection.stage("staged_details", read)
    before = _current(connection)
    connection.execute("upsert_details")
    after = _current(connection)
    return {
        discord_id for discord_id, digest in after.items() if before.get(discord_id, NO_DETAILS) != digest
    }


def _current(connection: Connection) -> dict[int, int]:
    return {row["discord_id"]: row[_DIGEST] for row in connection.fetch_all("list_current_digests")}


def count_changed(connection: Connection, changed: Collection[int]) -> int:
    """Return how many messages with changed details are stored with the content that is staged."""
    if not changed:
        return 0
    found = connection.fetch_one("count_unchanged_but_details", discord_ids=sorted(changed))
    return int(found["n"]) if found else 0


def decompose(connection: Connection) -> None:
    """Take the words of details out of the texts of the messages in `staged_readings`."""
    connection.execute("decompose_staged")
    connection.execute("forget_composed")


def any_details(connection: Connection) -> bool:
    """Return whether details of any message are stored."""
    found = connection.fetch_one("any_details")
    return bool(found and found["any_details"])


def compose(
    connection: Connection, discord_ids: Collection[int], changed: Collection[int], *, now: datetime
) -> None:
    """Put the words of details into the texts of some messages.

    Args:
        connection: An open write transaction, after the merge.
        discord_ids: The messages that were read.
        changed: Those of them whose details are others now.
        now: `updated_at` of the changed ones, aware UTC.
    """
    connection.execute("find_uncomposed", discord_ids=sorted(discord_ids))
    found = connection.fetch_one("count_uncomposed")
    if found and found["n"]:
        connection.execute("decompose")
        connection.execute("forget_decomposed")
        connection.execute("keep_uncomposed")
        connection.execute("compose")
    connection.execute("drop_uncomposed")
    if changed:
        connection.execute("touch_changed_details", discord_ids=sorted(changed), now=now)
