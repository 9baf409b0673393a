"""Whose message it is: a function of sessions, channel and time, however rows and sessions came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.membership import Claim, Overlap
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.storage.catalogue.guilds import save_channels
from ingest_pipeline.storage.content.queries import last_changes
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.gateway.dirty_windows import WHOLE_SESSION, DirtyWindow, unreported_windows
from ingest_pipeline.storage.messages.membership import (
    claims_between,
    count_mislinked,
    forget_relinked,
    keep_parents,
    members_changed,
    parents_of,
    relinked_messages,
)
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import remove_session, save_sessions
from ingest_pipeline_tests.contract.readings import (
    CHANNEL,
    Reading,
    at,
    expected_messages,
    staged,
    stored_messages,
    stored_row,
)

NOW = at(1000)
OTHER = CHANNEL + 1
THREAD = CHANNEL + 100
RACE = Session("race", at(10), at(20), (CHANNEL,))
EVERY_SECOND = [
    Reading(discord_id=(channel_id - CHANNEL) * 100 + second + 1, channel_id=channel_id, posted=second)
    for channel_id in (CHANNEL, OTHER, THREAD)
    for second in range(30)
]


def save(database: Database, *sessions: Session) -> None:
    """Store sessions in a transaction of their own."""
    database.run(lambda connection: save_sessions(connection, sessions, now=NOW))


def merge(database: Database, readings: Sequence[Reading] = EVERY_SECOND) -> None:
    """Merge readings in a transaction of their own."""
    database.run(lambda connection: merge_messages(connection, staged(readings), now=NOW))


def members(database: Database, session_id: str) -> list[tuple[int, int]]:
    """Return channel (from `CHANNEL` on) and second of each message of a session."""
    with database.read() as connection:
        return sorted(
            (row["channel_id"] - CHANNEL, (row["posted_at"] - at(0)) // timedelta(seconds=1))
            for row in stored_messages(connection)
            if row["session_id"] == session_id
        )


def seconds(first: int, end: int, channel_id: int = CHANNEL) -> list[tuple[int, int]]:
    """Return what `members` does for every message of a channel from a second to before another."""
    return [(channel_id - CHANNEL, second) for second in range(first, end)]


@pytest.mark.parametrize("sessions_first", [True, False])
def test_a_session_takes_its_channels_messages_of_its_time(database: Database, sessions_first: bool) -> None:
    """The start is inside, the end is not, whichever came first."""
    if sessions_first:
        save(database, RACE)
    merge(database)
    if not sessions_first:
        save(database, RACE)
    assert members(database, "race") == seconds(10, 20)


@pytest.mark.parametrize(("second", "is_member"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_message_that_is_merged_alone_is_taken_too(
    database: Database, second: int, is_member: bool
) -> None:
    """At the very start of a session, and at its end."""
    save(database, RACE)
    merge(database, [Reading(posted=second)])
    assert members(database, "race") == ([(0, second)] if is_member else [])


def test_a_moved_session_lets_go_and_takes(database: Database) -> None:
    """Old messages belong to it no longer, new ones do, and neither counts as an update of content."""
    save(database, RACE)
    merge(database)
    save(database, replace(RACE, start_time=at(15), end_time=at(25)))
    assert members(database, "race") == seconds(15, 25)
    save(database, replace(RACE, start_time=at(0), end_time=at(5)))
    assert members(database, "race") == seconds(0, 5)
    with database.read() as connection:
        assert stored_row(connection)["updated_at"] == NOW


def test_a_corrected_channel_takes_over(database: Database) -> None:
    """The wrong channel's messages go, the right one's come."""
    save(database, RACE)
    merge(database)
    save(database, replace(RACE, channel_ids=(OTHER,)))
    assert members(database, "race") == seconds(10, 20, OTHER)


def test_a_renamed_session_has_its_messages_at_once(database: Database) -> None:
    """Removing one and adding another needs no reading in between."""
    save(database, RACE)
    merge(database)
    database.run(lambda connection: remove_session(connection, "race"))
    assert members(database, "race") == []
    save(database, replace(RACE, session_id="grand-prix"))
    assert members(database, "grand-prix") == seconds(10, 20)


def test_of_overlapping_sessions_the_one_that_starts_first_takes_a_message(database: Database) -> None:
    """Of two that start together the one whose id sorts first, byte by byte; the others get the rest."""
    save(database, replace(RACE, session_id="a-later", start_time=at(12), end_time=at(25)))
    merge(database)
    save(database, RACE, replace(RACE, session_id="Race", end_time=at(15)))
    assert members(database, "Race") == seconds(10, 15)
    assert members(database, "race") == seconds(15, 20)
    assert members(database, "a-later") == seconds(20, 25)
    database.run(lambda connection: remove_session(connection, "race"))
    assert members(database, "a-later") == seconds(15, 25)


@pytest.mark.parametrize("parent_first", [True, False])
@pytest.mark.parametrize("session_first", [True, False])
def test_a_threads_messages_are_its_parents_sessions(
    database: Database, parent_first: bool, session_first: bool
) -> None:
    """Whether the parent, the session or the messages were known first."""

    def keep() -> None:
        database.run(lambda connection: keep_parents(connection, {THREAD: CHANNEL}, now=NOW))

    if parent_first:
        keep()
    if session_first:
        save(database, RACE)
    merge(database)
    if not session_first:
        save(database, RACE)
    if not parent_first:
        keep()
    assert members(database, "race") == seconds(10, 20) + seconds(10, 20, THREAD)
    save(database, replace(RACE, start_time=at(18)))
    assert members(database, "race") == seconds(18, 20) + seconds(18, 20, THREAD)


def test_the_lowest_parent_that_was_seen_of_a_thread_is_kept(database: Database) -> None:
    """In any order, whatever is known of other threads; the thread's messages follow."""
    save(database, RACE)
    merge(database)
    for reported in ({THREAD: OTHER}, {THREAD: CHANNEL}, {THREAD: OTHER}, {THREAD + 1: OTHER}):
        database.run(lambda connection, reported=reported: keep_parents(connection, reported, now=NOW))
    with database.read() as connection:
        assert parents_of(connection, [THREAD, THREAD + 1, THREAD + 2]) == {
            THREAD: CHANNEL,
            THREAD + 1: OTHER,
        }
    assert members(database, "race") == seconds(10, 20) + seconds(10, 20, THREAD)


