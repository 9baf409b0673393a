"""Search by meaning finds what the words alone do not, and counts what it could not compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.domain.erasures import Subject
from ingest_pipeline.erasure.erase import erase
from ingest_pipeline.errors import EmbeddingsMissing, EmbeddingsRejected, EmbeddingsUnavailable
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.search.search import SearchFilter, SearchPage
from ingest_pipeline.search.semantic import embed_messages, search_by_meaning
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.embeddings import EmbeddingsEndpoint, embeddings_endpoint
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.search.vectors import VectorCoverage, VectorSpace, keep_vectors
from ingest_pipeline_tests.api_worlds import client_of
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.contract.search.test_search import fill, opened
from ingest_pipeline_tests.embeddings_server import KEY, EmbeddingsServer, embeddings_server
from ingest_pipeline_tests.exports import CHANNEL_ID, START

TEXTS = ["`Leclerc` overcutting is faster", "`Sainz` rain at the weekend", "the podium ceremony", "box"]
SPACE = VectorSpace("letters", 96)


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    """An embeddings server."""
    with embeddings_server() as served:
        yield served


@pytest.fixture
def services(settings: Settings, server: EmbeddingsServer) -> Iterator[Services]:
    """The working parts on an empty database, with the server's address in the settings."""
    given = {
        "embeddings_url": server.url,
        "embeddings_model": "letters",
        "embeddings_api_key": SecretStr(KEY),
    }
    with opened(settings.model_copy(update=given)) as built:
        yield built


@pytest.fixture
def endpoint(services: Services) -> EmbeddingsEndpoint:
    """The endpoint that the settings name, tried again without a pause."""
    return replace(embeddings_endpoint(services.settings), retries=Backoff(0.0))


def embed(services: Services, endpoint: EmbeddingsEndpoint, limit: int | None = None) -> int:
    """Embed, and return how many messages."""
    return embed_messages(services.database, endpoint, limit=limit).embedded


def ask(
    services: Services, endpoint: EmbeddingsEndpoint, text: str, wanted: SearchFilter | None = None
) -> SearchPage:
    """Search by meaning."""
    return search_by_meaning(services.database, endpoint, text, wanted or SearchFilter(), limit=3)


def test_what_shares_no_word_is_found(
    services: Services, endpoint: EmbeddingsEndpoint, server: EmbeddingsServer, tmp_path: Path
) -> None:
    """By its similarity, which the answer has; what has the very words is first where both agree."""
    overcut, rain, podium, box = fill(services, tmp_path, TEXTS)
    assert embed(services, endpoint) == 4
    page = ask(services, endpoint, "overcuts fast")
    assert page.hits[0].row["discord_id"] == overcut
    one, other = map(server.vector, ("overcuts fast", "overcutting is faster"))
    cosine = np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)
    assert page.hits[0].similarity == pytest.approx(float(cosine), abs=1e-3)
    assert page.vectors == VectorCoverage(4, 4)
    assert not page.is_last
    found = ask(services, endpoint, "podium OR box")
    assert {hit.row["discord_id"] for hit in found.hits[:2]} == {podium, box}
    assert [part.text for part in found.hits[0].snippet if part.is_match] in (["podium"], ["box"])
    # No query of words, and a question all the same.
    assert ask(services, endpoint, '"weekend rai').hits[0].row["discord_id"] == rain


def test_filters_hold_and_what_has_no_vector_is_counted(
    services: Services, endpoint: EmbeddingsEndpoint, tmp_path: Path
) -> None:
    """A run embeds the newest first; what has no vector yet is found by its words."""
    overcut, rain, podium, box = fill(services, tmp_path, TEXTS)
    assert embed(services, endpoint, limit=2) == 2
    page = ask(services, endpoint, "overcutting")
    assert page.vectors == VectorCoverage(4, 2)
    assert (page.hits[0].row["discord_id"], page.hits[0].similarity) == (overcut, None)
    assert {hit.row["discord_id"] for hit in page.hits[1:]} == {podium, box}
    assert embed(services, endpoint) == 2
    for wanted, ids in (
        (SearchFilter(driver="leclerc"), {overcut}),
        (SearchFilter(until=START + timedelta(seconds=1.5)), {overcut, rain}),
        (SearchFilter(channel_id=CHANNEL_ID + 1), set()),
    ):
        page = ask(services, endpoint, "overcut", wanted)
        assert {hit.row["discord_id"] for hit in page.hits} == ids
        assert page.vectors == VectorCoverage(len(ids), len(ids))
        assert page.is_last


def test_an_edited_text_is_embedded_again_and_a_deleted_one_not_found(
    services: Services, endpoint: EmbeddingsEndpoint, server: EmbeddingsServer, tmp_path: Path
) -> None:
    """Vectors of other words, of another model and of other dimensions are none."""
    overcut, *_ = fill(services, tmp_path, TEXTS)
    embed(services, endpoint)
    assert embed(services, endpoint) == 0
    edited = (START + timedelta(minutes=5)).isoformat()
    fill(services, tmp_path, ["`Leclerc` hospitality", *TEXTS[1:]], timestampEdited=edited)
    assert ask(services, endpoint, "hospitals").vectors == VectorCoverage(4, 3)
    server.asked.clear()
    assert embed(services, endpoint) == 1
    assert server.asked[-1] == ["hospitality"]
    assert ask(services, endpoint, "hospitals").hits[0].row["discord_id"] == overcut
    gone = Tombstone(overcut, CHANNEL_ID, None, START, "gateway", "d")
    services.database.run(lambda c: tombstone_messages(c, [gone]))
    page = ask(services, endpoint, "hospitals")
    assert overcut not in {hit.row["discord_id"] for hit in page.hits}
    assert page.vectors == VectorCoverage(3, 3)
    server.dimensions = 32
    assert ask(services, endpoint, "hospitals").vectors == VectorCoverage(3, 0)
    assert embed(services, endpoint) == 3


