"""The merge, rule by rule, on both engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.deletions import tombstone_messages
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.readings import (
    CHANNEL,
    Reading,
    at,
    staged,
    stored_messages,
    stored_revisions,
    stored_row,
    tombstone,
)

NOW = at(1000)
LATER = NOW + timedelta(hours=1)


def merge(database: Database, *readings: Reading, now: datetime = NOW) -> MergeCounts:
    """Merge readings in a transaction of their own."""
    return database.run(lambda connection: merge_messages(connection, staged(readings), now=now))


def test_a_new_message_is_created(database: Database) -> None:
    """A message the table does not have becomes a row, every column as read."""
    reading = Reading(nickname="Toto", driver="Leclerc", edited=5.000123)
    assert merge(database, reading) == MergeCounts(created=1)
    with database.read() as connection:
        row = stored_row(connection)
    added = {
        "session_id": None,
        "first_observed_at": at(0),
        "deleted_at": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert row == reading.row() | added
    assert row["posted_at"].utcoffset() == timedelta(0)


def test_the_same_reading_again_changes_nothing(database: Database) -> None:
    """Merging what is there already is counted as unchanged and leaves the row alone."""
    merge(database, Reading())
    with database.read() as connection:
        before = stored_row(connection)
    assert merge(database, Reading(), now=LATER) == MergeCounts(unchanged=1)
    with database.read() as connection:
        assert stored_row(connection) == before


def test_only_texts_that_are_to_be_written_travel(database: Database) -> None:
    """What is there already is recognised by its id and digest; only what is new or edited is sent."""
    merge(database, Reading(1), Reading(2))

    def sent(connection: Connection) -> list[set[int]]:
        texts: list[set[int]] = []

        def noted(send: Callable[[str, pa.Table], None]) -> Callable[[str, pa.Table], None]:
            def send_and_note(table: str, rows: pa.Table) -> None:
                if "raw_content" in rows.column_names:
                    texts[-1].update(rows["discord_id"].to_pylist())
                send(table, rows)

            return send_and_note

        watched: Any = connection
        watched.stage, watched.load = noted(connection.stage), noted(connection.load)
        edited = Reading(2, digest=200, observed=60, edited=50)
        for readings in (
            [Reading(1), Reading(2)],
            [Reading(1), Reading(2), Reading(3)],
            [Reading(1), edited],
        ):
            texts.append(set())
            merge_messages(connection, staged(readings), now=LATER)
        return texts

    assert database.run(sent) == [set(), {3}, {2}]


def test_counts_of_several_merges_are_added() -> None:
    """Each to its own."""
    added = MergeCounts(1, 2, 3, 4, Counter(a=1)) + MergeCounts(50, 60, 70, 80, Counter(a=2, b=1))
    assert added == MergeCounts(51, 62, 73, 84, Counter(a=3, b=1))


def test_an_empty_batch_is_nothing(database: Database) -> None:
    """No rows, no counts, no error."""
    assert merge(database) == MergeCounts()


def test_the_same_content_read_later_only_advances_when_it_was_seen(database: Database) -> None:
    """A later reading of the same content keeps the row, its source and its correlation."""
    merge(database, Reading(nickname="Toto"))
    with database.read() as connection:
        before = stored_row(connection)
    again = Reading(observed=30, source="gateway", correlation_id="c2", nickname="Wolff")
    assert merge(database, again, now=LATER) == MergeCounts(unchanged=1)
    with database.read() as connection:
        assert stored_row(connection) == before | {"observed_at": at(30)}


def test_the_same_content_read_earlier_gives_the_row_its_first_reading(database: Database) -> None:
    """Readings that arrive out of order leave the row as the first of them would have made it."""
    merge(database, Reading(observed=30, correlation_id="c2", nickname="Wolff"))
    assert merge(database, Reading(nickname="Toto"), now=LATER) == MergeCounts(unchanged=1)
    with database.read() as connection:
        row = stored_row(connection)
    assert (row["author_nickname"], row["correlation_id"]) == ("Toto", "c1")
    assert (row["first_observed_at"], row["observed_at"]) == (at(0), at(30))
    assert (row["created_at"], row["updated_at"]) == (NOW, NOW)


def test_a_newer_content_replaces_the_row_and_keeps_the_old_one(database: Database) -> None:
    """An edit updates the row, never its creation time, and what it replaces becomes a revision."""
    old = Reading(nickname="Toto", driver="Leclerc")
    new = Reading(digest=101, observed=9, edited=8, source="gateway", correlation_id="c4", driver="Norris")
    alike = {name for name, value in old.row().items() if value == new.row()[name]}
    assert alike <= {"discord_id", "channel_id", "is_highlight_candidate", "normalizer_version"}
    merge(database, old)
    assert merge(database, new, now=LATER) == MergeCounts(updated=1)
    added = {"session_id": None, "first_observed_at": at(9), "deleted_at": None}
    with database.read() as connection:
        assert stored_row(connection) == new.row() | added | {"created_at": NOW, "updated_at": LATER}
        [revision] = stored_revisions(connection)
    assert revision == {name: value for name, value in old.row().items() if name in revision}
    assert old.row().keys() - revision.keys() == {"channel_id"}


def test_an_earlier_reading_of_an_older_content_is_what_is_kept(database: Database) -> None:
    """Every column of the revision is as its content was first read."""
    merge(database, Reading(digest=102, observed=9), Reading(digest=100, observed=5, correlation_id="c9"))
    first = Reading(observed=3, source="gateway", correlation_id="c3", nickname="Toto", driver="Leclerc")
    later = Reading(digest=100, observed=5, correlation_id="c9")
    differing = {name for name, value in first.row().items() if value != later.row()[name]}
    by_content = {"discord_id", "channel_id", "edited_at", "raw_content", "content_digest", "is_pinned"}
    assert differing == first.row().keys() - by_content - {"is_highlight_candidate", "normalizer_version"}
    assert merge(database, first, now=LATER) == MergeCounts(stale=1)
    with database.read() as connection:
        [revision] = stored_revisions(connection)
    assert revision == {name: value for name, value in first.row().items() if name in revision}


def test_an_older_content_never_overwrites_but_is_kept(database: Database) -> None:
    """What arrives late and is older is stale: a revision, and nothing else."""
    new = Reading(digest=101, observed=9)
    merge(database, new)
    assert merge(database, Reading(), now=LATER) == MergeCounts(stale=1)
    with database.read() as connection:
        assert stored_row(connection)["content_digest"] == 101
        assert stored_row(connection)["updated_at"] == NOW
        assert [row["content_digest"] for row in stored_revisions(connection)] == [100]


def test_an_edit_wins_over_a_later_reading_without_it(database: Database) -> None:
    """The edit time decides before the time of reading does."""
    merge(database, Reading(digest=101, observed=1, edited=0.5))
    assert merge(database, Reading(digest=100, observed=60)) == MergeCounts(stale=1)
    with database.read() as connection:
        assert stored_row(connection)["content_digest"] == 101


def test_edit_times_within_one_millisecond_are_one(database: Database) -> None:
    """Sources differ below the millisecond, so the time of reading decides there."""
    merge(database, Reading(digest=101, observed=1, edited=0.500900))
    assert merge(database, Reading(digest=102, observed=2, edited=0.500100)) == MergeCounts(updated=1)


def test_the_digest_decides_between_equal_times(database: Database) -> None:
    """Two contents read at one time have an order too."""
    merge(database, Reading(digest=5))
    assert merge(database, Reading(digest=6)) == MergeCounts(updated=1)
    assert merge(database, Reading(digest=-7)) == MergeCounts(stale=1)
    with database.read() as connection:
        assert stored_row(connection)["content_digest"] == 6


def test_a_content_that_comes_back_is_no_revision_any_more(database: Database) -> None:
    """A reaction taken back restores the former row, as it was first read."""
    merge(database, Reading(digest=1, observed=1))
    merge(database, Reading(digest=2, observed=2, correlation_id="c2"))
    back = Reading(digest=1, observed=3, correlation_id="c3")
    assert merge(database, back, now=LATER) == MergeCounts(updated=1)
    with database.read() as connection:
        row = stored_row(connection)
        assert (row["content_digest"], row["correlation_id"]) == (1, "c1")
        assert (row["first_observed_at"], row["observed_at"]) == (at(1), at(3))
        assert [revision["content_digest"] for revision in stored_revisions(connection)] == [2]


def test_a_content_that_comes_back_along_with_an_older_reading_of_it_is_released_too(
    database: Database,
) -> None:
    """The row takes the oldest reading, wherever that came from, and the revision goes."""
    merge(database, Reading(digest=2, observed=2), Reading(digest=1, observed=1))
    back, older = Reading(digest=1, observed=3), Reading(digest=1, observed=0, correlation_id="c0")
    assert merge(database, back, older) == MergeCounts(updated=1, unchanged=1)
    with database.read() as connection:
        assert stored_row(connection)["correlation_id"] == "c0"
        assert [revision["content_digest"] for revision in stored_revisions(connection)] == [2]


def test_one_id_several_times_in_a_batch_is_folded(database: Database) -> None:
    """The highest version wins; the others are unchanged when they say the same, or stale."""
    counts = merge(
        database,
        Reading(digest=2, observed=5),
        Reading(digest=3, observed=9),
        Reading(digest=3, observed=7),
        Reading(digest=1, observed=1),
        Reading(discord_id=2),
    )
    assert counts == MergeCounts(created=2, unchanged=1, stale=2)
    with database.read() as connection:
        row = stored_row(connection)
        assert (row["content_digest"], row["observed_at"]) == (3, at(9))
        assert [revision["content_digest"] for revision in stored_revisions(connection)] == [1, 2]


def test_several_batches_in_one_transaction_see_each_other(database: Database) -> None:
    """A long import merges batch after batch in one transaction."""

    def work(connection: Connection) -> list[MergeCounts]:
        batches = ([Reading(digest=1)], [Reading(digest=2, observed=1)], [Reading(digest=1, observed=2)])
        return [merge_messages(connection, staged(batch), now=NOW) for batch in batches]

    assert database.run(work) == [MergeCounts(created=1), MergeCounts(updated=1), MergeCounts(updated=1)]
    with database.read() as connection:
        assert stored_row(connection)["content_digest"] == 1


def test_the_lowest_channel_owns_a_message(database: Database) -> None:
    """A message found under two channels belongs to the older one, the parent."""
    merge(database, Reading(channel_id=CHANNEL + 5))
    merge(database, Reading(channel_id=CHANNEL, observed=-1))
    merge(database, Reading(channel_id=CHANNEL + 9, observed=3, digest=4))
    with database.read() as connection:
        assert stored_row(connection)["channel_id"] == CHANNEL


def test_an_older_content_moves_a_message_to_its_channel(database: Database) -> None:
    """The content stays that of the newer reading; whose it is follows from both."""
    merge(database, Reading(digest=101, observed=9, channel_id=CHANNEL + 5))
    assert merge(database, Reading(observed=5)) == MergeCounts(stale=1)
    with database.read() as connection:
        row = stored_row(connection)
    assert (row["channel_id"], row["content_digest"], row["observed_at"]) == (CHANNEL, 101, at(9))


def test_a_tombstone_deletes_a_message_that_is_there(database: Database) -> None:
    """The row stays, marked; it is not live any more."""
    merge(database, Reading())
    assert database.run(lambda c: tombstone_messages(c, [tombstone(1, 50)])) == 1
    with database.read() as connection:
        row = stored_row(connection)
    assert row["deleted_at"] == at(50)
    assert row["updated_at"] == NOW


def test_deleting_is_a_change_of_the_row(database: Database) -> None:
    """Whoever follows `updated_at` learns of deletions."""
    merge(database, Reading())
    database.run(lambda c: tombstone_messages(c, [tombstone(1, 5000)]))
    with database.read() as connection:
        assert stored_row(connection)["updated_at"] == at(5000)


def test_a_tombstone_before_its_message_deletes_it_too(database: Database) -> None:
    """A message that arrives after its deletion is inserted as deleted."""
    assert database.run(lambda c: tombstone_messages(c, [tombstone(1, 50)])) == 1
    assert merge(database, Reading()) == MergeCounts(created=1)
    with database.read() as connection:
        assert stored_row(connection)["deleted_at"] == at(50)


def test_the_earliest_deletion_stays(database: Database) -> None:
    """Reported again, later or earlier, a deletion is not new, and its earliest time counts."""
    merge(database, Reading())
    deletions = [tombstone(1, 50), tombstone(1, 40, "d2"), tombstone(2, 1)]
    assert database.run(lambda c: tombstone_messages(c, deletions)) == 2
    assert database.run(lambda c: tombstone_messages(c, [tombstone(1, 60), tombstone(1, 30)])) == 0
    with database.read() as connection:
        assert stored_row(connection)["deleted_at"] == at(30)


def test_no_tombstones_is_nothing(database: Database) -> None:
    """An empty list deletes nothing."""
    assert database.run(lambda c: tombstone_messages(c, [])) == 0


def test_the_content_of_a_deleted_message_still_follows_its_versions(database: Database) -> None:
    """So the order of an edit and a deletion does not matter, and the deletion never goes away."""
    merge(database, Reading())
    database.run(lambda c: tombstone_messages(c, [tombstone(1, 50)]))
    assert merge(database, Reading(digest=101, observed=60)) == MergeCounts(updated=1)
    with database.read() as connection:
        [row] = stored_messages(connection)
    assert (row["content_digest"], row["deleted_at"]) == (101, at(50))


def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    """Nothing of a merge remains when the work fails after it."""

    def work(connection: Connection) -> None:
        merge_messages(connection, staged([Reading()]), now=NOW)
        raise LookupError

    with pytest.raises(LookupError):
        database.run(work)
    with database.read() as connection:
        assert stored_messages(connection) == []
    assert merge(database, Reading()) == MergeCounts(created=1)
