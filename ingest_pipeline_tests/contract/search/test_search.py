"""Search finds the same messages on both engines: those that the query means, word by word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.search.query import matches, parse_query
from ingest_pipeline.domain.search.words import searchable
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, StorageUnavailable
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.search.search import (
    MessageKind,
    SearchFilter,
    bring_up_to_date,
    open_index,
    rank_messages,
    search_messages,
)
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.search.indexed_texts import NEWEST
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export
from ingest_pipeline_tests.thoroughness import examples

TEXTS = [
    "`Leclerc` Box, box. Pit-stop now",
    "`Sainz` soft tyre or soft tyres?",
    "$SPY calls above 450, not SPY puts",
    "BRK.B and C++ by Pérez-García 🏁",
    "<:podium:99> podium for <@123456>",
    "the PIT STOP was 2.3 s :checkered_flag:",
    "don't stop; Straße / strasse",
    "日本語 text with a/b and 18-25",
    "box",
    "x" * 80 + " end",
    "<b>box</b> & soft",
]
QUERIES = {
    "box": [0, 8, 10],
    "pit-stop": [0, 5],
    '"pit stop"': [0, 5],
    '"stop pit"': [],
    "stop pit": [0, 5],
    "tyre*": [1],
    "soft AND (tyres OR box)": [1, 10],
    "soft -tyre": [10],
    "soft NOT tyre": [10],
    "spy": [2],
    "$spy": [2],
    "$sp*": [2],
    "$puts": [],
    "brk.b": [3],
    "c++": [3],
    "perez": [3],
    "GARCÍA": [3],
    "🏁": [3],
    ":podium:": [4],
    "podium": [4],
    "123456": [],
    ":checkered_flag:": [5],
    "checkered flag": [5],
    "don't": [6],
    "strasse": [6],
    "本": [7],
    "日本": [7],
    "本日": [],
    "a/b": [7],
    "18-25": [7],
    "-25 18": [],
    "x" * 90: [9],
    "leclerc": [0],
    "b": [3, 7, 10],
    "or": [1],
}


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The working parts on an empty database, once for each engine."""
    with opened(settings) as built:
        yield built


@contextmanager
def opened(settings: Settings) -> Iterator[Services]:
    """Build the working parts, with a session."""
    built = build_services(settings)
    session = Session("race", START, START + timedelta(hours=2), (CHANNEL_ID,))
    built.database.run(lambda c: save_sessions(c, [session], now=START))
    yield built
    built.database.close()


def fill(services: Services, folder: Path, texts: list[str], **fields: Any) -> list[int]:
    """Import messages, one a second, and return their ids."""
    made = [message(second, text, **fields) for second, text in enumerate(texts)]
    exported = write_export(folder / "export.json", made, exportedAt=fields.get("timestampEdited") or None)
    import_messages(services, "race", file=exported, on_rows_merged=reading_content(services))
    return [int(each["id"]) for each in made]


def found(services: Services, query: str, wanted: SearchFilter | None = None, **options: Any) -> list[int]:
    """Search, and return ids."""
    page = search_messages(services.database, query, wanted or SearchFilter(), **options)
    return [hit.row["discord_id"] for hit in page.hits]


def test_words_phrases_prefixes_and_signs_are_found(services: Services, tmp_path: Path) -> None:
    """Each query finds what it means, newest first."""
    ids = fill(services, tmp_path, TEXTS)
    for query, places in QUERIES.items():
        assert found(services, query) == [ids[place] for place in reversed(places)], query


WORDS = st.sampled_from(
    ["box", "stop", "pit", "soft", "tyre", "$spy", "spy", "c++", "a-b", "b", "né", "🏁", ":f:"]
)
TERMS = st.one_of(
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3).map(lambda words: f'"{" ".join(words)}"'),
    WORDS.map(lambda word: f"{word[:2]}*"),
)


