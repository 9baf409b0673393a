"""Semantic search: messages by what they mean, together with those that have the words.

The order is that of reciprocal rank fusion of the two, which needs no common measure of them
(https://plg.uwaterloo.ca/~gvcormac/cormacksigir09-rrf.pdf). Vectors are made by a step of its own, since that
may take hours; how many messages have none yet is in every answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from ingest_pipeline.domain.search.query import Node, parse_query
from ingest_pipeline.errors import BadInput
from ingest_pipeline.search.search import (
    Hit,
    SearchFilter,
    SearchPage,
    best_rows,
    completeness_of_hits,
    passing,
    snippet,
)
from ingest_pipeline.sources.embeddings import LARGEST_BATCH, EmbeddingsEndpoint
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.search.indexed_texts import NEWEST
from ingest_pipeline.storage.search.vectors import (
    VectorCoverage,
    VectorSpace,
    compare,
    keep_vectors,
    texts_without_vector,
    vector_coverage,
)

_READ_AT_ONCE = 32 * LARGEST_BATCH
_RANKED = 200
# Of the paper: lowers the weight of the very first ranks.
_SMOOTHING = 60


@dataclass(frozen=True, slots=True)
class EmbeddingReport:
    """A finished run of embedding.

    Attributes:
        embedded: How many messages have got a vector.
        coverage: How many have one now.
        dimensions: The numbers of each vector.
    """

    embedded: int
    coverage: VectorCoverage
    dimensions: int


def embed_messages(
    database: Database,
    endpoint: EmbeddingsEndpoint,
    *,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> EmbeddingReport:
    """Make vectors of the messages whose words have none, newest first.

    Each batch is stored at once, so a run that was broken off is continued by the next.

    Args:
        database: Where.
        endpoint: What makes them.
        limit: How many at most; all when None.
        progress: Called with the number of vectors made so far.

    Raises:
        EmbeddingsRejected: The endpoint refuses the key, the model or a text, or is none.
        EmbeddingsUnavailable: It does not answer, or asks for fewer requests.
    """
    # How many dimensions there are is known by an answer only, and they may have changed.
    space = VectorSpace(endpoint.model, endpoint.embed(["dimensions"]).shape[1])
    left = NEWEST if limit is None else limit
    before, done = NEWEST, 0
    while done < left:
        with database.read() as connection:
            maximum = min(_READ_AT_ONCE, left - done)
            texts = texts_without_vector(connection, space, before=before, maximum=maximum)
        if not texts:
            break
        for first in range(0, len(texts), LARGEST_BATCH):
            batch = texts[first : first + LARGEST_BATCH]
            vectors = endpoint.embed([text["message_text"] for text in batch])
            now = datetime.now(UTC)
            database.run(partial(keep_vectors, space=space, texts=batch, vectors=vectors, now=now))
            done, before = done + len(batch), batch[-1]["discord_id"]
            if progress:
                progress(done)
    with database.read() as connection:
        coverage = vector_coverage(connection, space, SearchFilter().parameters())
    return EmbeddingReport(done, coverage, space.dimensions)


def search_by_meaning(
    database: Database,
    endpoint: EmbeddingsEndpoint,
    text: str,
    wanted: SearchFilter,
    *,
    limit: int = 50,
    index_seconds: float | None = None,
) -> SearchPage:
    """Search by meaning and by words, the best first.

    Args:
        database: Where.
        endpoint: What made the vectors of the messages.
        text: A question, or words; as a query it counts where it is one.
        wanted: The filters.
        limit: How many at most.
        index_seconds: How long bringing the index of words up to date may take.

    Raises:
        EmbeddingsRejected: The endpoint refuses the key, the model or the text, or is none.
        EmbeddingsUnavailable: It does not answer, or asks for fewer requests.
        StorageUnavailable: The index is behind by more than the time allows, or cannot be used now.
    """
    [vector] = endpoint.embed([text], is_awaited=True)
    ranked = max(_RANKED, limit + 1)
    query = _query_of(text)
    by_words = best_rows(database, query, wanted, ranked, index_seconds=index_seconds) if query else []
    with database.read() as connection:
        found = compare(connection, VectorSpace(endpoint.model, len(vector)), vector, wanted.parameters())
        # Stable: of equal ones the newer is first.
        order = np.argsort(-found.values, kind="stable")[:ranked]
        rankings = [[row["discord_id"] for row in by_words], found.discord_ids[order].tolist()]
        best = _fused(rankings)
        shown = np.isin(found.discord_ids, best)
        values = dict(zip(found.discord_ids[shown].tolist(), found.values[shown].tolist(), strict=True))
        hits = [
            Hit(row, snippet(query, row["message_text"]), similarity=values.get(row["discord_id"]))
            for row in passing(connection, best[:limit], wanted)
        ]
        completeness = completeness_of_hits(connection, hits, wanted)
    return SearchPage(tuple(hits), len(best) <= limit, completeness, found.coverage)


def _query_of(text: str) -> Node | None:
    try:
        return parse_query(text)
    except BadInput:
        return None


def _fused(rankings: Sequence[Sequence[int]]) -> list[int]:
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, discord_id in enumerate(ranking, 1):
            scores[discord_id] += 1 / (_SMOOTHING + place)
    # Of equal ones the one that has the words is first.
    return sorted(scores, key=lambda discord_id: -scores[discord_id])
