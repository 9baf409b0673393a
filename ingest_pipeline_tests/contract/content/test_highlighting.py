"""Highlights: scored batch by batch as if all had been scored at once, on both engines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.content import extraction
from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.content.highlighting import score_highlights, usual_rate
from ingest_pipeline.content.judging import rule_digest
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.extract.highlights import HighlightRule, MessageFeatures
from ingest_pipeline.domain.messages.message import Emoji, RawMessage, Reaction, Reference
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
    posted,
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
    return posted(seconds, LOUD, reactions=thumbs(5), **fields)


def scores(connection: Connection) -> dict[int, float]:
    """Return the score of every message that has one."""
    return {row["discord_id"]: row["score"] for row in contents(connection, "highlights")["highlights"]}


def test_a_candidate_has_its_score_and_its_reasons(database: Database) -> None:
    """Reactions and a keyword together reach the threshold; each says what it added."""
    with database.write() as connection:
        [discord_id, quiet] = merge(
            connection, posted(1, "`Leclerc` Unbelievable!", reactions=thumbs(8)), posted(90, "words")
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
        "rule_version": 2,
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
        edited = posted(1, "never mind", read=7202, timestamp_edited=at(60).isoformat())
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
        [answered] = merge(connection, posted(1, "`Leclerc` Puncture!", reactions=thumbs(5)))
        score(connection, [answered])
        assert scores(connection) == {answered: 0.4}
        replies = merge(
            connection, *(posted(600 + 60 * each, "no way", **reply(answered)) for each in range(3))
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
        [first] = merge(connection, posted(1, "words"))
        ids = merge(connection, posted(60, "look", reference=Reference(message_id=str(first))))
        score(connection, [first, *ids])
        assert scores(connection) == {}


def test_a_burst_speaks_for_every_message_of_its_minute(database: Database) -> None:
    """Also for those that came before it was one."""
    with database.write() as connection:
        first = merge(connection, *(posted(60 * minute, "words") for minute in range(10)))
        score(connection, first)
        assert scores(connection) == {}
        burst = merge(connection, *(posted(60 * 9 + second, "words") for second in range(1, 8)))
        score(connection, burst)
        assert scores(connection) == dict.fromkeys([first[-1], *burst], 0.2)
        reasons = json.loads(contents(connection, "highlights")["highlights"][0]["reasons"])
    assert reasons == ["8 messages per minute, 4.0 times the usual 2 (+0.20)"]


def test_only_what_a_message_changes_is_scored(database: Database) -> None:
    """Those of its minute that a burst may decide on, also when the usual rate moves."""

    def touched(connection: Connection, ids: Sequence[int]) -> set[int]:
        scored = set[int]()
        rules = dict.fromkeys([CHANNEL], HighlightRule())
        score_highlights(connection, ids, lambda _: rules, now=NOW, scored=scored)
        return scored

    with database.write() as connection:
        ids = merge(connection, *(posted(60 * minute, "words") for minute in range(5)))
        assert touched(connection, ids) == set(ids)
        [undecided] = merge(connection, posted(60 * 5 + 2, LOUD))
        assert touched(connection, [undecided]) == {undecided}
        [later] = merge(connection, posted(60 * 5, "words"))
        assert touched(connection, [later]) == {later, undecided}
        [beside] = merge(connection, posted(60 * 5 + 1, "words"))
        assert touched(connection, [beside]) == {beside, undecided}
        [far] = merge(connection, posted(60 * 60, "words"))
        assert touched(connection, [far]) == {far}


def test_without_a_session_there_is_no_burst(database: Database) -> None:
    """Nothing says what is usual there."""
    with database.write() as connection:
        ids = merge(
            connection, *(posted(0, "words", channel_id=CHANNEL + 1, low_bits=each) for each in range(40))
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
    assert usual_rate(MinuteHistogram(), START) == 0.0


def test_silence_at_the_start_of_a_session_counts(database: Database) -> None:
    """Most of its minutes were silent, so few messages are a burst."""
    with database.write() as connection:
        ids = merge(
            connection, *(posted(60 * minute + second, "x") for minute in (4, 5) for second in (0, 1))
        )
        score(connection, ids)
        [rate] = session_rates(connection, {SESSION.session_id})[0].values()
    assert rate.usual_per_minute == 0.0


def test_reasons_are_kept_as_they_are_written(database: Database) -> None:
    """Also in other scripts."""
    rules = {CHANNEL: HighlightRule(keywords=("schön",))}
    with database.write() as connection:
        ids = merge(connection, posted(1, "schön", reactions=thumbs(8)))
        score_highlights(connection, ids, lambda _: rules, now=NOW)
        [row] = contents(connection, "highlights")["highlights"]
    assert "keywords 'schön'" in row["reasons"]


def test_a_rule_that_is_what_it_was_has_the_digest_it_had() -> None:
    """Whatever changes it has every session scored again after an upgrade."""
    assert rule_digest(HighlightRule()) == "d959b6e4"


def test_other_weights_score_the_whole_session_again(database: Database) -> None:
    """With the next message, or when it is asked for."""
    strict = replace(RULES, settings=SettingsFile(defaults={"highlights.threshold": 0.9}))
    with database.write() as connection:
        ids = merge(connection, *(loud(60 * minute) for minute in range(3)))
        score(connection, ids)
        assert flagged(connection) == set(ids)
        later = merge(connection, posted(600, "words"))
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


# Few minutes, so that bursts come and the usual rate moves.
PLACES = st.tuples(st.sampled_from([0, 60, 60, 120, 180]), st.integers(0, 30))
POSTS = st.tuples(st.just("post"), PLACES, st.sampled_from(["words", LOUD, "puncture"]), st.none() | PLACES)
STEPS = st.one_of(
    POSTS,
    POSTS,
    st.tuples(st.just("react"), PLACES, st.integers(0, 12)),
    st.tuples(st.just("delete"), PLACES),
    st.tuples(st.just("score")),
)


class Story:
    """A session's messages, merged step by step, and their scores in plain Python."""

    def __init__(self, connection: Connection, rule: HighlightRule) -> None:
        self.connection = connection
        self.rule = rule
        self.rules = replace(
            RULES,
            settings=SettingsFile(
                defaults={
                    "highlights.burst_weight": rule.burst_weight,
                    "highlights.full_burst": rule.full_burst,
                    "highlights.quiet_rate": rule.quiet_rate,
                }
            ),
        )
        self.live: dict[int, tuple[float, str, int, int | None]] = {}
        self.gone: set[int] = set()
        self.touched: list[int] = []
        self.reads = 7200

    def take(self, step: tuple[Any, ...]) -> None:
        """Do one step; one that cannot be is left out."""
        if step[0] == "score":
            score(self.connection, self.touched, self.rules)
            self.touched = []
            return
        second = step[1][0] + step[1][1] / 2
        discord_id = id_at(second)
        if discord_id in self.gone or (discord_id in self.live) == (step[0] == "post"):
            return
        self.touched.append(discord_id)
        if step[0] == "delete":
            delete(self.connection, [discord_id])
            del self.live[discord_id]
            self.gone.add(discord_id)
            return
        if step[0] == "post":
            answered = None if step[3] is None else id_at(step[3][0] + step[3][1] / 2)
            self.live[discord_id] = (second, step[2], 0, answered)
        else:
            _, text, _, answered = self.live[discord_id]
            self.live[discord_id] = (second, text, step[2], answered)
        _, text, reactions, answered = self.live[discord_id]
        self.reads += 1
        fields = reply(answered) if answered else {}
        merge(self.connection, posted(second, text, read=self.reads, reactions=thumbs(reactions), **fields))

    def expected(self) -> dict[int, tuple[float, bool, list[str]]]:
        """Return score, verdict and reasons of each message that some signal speaks for."""
        counts = Counter(int(second // 60) for second, *_ in self.live.values())
        usual = median([counts[minute] for minute in range(max(counts, default=0) + 1)])
        found = {}
        for discord_id, (second, text, reactions, _) in self.live.items():
            replies = sum(answered == discord_id for *_, answered in self.live.values())
            features = MessageFeatures(text, reactions, replies, counts[int(second // 60)], usual)
            verdict = self.rule.score(features)
            if verdict.score:
                found[discord_id] = (verdict.score, verdict.is_candidate, list(verdict.reasons))
        return found


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(STEPS, min_size=15, max_size=40),
    batch=st.sampled_from([1, 3, extraction.BATCH_MESSAGES]),
    rule=st.sampled_from(
        [HighlightRule(quiet_rate=1), HighlightRule(burst_weight=0.5, full_burst=3, quiet_rate=0.5)]
    ),
)
def test_any_batches_give_what_the_rule_gives_for_everything(
    database: Database, steps: list[tuple[Any, ...]], batch: int, rule: HighlightRule
) -> None:
    """Neighbours, answered messages and the usual rate are taken along exactly."""
    with (
        pytest.MonkeyPatch.context() as patch,
        suppress(InterruptedError),
        database.write() as connection,
    ):
        patch.setattr(extraction, "BATCH_MESSAGES", batch)
        story = Story(connection, rule)
        for step in [*steps, ("score",)]:
            story.take(step)
        rows = contents(connection, "highlights")["highlights"]
        found = {
            row["discord_id"]: (row["score"], row["is_candidate"], json.loads(row["reasons"])) for row in rows
        }
        assert found == story.expected()
        assert flagged(connection) == {row["discord_id"] for row in rows if row["is_candidate"]}
        raise InterruptedError  # The next example begins with nothing.


def test_messages_count_where_they_are_now(database: Database) -> None:
    """Not where a thread's first message was before its parent channel's own copy came."""
    thread = CHANNEL + 1
    session = replace(SESSION, channel_ids=(CHANNEL, thread))
    with database.write() as connection:
        save_sessions(connection, [session], now=NOW)
        ids = merge(connection, *(posted(second, "words", channel_id=thread) for second in (1, 2, 61)))
        score(connection, ids)
        assert minutes(connection) == {(thread, START): 2, (thread, at(60)): 1}
        moved = merge(connection, posted(1, "words", read=7201))
        score(connection, moved)
        [later] = merge(connection, posted(62, "words", channel_id=thread))
        score(connection, [later])
        assert minutes(connection) == {(CHANNEL, START): 1, (thread, START): 1, (thread, at(60)): 2}


def test_texts_alike_in_what_matters_are_judged_alike() -> None:
    """A keyword is found in what is left of a text, however it is written, and only there."""
    rule = HighlightRule(keywords=("red flag", "Straße"))
    for text in ("RED\u2003 FLAG!", "STRASSE", "a red  flag", "reddish", "die straße"):
        assert rule.score(MessageFeatures(rule.relevant_text(text))) == rule.score(MessageFeatures(text))
    assert rule.relevant_text("nothing of note") == rule.relevant_text("fla") == ""
