"""Any order, repetition and batching of the same readings and deletions gives the same tables.

Taken readings, and such that a channel's policy leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.readings import (
    CHANNEL,
    UNKNOWN,
    Reading,
    at,
    expected_messages,
    expected_revisions,
    expected_skipped,
    staged,
    stored_messages,
    stored_revisions,
    stored_skipped,
    tombstone,
)
from ingest_pipeline_tests.thoroughness import examples

# Digests with the edit time that each stands for: two within a millisecond, two without any.
EDITS = {-3: None, 1: None, 2: None, 3: 5.0002, 4: 5.0007, 5: 9.0}
# Contents that a policy may leave out, and why; the last is taken where the policy keeps media.
LEFT_OUT = {2: ("no_content",), 4: ("media_only",), 5: ("media_only", None)}

few_ids = st.integers(1, 3)
seconds = st.integers(0, 6).map(float)
journeys = st.sampled_from(["c1", "c2"])


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Draw a reading whose as-read columns follow from what distinguishes it."""
    digest = draw(st.sampled_from(sorted(EDITS)))
    observed, correlation_id = draw(st.one_of(seconds, seconds, st.just(UNKNOWN))), draw(journeys)
    source = draw(st.sampled_from(["export", "gateway"]))
    is_live = source == "gateway"
    skip_reason = draw(st.sampled_from(LEFT_OUT.get(digest, (None,))))
    return Reading(
        discord_id=draw(few_ids),
        digest=digest,
        observed=observed,
        edited=EDITS[digest],
        source=source,
        correlation_id=correlation_id,
        channel_id=draw(st.sampled_from([CHANNEL, CHANNEL + 1])),
        nickname=f"{observed} {source} {correlation_id}",
        driver=draw(st.just(None)) if observed > 3 else f"driver {digest}",
        posted=max(observed, -1.0),
        skip_reason=skip_reason,
        details=draw(st.sampled_from([0, 7, 8, 9] if EDITS[digest] else [7, 8, 9])) if is_live else None,
    )


tombstones = st.builds(tombstone, few_ids, seconds, journeys)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Reading | Tombstone]]:
    """Draw readings and deletions, repeat some, shuffle them all and cut them into batches."""
    parts = draw(st.lists(st.one_of(readings(), readings(), tombstones), min_size=1, max_size=12))
    again = draw(st.lists(st.sampled_from(parts), max_size=5))
    order = draw(st.permutations(parts + again))
    cuts = sorted(draw(st.sets(st.integers(1, max(len(order) - 1, 1)), max_size=3)))
    return [order[start:end] for start, end in pairwise([0, *cuts, len(order)])]


def unseen(connection: Connection) -> dict[int, dict[str, Any]]:
    """Return the rows of messages without when they were last seen."""
    rows = stored_messages(connection)
    return {row["discord_id"]: {k: v for k, v in row.items() if k != "observed_at"} for row in rows}


class _Undone(Exception):
    """Raised to leave a transaction without a trace."""


@contextmanager
def trial(database: Database) -> Iterator[Connection]:
    """Open a transaction that leaves nothing behind."""
    with suppress(_Undone), database.write() as connection:
        yield connection
        raise _Undone


@pytest.mark.slow
@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories())
def test_the_tables_are_a_function_of_the_set_of_readings(
    database: Database, history: list[list[Reading | Tombstone]]
) -> None:
    """All but created_at, updated_at and recorded_at is as the plain model says, and counts add up.

    A merge names the messages that it changed, apart from those whose details alone became others.
    """
    everything = [part for batch in history for part in batch]
    read = [part for part in everything if isinstance(part, Reading)]
    deleted = [part for part in everything if isinstance(part, Tombstone)]
    with trial(database) as connection:
        counts, unknown = MergeCounts(), 0
        for number, batch in enumerate(history):
            rows = staged(part for part in batch if isinstance(part, Reading))
            before = unseen(connection)
            merged = merge_messages(connection, rows, now=at(1000 + number))
            after = unseen(connection)
            changed = {each for each, row in after.items() if before.get(each) != row}
            read_now = [part for part in batch if isinstance(part, Reading)]
            detailed = {reading.discord_id for reading in read_now if reading.details is not None}
            assert changed <= merged.changed_ids <= changed | detailed
            assert not merge_messages(connection, rows, now=at(1000 + number)).changed_ids
            total = merged.created + merged.updated + merged.unchanged + merged.stale
            assert total + merged.skipped.total() == rows.num_rows
            counts += merged
            unknown += tombstone_messages(connection, [part for part in batch if isinstance(part, Tombstone)])
        taken = {reading.discord_id for reading in read if reading.skip_reason is None}
        assert counts.created == len(taken)
        assert unknown == len({each.discord_id for each in deleted})
        assert stored_messages(connection) == expected_messages(read, deleted)
        assert stored_revisions(connection) == expected_revisions(read)
        assert stored_skipped(connection) == expected_skipped(read)
