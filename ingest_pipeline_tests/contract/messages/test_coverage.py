"""The coverage ledger: gaps and proofs tile every interval."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.coverage import (
    Proof,
    coverage_marks,
    gaps,
    ledger_mark,
    proofs,
    proven_until,
    read_without_media,
    read_without_words,
    record_proof,
)
from ingest_pipeline_tests.contract.messages.test_merge_order import trial
from ingest_pipeline_tests.contract.readings import at
from ingest_pipeline_tests.contract.waiters import wait_for_waiting_writer
from ingest_pipeline_tests.thoroughness import examples


def proof(
    low: int, high: int, *, channel_id: int = 1, correlation_id: str = "c1", at_: int | None = None
) -> Proof:
    """Return a proof of (low, high]."""
    return Proof(channel_id, low, high, "export", at((at_ or high) % 1000), correlation_id)


def record(database: Database, *found: Proof) -> None:
    """Record proofs in one transaction."""

    def work(connection: Connection) -> None:
        for each in found:
            record_proof(connection, each)

    database.run(work)


def test_nothing_is_proven_at_first(database: Database) -> None:
    """Without a proof the whole interval is a gap."""
    with database.read() as connection:
        assert gaps(connection, 1, 10, 20) == [(10, 20)]
        assert proven_until(connection, 1, 10) == 10
        assert gaps(connection, 1, 20, 20) == []


def test_the_mark_differs_with_every_proof(database: Database) -> None:
    """And is the same while nothing is proven."""
    settled = at(0)
    with database.read() as connection:
        before = ledger_mark(connection, settled)
        assert ledger_mark(connection, settled) == before
    record(database, proof(10, 20))
    with database.read() as connection:
        after = ledger_mark(connection, settled)
    assert after != before
    record(database, proof(10, 30))
    with database.read() as connection:
        assert ledger_mark(connection, settled) not in {before, after}


def test_a_sessions_mark_differs_with_its_own_proofs_only(database: Database) -> None:
    """A session without a proof has none."""
    race = Session("race", at(0), at(600), (1, 2))
    other = Session("other", at(0), at(600), (3,))

    def marks() -> dict[str, str]:
        with database.read() as connection:
            return coverage_marks(connection, [race, other])

    assert marks() == {}
    record(database, proof(race.window.low, race.window.low + 10))
    first = marks()
    assert first.keys() == {"race"}
    record(database, proof(race.window.low, race.window.low + 10, channel_id=4))
    assert marks() == first
    record(database, proof(race.window.low, race.window.low + 20, channel_id=2))
    assert marks()["race"] != first["race"]


def test_proofs_round_trip(database: Database) -> None:
    """A proof comes back as it was recorded."""
    record(database, proof(10, 20), proof(30, 40))
    with database.read() as connection:
        assert proofs(connection, 1) == [proof(10, 20), proof(30, 40)]
        assert proofs(connection, 2) == []


def test_polls_that_overlap_or_touch_leave_one_interval(database: Database) -> None:
    """A channel polled for months has one row for each stretch without a gap, read last when the last was."""
    record(database, *(proof(10 * number, 10 * number + 15) for number in range(50)), proof(505, 600))
    record(database, proof(700, 720), proof(610, 700), proof(490, 495, correlation_id="c2"))
    with database.read() as connection:
        found = proofs(connection, 1)
        assert gaps(connection, 1, 0, 800) == [(600, 610), (720, 800)]
    assert found == [
        replace(proof(0, 600, correlation_id="c2"), observed_at=at(495)),
        proof(610, 720, at_=700),
    ]


def test_intervals_of_other_readings_stay_beside_a_poll_that_overlaps_them(database: Database) -> None:
    """Of history, of another version and under another policy: each has read other words."""
    others = [
        replace(proof(5, 11), source="history"),
        replace(proof(6, 11), reader_version=1),
        replace(proof(7, 11), keeps_media=True),
    ]
    record(database, *others, proof(10, 20))
    with database.read() as connection:
        assert proofs(connection, 1) == [*others, proof(10, 20)]


def test_the_same_interval_proven_again_is_one_proof(database: Database) -> None:
    """The newer proof stands for it."""
    record(database, proof(10, 20))
    record(database, proof(10, 20, correlation_id="c2"))
    with database.read() as connection:
        assert proofs(connection, 1) == [proof(10, 20, correlation_id="c2")]


def test_a_narrower_proof_of_history_is_kept_beside_the_wider_one(database: Database) -> None:
    """In the order of their beginnings, then of their ends."""
    found = [replace(proof(10, high), source="history") for high in (18, 20)]
    record(database, *reversed(found), proof(5, 40, channel_id=2))
    with database.read() as connection:
        assert proofs(connection, 1) == found
        assert gaps(connection, 1, 0, 30) == [(0, 10), (20, 30)]


def test_a_proof_that_waits_for_another_finds_it(database: Database) -> None:
    """Two readings of a channel that end at once leave one interval when one holds the other."""
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            record_proof(connection, proof(10, 20))
            recording = pool.submit(record, database, proof(5, 30))
            wait_for_waiting_writer(database)
        recording.result(timeout=60)
    with database.read() as connection:
        assert proofs(connection, 1) == [proof(5, 30)]


def test_channels_do_not_prove_each_other(database: Database) -> None:
    """Coverage is per channel."""
    record(database, proof(10, 20, channel_id=2))
    with database.read() as connection:
        assert gaps(connection, 1, 10, 20) == [(10, 20)]


def test_coverage_to_the_last_possible_id_has_an_end(database: Database) -> None:
    """Nothing lies beyond the largest id."""
    record(database, proof(10, MAX_SNOWFLAKE))
    with database.read() as connection:
        assert proven_until(connection, 1, 10) == MAX_SNOWFLAKE


def test_an_empty_interval_is_no_proof(database: Database) -> None:
    """The table refuses an interval that proves nothing."""
    with pytest.raises(Exception, match=r"(?i)check"):
        record(database, proof(10, 10))


bounds = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda pair: pair[0] < pair[1])


@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recorded=st.lists(bounds, max_size=8), asked=bounds)
def test_gaps_and_proofs_tile_an_interval(
    database: Database, recorded: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    """What is a gap is what no recorded interval holds, id by id; gaps are in order and never touch."""
    low, high = asked
    proven = {each for start, end in recorded for each in range(start + 1, end + 1)}
    with trial(database) as connection:
        for start, end in recorded:
            record_proof(connection, proof(start, end))
        found = gaps(connection, 1, low, high)
        missing = [each for start, end in found for each in range(start + 1, end + 1)]
        assert missing == [each for each in range(low + 1, high + 1) if each not in proven]
        assert all(start < end for start, end in found)
        assert all(before[1] < after[0] for before, after in pairwise(found))
        reached = proven_until(connection, 1, low)
        assert all(each in proven for each in range(low + 1, reached + 1))
        assert reached + 1 not in proven


def history(low: int, high: int, version: int | None, correlation_id: str = "run") -> Proof:
    """Return a proof of (low, high] that history was read for by a version of the normaliser."""
    proven = proof(low, high, correlation_id=correlation_id)
    return replace(proven, source="history", reader_version=version)


def test_what_history_read_without_words_stays_known(database: Database) -> None:
    """Until history has read it again: exports carry less, so they do not prove all words."""
    record(
        database, history(0, 10, None), history(10, 20, 1, "other"), proof(30, 40), proof(0, 10), proof(0, 50)
    )
    with database.read() as connection:
        assert gaps(connection, 1, 0, 50) == []
        assert read_without_words(connection, 1, 0, 50) == [(0, 20)]
        assert read_without_words(connection, 1, 5, 15) == [(5, 15)]
        assert read_without_words(connection, 1, 20, 50) == []
    record(database, history(4, 12, 2, "repair"))
    with database.read() as connection:
        assert read_without_words(connection, 1, 0, 50) == [(0, 4), (12, 20)]
    record(database, history(0, 20, 2, "again"))
    with database.read() as connection:
        assert read_without_words(connection, 1, 0, 50) == []


def test_a_reading_that_another_version_began_is_two_proofs(database: Database) -> None:
    """The interval of a run grows; what was read before the program was changed keeps its version."""
    record(database, history(0, 10, None), history(0, 15, 2), history(0, 30, 2))
    with database.read() as connection:
        assert proofs(connection, 1) == [history(0, 10, None), history(10, 30, 2)]
        assert read_without_words(connection, 1, 0, 30) == [(0, 10)]


def test_what_was_read_without_media_stays_known(database: Database) -> None:
    """Until it is read with them: an export proves what exports left out, history both."""

    def read(low: int, high: int, keeps: bool | None, source: str = "history") -> Proof:
        return replace(proof(low, high), source=source, keeps_media=keeps, correlation_id=f"{source} {keeps}")

    def lacking() -> list[tuple[int, int]]:
        with database.read() as connection:
            return read_without_media(connection, 1, 0, 50)

    record(
        database, read(0, 10, None), read(10, 20, False), read(20, 30, False, "export"), read(30, 40, True)
    )
    assert lacking() == [(0, 30)]
    record(database, read(5, 25, True, "export"))
    assert lacking() == [(0, 20), (25, 30)]
    record(database, read(0, 28, True))
    assert lacking() == [(28, 30)]
    record(database, read(0, 50, True, "export"))
    assert lacking() == []


def test_a_reading_that_another_policy_began_is_two_proofs(database: Database) -> None:
    """What was read before the setting was changed keeps what it left out."""
    record(database, *(replace(history(0, high, 2), keeps_media=high > 10) for high in (10, 15, 30)))
    with database.read() as connection:
        assert [(each.low, each.high, each.keeps_media) for each in proofs(connection, 1)] == [
            (0, 10, False),
            (10, 30, True),
        ]
        assert read_without_media(connection, 1, 0, 30) == [(0, 10)]