def test_only_sessions_of_the_time_asked_for_claim_messages(database: Database) -> None:
    """One that ends when the time begins has none of it; one that starts when it ends has its last moment."""
    save(database, RACE)
    claim = Claim(RACE.start_time, "race", RACE.end_time)
    with database.read() as connection:
        for since, until, found in ((0, 9, []), (0, 10, [claim]), (19, 30, [claim]), (20, 30, [])):
            claims = claims_between(connection, [CHANNEL, OTHER], at(since), at(until))
            assert claims == ({CHANNEL: found} if found else {})


def test_when_members_changed_is_returned_for_the_sessions_asked_for(database: Database) -> None:
    """As far as they ever did."""
    merge(database)
    later = replace(RACE, session_id="later", start_time=at(50), end_time=at(60))
    save(database, RACE, replace(RACE, session_id="other", channel_ids=(OTHER,)), later)
    with database.read() as connection:
        assert members_changed(connection, ["race", "later"]) == {"race": NOW}


def test_a_message_that_turns_out_to_be_the_parents_moves(database: Database) -> None:
    """A thread's starter belongs to the parent channel's session as soon as the parent's copy is seen."""
    save(database, RACE)
    starter = Reading(discord_id=THREAD, channel_id=THREAD, posted=12)
    merge(database, [starter])
    assert members(database, "race") == []
    merge(database, [replace(starter, channel_id=CHANNEL)])
    assert members(database, "race") == [(0, 12)]
    merge(database, [replace(starter, observed=5, digest=101)])
    assert members(database, "race") == [(0, 12)]


def test_an_edit_and_a_message_read_twice_at_once_belong_where_they_were_posted(database: Database) -> None:
    """However the merge lays a message out."""
    save(database, RACE)
    first = Reading(discord_id=1, posted=12)
    merge(database, [first, replace(first, digest=101, observed=1)])
    merge(database, [replace(first, digest=102, observed=2)])
    assert members(database, "race") == [(0, 12)]
    with database.read() as connection:
        assert stored_messages(connection) == expected_messages(
            [first, replace(first, digest=101, observed=1), replace(first, digest=102, observed=2)],
            [],
            [RACE],
        )


def test_rows_of_an_earlier_version_are_linked_by_the_migration(database: Database) -> None:
    """Sessions that readings had brought are replaced by those that the function gives."""
    sessions = [
        RACE,
        replace(RACE, session_id="Race", end_time=at(15)),
        replace(RACE, session_id="b-long", start_time=at(5), end_time=at(25), channel_ids=(OTHER, CHANNEL)),
    ]
    thread = Channel(THREAD, 7, "thread", "public_thread", parent_id=CHANNEL)
    with database.write() as connection:
        save_sessions(connection, sessions, now=NOW)
        save_channels(connection, [Channel(CHANNEL, 7, "radio", parent_id=THREAD), thread], now=NOW)
        merge_messages(connection, staged(EVERY_SECOND), now=NOW)
        right = stored_messages(connection)
        connection.run_script(
            "UPDATE messages SET session_id = 'race' WHERE discord_id % 3 = 0;"
            "UPDATE messages SET session_id = NULL WHERE discord_id % 3 = 1;"
            "DROP TABLE thread_parents;"
            "ALTER TABLE session_manifests DROP COLUMN reason;"
            "DELETE FROM schema_migrations WHERE version = 8"
        )
    assert database.migrate() == ["0008_membership"]
    with database.read() as connection:
        assert stored_messages(connection) == right
        assert right == expected_messages(EVERY_SECOND, [], sessions, {THREAD: CHANNEL})


