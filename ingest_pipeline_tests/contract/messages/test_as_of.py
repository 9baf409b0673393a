"""Messages as they stood at a time: what a replay of the readings until then would have left."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.deletions import tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.queries import MessageFilter, search_messages
from ingest_pipeline_tests.contract.readings import Reading, at, expected_messages, staged, tombstone

COLUMNS = (
    "discord_id",
    "content_digest",
    "edited_at",
    "raw_content",
    "message_text",
    "driver",
    "author_nickname",
)


def merge(database: Database, *readings: Reading, now: float = 1000) -> None:
    """Merge readings in one batch."""
    database.run(lambda connection: merge_messages(connection, staged(readings), now=at(now)))


def delete(database: Database, discord_id: int, deleted: float) -> None:
    """Delete a message."""
    database.run(lambda connection: tombstone_messages(connection, [tombstone(discord_id, deleted)]))


def stood(database: Database, moment: datetime, **filters: Any) -> list[tuple[Any, ...]]:
    """Return the messages as they stood at a time."""
    with database.read() as connection:
        rows = search_messages(connection, MessageFilter(**filters), limit=1000, as_of=moment)
    return [tuple(row[name] for name in COLUMNS) for row in rows]


def digests(database: Database, seconds: float, **filters: Any) -> list[int]:
    """Return the contents of the messages as they stood at a time, newest message first."""
    return [row[1] for row in stood(database, at(seconds), **filters)]


def test_an_edit_and_a_deletion_count_from_their_reading_on(database: Database) -> None:
    """Whenever and in whatever order they were merged."""
    merge(database, Reading(digest=102, observed=20, edited=19, posted=0))
    merge(database, Reading(digest=101, observed=10, posted=0))
    delete(database, 1, 30)
    assert [digests(database, moment) for moment in (9, 10, 19, 20, 29, 30)] == [
        [],
        [101],
        [101],
        [102],
        [102],
        [],
    ]


def test_filters_go_by_what_stood_then(database: Database) -> None:
    """A driver that was named only later is not found before."""
    merge(database, Reading(digest=101, observed=10, posted=0, driver="Norris"))
    merge(database, Reading(digest=102, observed=20, edited=19, posted=0, driver="Piastri"))
    assert digests(database, 15, driver="norris") == [101]
    assert digests(database, 15, driver="piastri") == []
    assert digests(database, 25, driver="piastri") == [102]


EXAMPLES = count(1)
READINGS = st.lists(
    st.builds(
        Reading,
        discord_id=st.integers(1, 3),
        observed=st.integers(0, 60),
        edited=st.sampled_from([None, 0, 5, 9]),
    ),
    max_size=12,
)


def dated(reading: Reading) -> Reading:
    """Return a reading whose content is its edit's in ten seconds, so that none comes back after another."""
    edit = 0 if reading.edited is None else int(reading.edited) + 1
    digest = 100 + edit * 10 + int(reading.observed) // 10
    return replace(reading, digest=digest, posted=-100, driver=("Norris", "Sainz", None)[digest % 3])


@pytest.mark.slow
@given(READINGS, st.dictionaries(st.integers(1, 3), st.integers(0, 60), max_size=2), st.data())
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_messages_stood_as_a_replay_until_then_leaves_them(
    database: Database, readings: list[Reading], deletions: dict[int, int], data: st.DataObject
) -> None:
    """Merged in any order and in any batches."""
    # Every example has a channel and messages of its own.
    base = next(EXAMPLES) * 10
    known = [replace(dated(each), discord_id=base + each.discord_id, channel_id=base) for each in readings]
    left = data.draw(st.permutations(known))
    while left:
        size = data.draw(st.integers(1, len(left)))
        merge(database, *left[:size])
        left = left[size:]
    for discord_id, deleted in deletions.items():
        delete(database, base + discord_id, deleted)
    for seconds in (0, 7, 14, 33, 60):
        until = [each for each in known if each.observed <= seconds]
        gone = [tombstone(base + each, deleted) for each, deleted in deletions.items() if deleted <= seconds]
        rows = expected_messages(until, gone)
        rows.sort(key=lambda row: row["discord_id"])
        replayed = [tuple(row[name] for name in COLUMNS) for row in rows if row["deleted_at"] is None]
        assert stood(database, at(seconds), channel_id=base) == replayed[::-1]
