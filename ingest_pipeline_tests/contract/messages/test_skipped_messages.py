"""What a policy leaves out is kept apart and counted; what is known changes whatever the policy says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.domain.messages.message import Attachment, RawMessage
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.ingestion.documents.document import rows_table
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.deletions import skipped_among, tombstone_messages
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline_tests.contract.content_messages import RULES, contents, id_at, posted
from ingest_pipeline_tests.contract.readings import (
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

TEXT = Reading(digest=1, observed=1)
EMPTIED = Reading(digest=2, observed=2, edited=1.5, skip_reason="no_content")
PICTURE = Reading(discord_id=2, digest=3, observed=1, skip_reason="media_only")


def merge(connection: Connection, *readings: Reading) -> MergeCounts:
    """Merge readings in one batch."""
    return merge_messages(connection, staged(readings), now=at(1000))


def agree(connection: Connection, *readings: Reading) -> bool:
    """Return whether the tables hold what the plain model says."""
    return (stored_messages(connection), stored_revisions(connection), stored_skipped(connection)) == (
        expected_messages(readings, []),
        expected_revisions(readings),
        expected_skipped(readings),
    )


def test_an_edit_that_empties_a_message_reaches_its_row(database: Database) -> None:
    """Known, it is updated, not skipped; the text is a revision."""
    with database.write() as connection:
        assert merge(connection, TEXT) == MergeCounts(created=1)
        assert merge(connection, EMPTIED) == MergeCounts(updated=1)
        assert merge(connection, EMPTIED) == MergeCounts(unchanged=1)
        assert agree(connection, TEXT, EMPTIED)


def test_a_text_that_is_read_late_finds_the_emptied_content(database: Database) -> None:
    """The same tables as in the other order; the row was created by this batch."""
    with database.write() as connection:
        assert merge(connection, EMPTIED).skipped == {"no_content": 1}
        assert stored_messages(connection) == []
        assert merge(connection, TEXT) == MergeCounts(created=1)
        assert agree(connection, TEXT, EMPTIED)


def test_a_message_is_taken_by_another_row_of_its_batch(database: Database) -> None:
    """Nothing of it is skipped then; what is left is counted by reason."""
    with database.write() as connection:
        counts = merge(connection, EMPTIED, PICTURE, TEXT)
        assert (counts.created, counts.stale, counts.skipped) == (1, 1, {"media_only": 1})
        assert agree(connection, TEXT, EMPTIED, PICTURE)


def test_a_policy_that_was_changed_takes_what_is_read_again(database: Database) -> None:
    """With the reading that was skipped as its first one."""
    taken = Reading(discord_id=2, digest=3, observed=9, correlation_id="c2")
    with database.write() as connection:
        merge(connection, PICTURE)
        assert merge(connection, taken) == MergeCounts(created=1)
        assert agree(connection, PICTURE, taken)
        [row] = stored_messages(connection)
        assert (row["correlation_id"], row["observed_at"]) == ("c1", at(9))


def test_a_policy_that_takes_less_lets_go_of_nothing(database: Database) -> None:
    """What is known goes on changing."""
    later = Reading(discord_id=2, digest=4, observed=9, skip_reason="media_only")
    taken = Reading(discord_id=2, digest=3, observed=1)
    with database.write() as connection:
        merge(connection, taken)
        assert merge(connection, later) == MergeCounts(updated=1)
        assert agree(connection, taken, later)


def test_reading_a_skipped_message_again_keeps_its_first_and_last_reading(database: Database) -> None:
    """Whichever comes first, and in which channel."""
    again = [Reading(**{**vars(PICTURE), "observed": seconds, "channel_id": 5}) for seconds in (7, 0, 3)]
    with database.write() as connection:
        for reading in (PICTURE, *again):
            assert merge(connection, reading).skipped == {"media_only": 1}
            assert merge(connection, reading, reading).skipped == {"media_only": 2}
        assert agree(connection, PICTURE, *again)
        [kept] = stored_skipped(connection)
        assert (kept["first_observed_at"], kept["observed_at"], kept["channel_id"]) == (at(0), at(7), 5)


def test_the_first_reading_of_a_skipped_content_is_kept_whole(database: Database) -> None:
    """Also when it is read last; below the millisecond its readings may even differ in when it was edited."""
    later = replace(EMPTIED, observed=9, edited=1.5004, source="gateway", correlation_id="c2")
    first = replace(EMPTIED, observed=4, edited=1.5001)
    before, after = first.row(), later.row()
    assert {name for name in before if before[name] != after[name]} >= {
        *("edited_at", "author_is_bot", "source", "message_text", "reaction_count")
    }
    with database.write() as connection:
        merge(connection, later)
        merge(connection, first)
        assert agree(connection, later, first)


def test_a_skipped_content_twice_in_a_batch_is_read_in_both_channels(database: Database) -> None:
    """Its channel is the lowest, whether the content is new or known."""
    twice = [replace(PICTURE, channel_id=channel_id, observed=channel_id) for channel_id in (6, 5, 7)]
    with database.write() as connection:
        merge(connection, PICTURE)
        merge(connection, *twice)
        assert agree(connection, PICTURE, *twice)
        [kept] = stored_skipped(connection)
        assert (kept["channel_id"], kept["observed_at"]) == (5, at(7))


def test_a_skipped_message_was_first_read_with_the_first_of_its_contents(database: Database) -> None:
    """As far as any reading's time is known; one that is taken is not one of them."""
    unknown = replace(PICTURE, discord_id=3, observed=UNKNOWN)
    with database.write() as connection:
        merge(connection, TEXT, PICTURE, replace(PICTURE, digest=4, observed=9), unknown)
        assert skipped_among(connection, [1, 2, 3, 4]) == {2: at(1)}


def test_an_emptied_message_holds_nothing_any_more(database: Database) -> None:
    """The rows that were derived from its text go with it."""

    def read(connection: Connection, message: tuple[dict[str, Any], RawMessage]) -> None:
        shared, raw = message
        rows = build_normalizer(0, ChannelPolicy(), None)([raw])
        merge_messages(connection, rows_table(rows, shared), now=at(9000))
        extract_for(connection, [id_at(60)], RULES, now=at(9000))

    with database.write() as connection:
        read(connection, posted(60, ":studio_microphone: `Leclerc` Box, box."))
        assert len(contents(connection)["radio_messages"]) == 1
        clip = Attachment(id="1", url="https://x.invalid/a.mp4", file_name="a.mp4", file_size_bytes=1)
        read(
            connection, posted(60, "", read=7300, timestamp_edited=at(7250).isoformat(), attachments=(clip,))
        )
        found = contents(connection)
        assert (found["radio_messages"], len(found["clips"])) == ([], 1)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_deleted_message_is_deleted_once_it_is_taken(database: Database, order: tuple[int, int]) -> None:
    """Skipped and deleted in either order."""
    steps: list[Callable[[Connection], object]] = [
        lambda connection: merge(connection, EMPTIED),
        lambda connection: tombstone_messages(connection, [tombstone(1, 5)]),
    ]
    with database.write() as connection:
        for number in order:
            steps[number](connection)
        merge(connection, TEXT)
        assert stored_messages(connection) == expected_messages([TEXT, EMPTIED], [tombstone(1, 5)])