def compound(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make queries of queries."""
    return st.one_of(
        st.tuples(children, children).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        st.tuples(children, children).map(lambda pair: f"({pair[0]} {pair[1]})"),
        st.tuples(children, children).map(lambda pair: f"({pair[0]} NOT {pair[1]})"),
    )


@pytest.mark.slow
@hypothesis_settings(max_examples=examples(6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=30),
    queries=st.lists(st.recursive(TERMS, compound, max_leaves=6), min_size=20, max_size=20),
)
def test_any_query_finds_what_it_means(
    services: Services, tmp_path: Path, texts: list[str], queries: list[str]
) -> None:
    """Compared with the query evaluated word by word in plain Python, after edits of edits."""
    fill(services, tmp_path, texts)
    with services.database.read() as connection:
        rows = connection.fetch_all("list_messages", session_id="race", driver=None, maximum=None)
    words = {
        row["discord_id"]: replace(
            searchable(row["message_text"]), marks=searchable(f"{row['raw_content']}").marks
        )
        for row in rows
    }
    for text in queries:
        query = parse_query(text)
        expected = sorted((each for each, found in words.items() if matches(query, found)), reverse=True)
        assert found(services, text) == expected, text


def test_an_edit_and_a_deletion_are_found_at_once(services: Services, tmp_path: Path) -> None:
    """What a message said before an edit is found when asked for; what was deleted is not."""
    first, second = fill(services, tmp_path, ["box now", "box later"])
    assert found(services, "box") == [second, first]
    edited = (START + timedelta(hours=1)).isoformat()
    fill(services, tmp_path, ["stay out"], timestampEdited=edited)
    assert found(services, "box") == [second]
    assert found(services, "stay") == [first]
    later, earlier = search_messages(services.database, "box", SearchFilter(), any_version=True).hits
    assert (later.row["discord_id"], earlier.row["discord_id"]) == (second, first)
    assert (later.is_earlier, earlier.is_earlier) == (False, True)
    assert [(part.text, part.is_match) for part in earlier.snippet] == [("box", True), (" now", False)]
    tombstone = Tombstone(second, CHANNEL_ID, None, START, "gateway", "d")
    services.database.run(lambda c: tombstone_messages(c, [tombstone]))
    assert found(services, "box") == []
    assert found(services, "box", any_version=True) == [first]


def test_pages_hold_each_message_once(services: Services, tmp_path: Path) -> None:
    """Newest first by the last id, the best first by how many were seen."""
    ids = fill(services, tmp_path, ["box"] * 25)
    pages: list[int] = []
    while True:
        before = pages[-1] if pages else NEWEST
        page = search_messages(services.database, "box", SearchFilter(), limit=7, before=before)
        pages += [hit.row["discord_id"] for hit in page.hits]
        if page.is_last:
            break
    assert pages == ids[::-1]
    ranked = [
        hit.row["discord_id"]
        for skip in range(0, 28, 7)
        for hit in rank_messages(services.database, "box", SearchFilter(), skip=skip, limit=7).hits
    ]
    assert sorted(ranked) == ids


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (SearchFilter(session_id="race"), [0, 1, 2]),
        (SearchFilter(session_id="other"), []),
        (SearchFilter(channel_id=CHANNEL_ID + 1), []),
        (SearchFilter(driver="LECLERC"), [1]),
        (SearchFilter(kind=MessageKind.RADIO), [1]),
        (SearchFilter(kind=MessageKind.CLIP), []),
        (SearchFilter(since=START + timedelta(seconds=1)), [1, 2]),
        (SearchFilter(until=START + timedelta(seconds=1)), [0]),
        (SearchFilter(has_file=True), []),
        (SearchFilter(ticker="SPY"), []),
    ],
)
def test_filters_narrow_what_is_found(
    services: Services, tmp_path: Path, wanted: SearchFilter, places: list[int]
) -> None:
    """They are combined with the query."""
    ids = fill(services, tmp_path, ["box", "`Leclerc` box", "box box"])
    assert found(services, "box", wanted) == [ids[place] for place in reversed(places)]


def test_a_snippet_marks_what_was_looked_for(services: Services, tmp_path: Path) -> None:
    """As it was written, around the first match, with the completeness of the channel beside it."""
    fill(services, tmp_path, ["word " * 40 + "and Pérez-García stops <b>now</b> " + "word " * 40])
    page = search_messages(services.database, '"perez garcia" now', SearchFilter())
    (hit,) = page.hits
    assert [part.text for part in hit.snippet if part.is_match] == ["Pérez", "García", "now"]
    text = "".join(part.text for part in hit.snippet)
    assert text.startswith("…")
    assert "and Pérez-García stops <b>now</b>" in text
    (channel,) = page.completeness
    assert channel.channel_id == CHANNEL_ID


@pytest.mark.parametrize(
    "query", ["", "NOT box", "-box", "(box", "box)", '"box', "&", "(" * 30 + "box" + ")" * 30]
)
def test_a_query_without_a_meaning_is_refused(services: Services, query: str) -> None:
    """The query is named."""
    with pytest.raises(BadInput, match="the query"):
        found(services, query)


def test_an_index_that_is_far_behind_is_not_waited_for(services: Services, tmp_path: Path) -> None:
    """A request that may wait for no time says so; what was taken in stays, so the next one goes on."""
    fill(services, tmp_path, ["box"])
    with pytest.raises(StorageUnavailable, match="try again"):
        found(services, "box", index_seconds=-1)
    assert len(found(services, "box", index_seconds=10)) == 1


def test_a_lost_or_foreign_index_is_made_again(services: Services, tmp_path: Path) -> None:
    """An index that was cleared, or was made from another database's feed, begins from the start."""
    ids = fill(services, tmp_path, ["box", "stop"])
    assert found(services, "box") == ids[:1]
    open_index(services.database).clear()
    assert bring_up_to_date(open_index(services.database)) == 2
    services.database.run(lambda c: c.execute("renew_feed_id"))
    assert bring_up_to_date(open_index(services.database)) == 2
    assert found(services, "stop") == ids[1:]
