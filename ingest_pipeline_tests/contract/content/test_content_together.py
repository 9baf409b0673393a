"""Several at once: batches that merge and extract, and windows extracted meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ingest_pipeline.content.extraction import extract_for, extract_relinked, extract_window
from ingest_pipeline.domain.messages.message import Reference
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.membership import keep_parents, relinked_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.contract.content_messages import (
    PLAN,
    RULES,
    SESSION,
    TABLES,
    contents,
    delete,
    flagged,
    id_at,
    merge,
    posted,
)
from ingest_pipeline_tests.contract.readings import CHANNEL, at

MESSAGES = 60
BATCH = 12


def batches(seed: int) -> list[list[int]]:
    """Return the messages, by number, in batches of an order of their own."""
    numbers = list(range(MESSAGES))
    random.Random(seed).shuffle(numbers)  # noqa: S311 - an order
    return [numbers[first : first + BATCH] for first in range(0, MESSAGES, BATCH)]


def second(number: int) -> float:
    """Return when a message is posted: a few minutes, of which the last is a burst."""
    return number * 10 if number < 40 else 390 + number / 10


def work(database: Database, numbers: list[int], read: float) -> None:
    """Merge a batch, delete every seventh, and extract, in one transaction, as the gateway does."""

    def batch(connection: Connection) -> None:
        gone = [id_at(second(number)) for number in numbers if number % 7 == 3]
        delete(connection, gone)
        ids = []
        for number in numbers:
            answer: dict[str, Any] = {
                "type": "Reply",
                "reference": Reference(message_id=str(id_at(second(number // 2)))),
            }
            text = PLAN if number % 10 == 0 else f"`Leclerc` crash {read}"
            ids += merge(
                connection, posted(second(number), text, read=read, **(answer if number % 3 else {}))
            )
        extract_for(connection, [*ids, *gone], RULES, now=at(9000))

    database.run(batch)


@pytest.mark.slow
@pytest.mark.parametrize("taken_up_by", ["the next batch", "nobody"])
def test_content_follows_a_thread_whose_parent_is_learnt_late(database: Database, taken_up_by: str) -> None:
    """What becomes of it is what would have been, had the parent been known, whoever reads content next."""
    parent = CHANNEL - 1
    session = replace(SESSION, channel_ids=(parent,))
    database.run(lambda connection: save_sessions(connection, [session], now=at(0)))
    for numbers in batches(1):
        work(database, numbers, 7200)
    before = read_contents(database)
    database.run(lambda connection: keep_parents(connection, {CHANNEL: parent}, now=at(1)))
    if taken_up_by == "nobody":
        while database.run(lambda connection: extract_relinked(connection, RULES)):
            pass
    else:
        database.run(lambda connection: extract_for(connection, [], RULES, now=at(9000)))
    followed = read_contents(database)
    assert followed["highlights"] != before["highlights"]
    with database.write() as connection:
        assert relinked_messages(connection, 1) == []
        assert extracted_anew(connection) == followed


def read_contents(database: Database) -> dict[str, Any]:
    """Return what the tables of content hold."""
    with database.read() as connection:
        return contents(connection)


def extracted_anew(connection: Connection) -> dict[str, Any]:
    """Clear the tables of content, extract everything and return what they hold."""
    ids = [id_at(second(number)) for number in range(MESSAGES)]
    stored = {*TABLES, "highlight_signals", "session_bursts", "session_rates"} - {"highlights"}
    for table in sorted(stored):
        connection.execute("clear_table", {"table": table})
    connection.execute("mark_highlights", discord_ids=ids, is_candidate=False)
    extract_for(connection, ids, RULES, now=at(9000))
    return contents(connection)


@pytest.mark.slow
def test_batches_and_windows_at_once_leave_what_one_after_the_other_would(
    make_database: Callable[[str], Database],
) -> None:
    """No failure, no deadlock that is not resolved, and every table as if extracted again.

    On PostgreSQL, where several write at once; on DuckDB they wait for the file.
    """
    database = make_database("postgres")
    database.run(lambda connection: save_sessions(connection, [SESSION], now=at(0)))

    def gateway(seed: int) -> None:
        for numbers in batches(seed):
            work(database, numbers, 7200 + seed)

    def asset(_: int) -> None:
        for _again in range(4):
            extract_window(database, [CHANNEL], SESSION.window, RULES, now=at(9000))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(gateway, seed) for seed in range(3)] + [pool.submit(asset, 0)]:
            done.result(timeout=100)
    with database.write() as connection:
        together = contents(connection), flagged(connection)
        assert (extracted_anew(connection), flagged(connection)) == together
    assert all(together[0][table] for table in ("radio_messages", "trade_setups", "highlights"))