def test_vectors_are_erased_with_their_messages(
    services: Services, endpoint: EmbeddingsEndpoint, tmp_path: Path
) -> None:
    """Also one that was being made while its message was erased."""
    ids = fill(services, tmp_path, TEXTS)
    embed(services, endpoint)
    assert erase(services, Subject.MESSAGE, ids[0]).places["message_embeddings"] == 1
    late = [{"discord_id": each, "text_digest": "of before"} for each in ids[:2]]
    services.database.run(lambda c: keep_vectors(c, SPACE, late, np.ones((2, SPACE.dimensions)), now=START))
    with services.database.read() as connection:
        names = {"table": "message_embeddings", "columns": "discord_id", "key": "discord_id"}
        rows = connection.fetch_all("read_first_page", names, maximum=9)
    assert [row["discord_id"] for row in rows] == ids[1:]
    assert ask(services, endpoint, "rain").vectors == VectorCoverage(3, 2)


def test_texts_that_do_not_fit_are_sent_as_fewer_and_shorter_ones(server: EmbeddingsServer) -> None:
    """And one that cannot be made to fit is reported."""
    server.most, server.longest = 2, 300
    endpoint = EmbeddingsEndpoint(server.url, "letters", SecretStr(KEY))
    assert endpoint.embed(["a", "b" * 500, "c", "d", "e"]).shape == (5, server.dimensions)
    assert sorted(text for asked in server.asked for text in asked) == ["a", "b" * 250, "c", "d", "e"]
    server.longest = 0
    with pytest.raises(EmbeddingsRejected, match="400"):
        endpoint.embed(["a"])


def test_failures_of_the_moment_are_tried_again_and_others_are_reported(server: EmbeddingsServer) -> None:
    """With the address and what to correct, and without the key."""
    endpoint = EmbeddingsEndpoint(server.url, "letters", SecretStr(KEY), retries=Backoff(0.0))
    server.failures = [500, 429]
    assert len(endpoint.embed(["a"])) == 1
    server.failures = [503]
    with pytest.raises(EmbeddingsUnavailable, match=server.url):
        endpoint.embed(["a"], is_awaited=True)
    with pytest.raises(EmbeddingsRejected, match="INGEST_EMBEDDINGS_API_KEY") as refused:
        replace(endpoint, api_key=SecretStr("sk-wrong-0123456789")).embed(["a"])
    assert "sk-wrong" not in str(refused.value)
    with pytest.raises(EmbeddingsRejected, match="INGEST_EMBEDDINGS_MODEL, which is 'words'"):
        replace(endpoint, model="words").embed(["a"])
    server.failures = [200]
    with pytest.raises(EmbeddingsRejected, match="something else than vectors"):
        endpoint.embed(["a"])
    with pytest.raises(
        EmbeddingsUnavailable, match=r"127.0.0.1:1/v1 \(INGEST_EMBEDDINGS_URL\) does not answer"
    ):
        replace(endpoint, url="http://127.0.0.1:1/v1").embed(["a"])


def test_the_interface_has_similarities_and_refuses_without_the_setting(
    services: Services, endpoint: EmbeddingsEndpoint, tmp_path: Path
) -> None:
    """Both are in the answer: how similar each message is, and how many were compared."""
    overcut, *_ = fill(services, tmp_path, TEXTS)
    embed(services, endpoint, limit=3)
    question = {"q": "overcutting", "semantic": "true"}
    with client_of(services) as client:
        page = client.get("/search", params=question).json()
        assert page["items"][0]["message"]["discord_id"] == str(overcut)
        assert [item["similarity"] is None for item in page["items"]] == [True, False, False, False]
        assert page["vectors"] == {"messages": 4, "with_vector": 3}
        assert client.get("/search", params={**question, "revisions": "true"}).status_code == 422
    off = services.settings.model_copy(update={"embeddings_url": None})
    with pytest.raises(EmbeddingsMissing, match="INGEST_EMBEDDINGS_URL"):
        embeddings_endpoint(off)
    with client_of(replace(services, settings=off)) as client:
        refused = client.get("/search", params=question)
        assert (refused.status_code, "INGEST_EMBEDDINGS_MODEL" in refused.json()["detail"]) == (422, True)


def test_the_commands_report_what_has_no_vector(server: EmbeddingsServer, tmp_path: Path) -> None:
    """Beside the similarities, and as JSON."""
    named = {"URL": server.url, "MODEL": "letters", "API_KEY": KEY}
    ingest = Cli(tmp_path, {f"INGEST_EMBEDDINGS_{name}": value for name, value in named.items()})
    with opened(Settings(_env_file=None, data_dir=tmp_path / "data")) as services:
        fill(services, tmp_path, TEXTS)
    assert ingest("embed", "--limit", "2").stdout.startswith(
        "embedded 2 messages; 2 of 4 messages with words"
    )
    found = ingest("search", "--semantic", "podiums")
    assert "the podium ceremony" in found.stdout.splitlines()[1]
    assert "messages without a vector: 2 of 4" in found.stderr
    assert ingest("embed", "--json").json["coverage"] == {"messages": 4, "with_vector": 4}
    page = ingest("search", "--semantic", "podiums", "--limit", "1", "--json").json
    assert (page["vectors"]["with_vector"], page["messages"][0]["similarity"] > 0.5) == (4, True)
    assert ingest("search", "--semantic", "box", "--before", "1").code == 2
