"""Highlights: scored batch by batch as if all had been scored at once, on both engines."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ingest_pipeline.content import extraction
from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.content.highlighting import score_highlights, usual_rate
from ingest_pipeline.content.judging import rule_digest
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.extract.highlights import HighlightRule, MessageFeatures
from ingest_pipeline.domain.message import Emoji, RawMessage, Reaction, Reference
from ingest_pipeline.storage.content.changes import Changes
from ingest_pipeline.storage.content.highlights import MinuteHistogram, session_rates
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.userconfig.settings_file import SettingsFile
from ingest_pipeline_tests.contract.content_messages import (
    RULES,
    SESSION,
    contents,
    delete,
    flagged,
    id_at,
    merge,
    said,
)
from ingest_pipeline_tests.contract.readings import CHANNEL, START, at, stored_row

NOW = at(7300)
LOUD = "crash, red flag"


@pytest.fixture(autouse=True)
def session(database: Database) -> None:
    """A session of two hours."""
    database.run(lambda connection: save_sessions(connection, [SESSION], now=NOW))


def score(connection: Connection, discord_ids: Sequence[int], rules: ContentRules = RULES) -> Changes:
    """Score some messages."""
    kinds = ["highlights"]
    return extract_for(connection, discord_ids, rules, kinds=kinds, now=NOW).kinds["highlights"]


def thumbs(count: int) -> list[Reaction]:
    """Return reactions."""
    return [Reaction(emoji=Emoji(name="👍"), count=count)]


def reply(message_id: int) -> dict[str, Any]:
    """Return the fields of an answer."""
    return {"type": "Reply", "reference": Reference(message_id=str(message_id))}


def loud(seconds: float, **fields: Any) -> tuple[dict[str, Any], RawMessage]:
    """Return a message that is a highlight by its keywords and reactions."""
    return said(seconds, LOUD, reactions=thumbs(5), **fields)


def scores(connection: Connection) -> dict[int, float]:
    """Return the score of every message that has one."""
    return {row["discord_id"]: row["score"] for row in contents(connection, "highlights")["highlights"]}


def test_a_candidate_has_its_score_and_its_reasons(database: Database) -> None:
    """Reactions and a keyword together reach the threshold; each says what it added."""
    with database.write() as connection:
        [discord_id, quiet] = merge(
            connection, said(1, "`Leclerc` Unbelievable!", reactions=thumbs(8)), said(90, "words")
        )
        changes = score(connection, [discord_id, quiet])
        [row] = contents(connection, "highlights")["highlights"]
        assert flagged(connection) == {discord_id}
    assert changes == Changes(created=(discord_id,), rows=1)
    assert row == {
        "discord_id": discord_id,
        "score": 0.52,
        "is_candidate": True,
        "reasons": row["reasons"],
        "rule_version": 1,
        "rule_digest": rule_digest(HighlightRule()),
    }
    assert json.loads(row["reasons"]) == ["8 of 10 reactions (+0.32)", "keywords 'unbelievable' (+0.20)"]


def test_merging_again_leaves_the_flag(database: Database) -> None:
    """An edit keeps it until the message is scored again; when the row changed is not touched by scoring."""
    with database.write() as connection:
        [discord_id] = merge(connection, loud(1))
        merged = stored_row(connection, discord_id)
        score(connection, [discord_id])
        assert stored_row(connection, discord_id) == merged | {"is_highlight_candidate": True}
        merge(connection, loud(1, read=7201))
        merge(connection, loud(1, read=100))
        assert flagged(connection) == {discord_id}
        edited = said(1, "never mind", read=7202, timestamp_edited=at(60).isoformat())
        merge(connection, edited)
        assert flagged(connection) == {discord_id}
        score(connection, [discord_id])
        assert flagged(connection) == set()
        merge(connection, loud(1, read=7203, timestamp_edited=at(61).isoformat()))
        assert flagged(connection) == set()
        score(connection, [discord_id])
        assert flagged(connection) == {discord_id}


def test_a_reply_raises_the_score_of_what_it_answers(database: Database) -> None:
    """Also when the answered message is not in the batch; a deleted reply lowers it again."""
    with database.write() as connection:
        [answered] = merge(connection, said(1, "`Leclerc` Puncture!", reactions=thumbs(5)))
        score(connection, [answered])
        assert scores(connection) == {answered: 0.4}
        replies = merge(
            connection, *(said(600 + 60 * each, "no way", **reply(answered)) for each in range(3))
        )
        assert score(connection, replies) == Changes(changed=(answered,), rows=1)
        assert scores(connection) == {answered: 0.52}
        assert flagged(connection) == {answered}
        delete(connection, replies[:1])
        score(connection, replies[:1])
        assert scores(connection) == {answered: 0.48}
        assert flagged(connection) == set()


def test_a_forwarded_message_is_no_reply(database: Database) -> None:
    """It refers to another one without answering it."""
    with database.write() as connection:
        [first] = merge(connection, said(1, "words"))
        ids = merge(connection, said(60, "look", reference=Reference(message_id=str(first))))
        score(connection, [first, *ids])
        assert scores(connection) == {}


def test_a_burst_speaks_for_every_message_of_its_minute(database: Database) -> None:
    """Also for those that came before it was one."""
    with database.write() as connection:
        first = merge(connection, *(said(60 * minute, "words") for minute in range(10)))
        score(connection, first)
        assert scores(connection) == {}
        burst = merge(connection, *(said(60 * 9 + second, "words") for second in range(1, 8)))
        score(connection, burst)
        assert scores(connection) == dict.fromkeys([first[-1], *burst], 0.2)
        reasons = json.loads(contents(connection, "highlights")["highlights"][0]["reasons"])
    assert reasons == ["8 messages per minute, 4.0 times the usual 2 (+0.20)"]


def test_only_what_a_message_changes_is_scored(database: Database) -> None:
    """Those of its minute while the usual rate stays what it was, the whole session when that moves."""

    def touched(connection: Connection, ids: Sequence[int]) -> set[int]:
        scored = set[int]()
        rules = dict.fromkeys([CHANNEL], HighlightRule())
        score_highlights(connection, ids, lambda _: rules, now=NOW, scored=scored)
        return scored

    with database.write() as connection:
        ids = merge(connection, *(said(60 * minute, "words") for minute in range(5)))
        assert touched(connection, ids) == set(ids)
        [later] = merge(connection, said(60 * 5, "words"))
        assert touched(connection, [later]) == {later}
        [beside] = merge(connection, said(60 * 5 + 1, "words"))
        assert touched(connection, [beside]) == {later, beside}
        [far] = merge(connection, said(60 * 60, "words"))
        assert touched(connection, [far]) == {*ids, later, beside, far}


def test_without_a_session_there_is_no_burst(database: Database) -> None:
    """Nothing says what is usual there."""
    with database.write() as connection:
        ids = merge(
            connection, *(said(0, "words", channel_id=CHANNEL + 1, low_bits=each) for each in range(40))
        )
        score(connection, ids)
        assert scores(connection) == {}


def test_the_usual_rate_counts_silent_minutes() -> None:
    """From the session's start to the latest message."""
    minute = timedelta(minutes=1)
    counts = MinuteHistogram(START + 2 * minute, START + 3 * minute, {6: 1, 4: 1})
    assert usual_rate(counts, START) == 2.0
    assert usual_rate(counts, None) == 5.0
    assert usual_rate(counts, START + timedelta(seconds=90)) == 4.0
    assert usual_rate(counts, START + timedelta(seconds=0.5)) == 2.0
    assert usual_rate(counts, START + timedelta(hours=1)) == 5.0
    assert usual_rate(None, START) == 0.0


