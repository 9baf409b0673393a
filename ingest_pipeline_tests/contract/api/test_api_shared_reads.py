"""The HTTP interface reads once for all who ask the same; no answer is older than a commit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel
from starlette.responses import Response

from ingest_pipeline.api.reads import SharedReads
from ingest_pipeline.errors import DatabaseBusy
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.deletions import table_summary
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.processes import finished, start
from ingest_pipeline_tests.contract.readings import Reading, at, staged

ASKING = 20


class Rows(BaseModel):
    """How many messages there are."""

    rows: int


class Counting:
    """Looks the number of messages up, and counts how often."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.looks = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> Rows:
        """Look."""
        self.looks += 1
        self.go.wait(60)
        with self.database.read() as connection:
            return Rows(rows=table_summary(connection)["rows"])


def merge(database: Database, discord_id: int) -> None:
    """Merge one message."""
    database.run(lambda c: merge_messages(c, staged([Reading(discord_id=discord_id)]), now=at(1000)))


def rows_in(answer: Response) -> int:
    """Return the number that was answered."""
    return Rows.model_validate_json(bytes(answer.body)).rows


@pytest.fixture
def look(database: Database) -> Counting:
    """A look at a database with one message."""
    merge(database, 1)
    return Counting(database)


def test_what_many_ask_at_once_is_read_once(database: Database, look: Counting) -> None:
    """All wait for the one that reads.

    Again where somebody else's commit on the same PostgreSQL server came in between, so some read again.
    """
    for _ in range(10):
        shared, look.looks = SharedReads(database), 0
        look.go.clear()
        with ThreadPoolExecutor(ASKING) as pool:
            asking = [pool.submit(shared.get, "rows", look) for _ in range(ASKING)]
            look.go.set()
            assert {rows_in(each.result()) for each in asking} == {1}
        assert rows_in(shared.get("rows", look)) == 1
        if look.looks == 1:
            break
    assert look.looks == 1
    shared.get("another question", look)
    assert look.looks == 2


@pytest.mark.slow
def test_a_commit_is_in_the_next_answer(database: Database, settings: Settings, look: Counting) -> None:
    """Of this process and of others."""
    shared = SharedReads(database)
    for number in range(2, 8):
        merge(database, number)
        assert rows_in(shared.get("rows", look)) == number
    finished(start("write", "0", settings=settings))
    with database.read() as connection:
        expected = table_summary(connection)["rows"]
    assert expected > 7
    assert rows_in(shared.get("rows", look)) == expected


def test_an_answer_from_before_a_commit_is_not_given_after_it(database: Database, look: Counting) -> None:
    """Even if it is still being read."""
    shared = SharedReads(database)
    look.go.clear()
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(shared.get, "rows", look)
        while not look.looks:
            pass
        merge(database, 2)
        after = pool.submit(shared.get, "rows", look)
        look.go.set()
        assert rows_in(after.result()) == 2
        before.result()
    assert look.looks == 2


def test_an_error_is_reported_and_not_kept(database: Database, look: Counting) -> None:
    """The next one looks again."""
    shared = SharedReads(database)

    def fail() -> Rows:
        raise DatabaseBusy("made up")

    with pytest.raises(DatabaseBusy):
        shared.get("rows", fail)
    assert rows_in(shared.get("rows", look)) == 1


@pytest.mark.slow
def test_answers_are_not_kept_without_bound(
    database: Database, look: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go.

    Other tests commit on the same PostgreSQL server, after which every answer is looked up again.
    """
    monkeypatch.setattr(database, "version", lambda: "nothing is committed meanwhile")
    shared = SharedReads(database)
    for number in range(70):
        shared.get(number, look)
    shared.get(0, look)
    assert look.looks == 71
    shared.get(69, look)
    assert look.looks == 71