def test_rows_that_something_else_wrote_are_counted(database: Database) -> None:
    """By session, and all of them."""
    save(database, RACE)
    merge(database)
    with database.write() as connection:
        assert count_mislinked(connection) == count_mislinked(connection, RACE) == 0
        connection.run_script(
            "UPDATE messages SET session_id = NULL WHERE discord_id = 13;"
            "UPDATE messages SET session_id = 'race' WHERE discord_id IN (2, 102);"
            "UPDATE messages SET session_id = 'gone' WHERE discord_id = 103"
        )
        assert count_mislinked(connection, RACE) == 3
        assert count_mislinked(connection) == 4


def test_sessions_that_overlap_are_reported(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Both are stored, with the rule that decides between them in the log."""
    later = replace(
        RACE, session_id="later", start_time=at(15), end_time=at(25), channel_ids=(OTHER, CHANNEL)
    )
    save(database, RACE)
    changes = database.run(lambda connection: save_sessions(connection, [later], now=NOW))
    assert changes.overlaps == (Overlap("race", "later", (CHANNEL,), at(15), at(20)),)
    assert "messages of that time belong to 'race', which starts first" in caplog.text
    beside = replace(RACE, session_id="beside", start_time=at(25), end_time=at(26))
    assert database.run(lambda connection: save_sessions(connection, [beside, later], now=NOW)).overlaps == ()


def noted(database: Database) -> list[int]:
    """Return the messages whose content is to be read again, and forget them."""
    with database.write() as connection:
        relinked = relinked_messages(connection, 1_000)
        forget_relinked(connection, relinked)
    return relinked


def test_what_hangs_on_sessions_is_noted_with_their_changes(database: Database) -> None:
    """Messages that a session lets go, takes or keeps are to be read again, whoever changed it."""
    save(database, RACE)
    merge(database)
    assert noted(database) == []
    save(database, replace(RACE, start_time=at(15), end_time=at(25)))
    assert noted(database) == [second + 1 for second in range(10, 25)]
    with database.read() as connection:
        assert list(unreported_windows(connection, "")) == [DirtyWindow("race", WHOLE_SESSION)]
        assert members_changed(connection, ["race", "other"]) == {"race": NOW}
        assert last_changes(connection, ["race"]) == {"race": NOW}
    database.run(lambda connection: remove_session(connection, "race"))
    assert noted(database) == [second + 1 for second in range(15, 25)]


def test_what_hangs_on_a_thread_is_noted_when_its_parent_is_learnt(database: Database) -> None:
    """With the other messages of the session, whose usual rate is another now; once, and no more after."""
    save(database, RACE)
    merge(database)
    assert noted(database) == []
    later = at(2000)
    database.run(lambda connection: keep_parents(connection, {THREAD: CHANNEL}, now=later))
    thread = [(THREAD - CHANNEL) * 100 + second + 1 for second in range(10, 20)]
    assert noted(database) == [*range(11, 21), *thread]
    with database.read() as connection:
        assert unreported_windows(connection, "") == {DirtyWindow("race", WHOLE_SESSION): later}
        # The rows themselves are as they were.
        assert stored_row(connection)["updated_at"] == NOW
        assert last_changes(connection, ["race"]) == {"race": later}
    database.run(lambda connection: keep_parents(connection, {THREAD: CHANNEL}, now=at(3000)))
    assert noted(database) == []


def test_a_session_that_has_lost_all_its_messages_has_changed(database: Database) -> None:
    """Or its report would go on showing them."""
    save(database, RACE)
    merge(database)
    save(database, replace(RACE, start_time=at(100), end_time=at(200)))
    with database.read() as connection:
        assert last_changes(connection, ["race"]) == {"race": NOW}


def test_a_session_that_changes_while_a_merge_runs_gets_its_messages(
    make_database: Callable[[str], Database],
) -> None:
    """On PostgreSQL the change waits for a merge that has read the sessions as they were, and vice versa."""
    database = make_database("postgres")
    moved = replace(RACE, start_time=at(15), end_time=at(25))
    save(database, RACE)
    with ThreadPoolExecutor() as pool:
        with database.write() as connection:
            merge_messages(connection, staged(EVERY_SECOND), now=NOW)
            change = pool.submit(save, database, moved)
            assert not wait([change], timeout=0.5).done
        change.result(timeout=30)
        assert members(database, "race") == seconds(15, 25)
        more = [replace(each, discord_id=each.discord_id + 1000) for each in EVERY_SECOND]
        with database.write() as connection:
            save_sessions(connection, [RACE], now=NOW)
            merging = pool.submit(merge, database, more)
            assert not wait([merging], timeout=0.5).done
        merging.result(timeout=30)
    assert members(database, "race") == sorted(2 * seconds(10, 20))