def test_silence_at_the_start_of_a_session_counts(database: Database) -> None:
    """Most of its minutes were silent, so few messages are a burst."""
    with database.write() as connection:
        ids = merge(connection, *(said(60 * minute + second, "x") for minute in (4, 5) for second in (0, 1)))
        score(connection, ids)
        [rate] = session_rates(connection, {SESSION.session_id}).values()
    assert rate.usual_per_minute == 0.0


def test_reasons_are_kept_as_they_are_written(database: Database) -> None:
    """Also in other scripts."""
    rules = {CHANNEL: HighlightRule(keywords=("schön",))}
    with database.write() as connection:
        ids = merge(connection, said(1, "schön", reactions=thumbs(8)))
        score_highlights(connection, ids, lambda _: rules, now=NOW)
        [row] = contents(connection, "highlights")["highlights"]
    assert "keywords 'schön'" in row["reasons"]


def test_a_rule_that_is_what_it_was_has_the_digest_it_had() -> None:
    """Whatever changes it has every session scored again after an upgrade."""
    assert rule_digest(HighlightRule()) == "dbba463e"


def test_other_weights_score_the_whole_session_again(database: Database) -> None:
    """With the next message, or when it is asked for."""
    strict = replace(RULES, settings=SettingsFile(defaults={"highlights.threshold": 0.9}))
    with database.write() as connection:
        ids = merge(connection, *(loud(60 * minute) for minute in range(3)))
        score(connection, ids)
        assert flagged(connection) == set(ids)
        later = merge(connection, said(600, "words"))
        assert score(connection, later, strict).changed == tuple(ids)
        assert flagged(connection) == set()
        digests = {row["rule_digest"] for row in contents(connection, "highlights")["highlights"]}
    assert digests == {rule_digest(HighlightRule(threshold=0.9))}


def test_a_deleted_message_is_no_candidate(database: Database) -> None:
    """Row and flag go."""
    with database.write() as connection:
        ids = merge(connection, loud(1))
        score(connection, ids)
        delete(connection, ids)
        assert score(connection, ids) == Changes(withdrawn=tuple(ids))
        assert (scores(connection), flagged(connection)) == ({}, set())


def minutes(connection: Connection) -> dict[tuple[int, datetime], int]:
    """Return the counted messages of each channel's minutes, without those that have none any more."""
    names = {"table": "session_minutes", "columns": "*", "key": "channel_id, minute"}
    rows = connection.fetch_all("read_first_page", names, maximum=10**6)
    return {(row["channel_id"], row["minute"]): row["messages"] for row in rows if row["messages"]}


def random_story(seed: int) -> list[Callable[[Connection], list[int]]]:
    """Return steps of a session: messages, replies, reactions, edits and deletions, at random."""
    choice = random.Random(seed)  # noqa: S311 - a story, no secret
    steps: list[Callable[[Connection], list[int]]] = []

    def deletion(discord_id: int) -> Callable[[Connection], list[int]]:
        def work(connection: Connection) -> list[int]:
            delete(connection, [discord_id])
            return [discord_id]

        return work

    posted: list[float] = []

    def step(second: float, read: float, content: str, fields: dict[str, Any]) -> None:
        steps.append(lambda connection: merge(connection, said(second, content, read=read, **fields)))

    for read in range(7200, 7245):
        if not posted or choice.random() < 0.7:
            # Few minutes, so that bursts come and the usual rate moves.
            second = choice.choice([0, 60, 120, 120, 300, 900]) + len(posted) / 7
            posted.append(second)
            to = reply(id_at(choice.choice(posted))) if choice.random() < 0.3 else {}
            step(second, read, choice.choice(["words", LOUD, "puncture"]), to)
        elif choice.random() < 0.6:
            step(choice.choice(posted), read, "what a lap", {"reactions": thumbs(choice.randrange(12))})
        else:
            gone = id_at(choice.choice(posted))
            steps.append(deletion(gone))
    return steps


@pytest.mark.parametrize("seed", range(4))
def test_any_batches_give_what_scoring_everything_again_gives(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours, answered messages and the usual rate are taken along exactly, and scored once."""
    choice = random.Random(seed)  # noqa: S311 - batch sizes
    batch = choice.choice([1, 2, 3, extraction.BATCH_MESSAGES])
    monkeypatch.setattr(extraction, "BATCH_MESSAGES", batch)
    touched: list[int] = []
    everything: set[int] = set()
    with database.write() as connection:
        for step in random_story(seed):
            touched += step(connection)
            everything.update(touched)
            if choice.random() < 0.4:
                score(connection, touched)
                touched = []
        score(connection, touched)
        batched = contents(connection, "highlights"), flagged(connection)
        counted = minutes(connection)
        monkeypatch.undo()
        connection.execute("clear_table", {"table": "session_rates"})
        connection.execute("clear_table", {"table": "highlights"})
        connection.execute("mark_highlights", discord_ids=sorted(everything), is_candidate=False)
        score(connection, sorted(everything))
        assert (contents(connection, "highlights"), flagged(connection)) == batched
        assert batched[0]["highlights"]
        assert minutes(connection) == counted


def test_messages_count_where_they_are_now(database: Database) -> None:
    """Not where a thread's first message was before its parent channel's own copy came."""
    thread = CHANNEL + 1
    session = replace(SESSION, channel_ids=(CHANNEL, thread))
    with database.write() as connection:
        save_sessions(connection, [session], now=NOW)
        ids = merge(connection, *(said(second, "words", channel_id=thread) for second in (1, 2, 61)))
        score(connection, ids)
        assert minutes(connection) == {(thread, START): 2, (thread, at(60)): 1}
        moved = merge(connection, said(1, "words", read=7201))
        score(connection, moved)
        [later] = merge(connection, said(62, "words", channel_id=thread))
        score(connection, [later])
        assert minutes(connection) == {(CHANNEL, START): 1, (thread, START): 1, (thread, at(60)): 2}


def test_texts_alike_in_what_matters_are_judged_alike() -> None:
    """A keyword is found in what is left of a text, however it is written, and only there."""
    rule = HighlightRule(keywords=("red flag", "Straße"))
    for text in ("RED\u2003 FLAG!", "STRASSE", "a red  flag", "reddish", "die straße"):
        assert rule.score(MessageFeatures(rule.relevant_text(text))) == rule.score(MessageFeatures(text))
    assert rule.relevant_text("nothing of note") == rule.relevant_text("fla") == ""
