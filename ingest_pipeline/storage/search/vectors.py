"""Vectors of the words of messages, in the table `message_embeddings`.

A byte for each number keeps similarities within a thousandth or so, in a quarter of the room. They are
compared here: PostgreSQL without an extension takes several times as long by its own SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ingest_pipeline.storage.engine.columns import as_flags, as_numpy
from ingest_pipeline.storage.engine.database import Connection

_LARGEST = 127
_COMPARED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """Vectors that can be compared.

    Attributes:
        model: The model they are of.
        dimensions: The numbers of each.
    """

    model: str
    dimensions: int

    def parameters(self) -> dict[str, Any]:
        """Return how queries name it."""
        return {"model": self.model, "bytes": self.dimensions}


@dataclass(frozen=True, slots=True)
class VectorCoverage:
    """How many of the messages that a search is about can be found by meaning.

    Attributes:
        messages: Those with words that pass the filters.
        with_vector: Those of them whose words, as they stand, have a vector.
    """

    messages: int
    with_vector: int


@dataclass(frozen=True, slots=True)
class Similarities:
    """How similar messages are to a vector.

    Attributes:
        discord_ids: The messages, int64, newest first.
        values: The cosine with each, float32, -1 to 1.
        coverage: How many messages have been compared.
    """

    discord_ids: np.ndarray
    values: np.ndarray
    coverage: VectorCoverage


def texts_without_vector(
    connection: Connection, space: VectorSpace, *, before: int, maximum: int
) -> list[dict[str, Any]]:
    """Return the newest live messages below an id whose words have no vector: id, text and its digest."""
    return connection.fetch_all("texts_without_vector", **space.parameters(), before=before, maximum=maximum)


def keep_vectors(
    connection: Connection,
    space: VectorSpace,
    texts: Sequence[Mapping[str, Any]],
    vectors: np.ndarray,
    *,
    now: datetime,
) -> None:
    """Store vectors of texts, but of messages that were erased meanwhile.

    Args:
        connection: A write transaction.
        space: Of the vectors.
        texts: As `texts_without_vector` gave them.
        vectors: A row each.
        now: When they were made, aware UTC.
    """
    ids = [text["discord_id"] for text in texts]
    # An erasure comes before, and the message is gone, or after, and takes the vector along.
    connection.execute("lock_ids", discord_ids=ids)
    connection.execute(
        "keep_vectors",
        model=space.model,
        discord_ids=ids,
        text_digests=[text["text_digest"] for text in texts],
        vectors=[vector.tobytes() for vector in _as_bytes(vectors)],
        now=now,
    )


def _as_bytes(vectors: np.ndarray) -> np.ndarray:
    """Return vectors that point the same way, of integers up to `_LARGEST`."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.asarray(np.rint(vectors / largest * _LARGEST), np.int8)


def vector_coverage(connection: Connection, space: VectorSpace, filters: Mapping[str, Any]) -> VectorCoverage:
    """Count the messages that pass filters, and those that have a vector."""
    return _scope(connection, space, filters)[1]


def compare(
    connection: Connection, space: VectorSpace, vector: np.ndarray, filters: Mapping[str, Any]
) -> Similarities:
    """Compare the messages that pass filters with a vector.

    Args:
        connection: A snapshot.
        space: Of the vector.
        vector: float32, of length 1.
        filters: The parameters of `messages_in_scope`.
    """
    found, coverage = _scope(connection, space, filters)
    values = [np.empty(0, np.float32)]
    for first in range(0, len(found), _COMPARED_AT_ONCE):
        ids = found[first : first + _COMPARED_AT_ONCE]
        bounds = {"first": int(ids[-1]), "last": int(ids[0])}
        page = connection.fetch_arrow("vectors_between", **space.parameters(), **bounds, **filters)
        stored = np.concatenate([_bytes_of(chunk) for chunk in page["vector"].chunks])
        numbers = stored.reshape(len(ids), -1).astype(np.float32)
        values.append(numbers @ vector / np.sqrt(np.einsum("ij,ij->i", numbers, numbers)))
    return Similarities(found, np.concatenate(values), coverage)


def _scope(
    connection: Connection, space: VectorSpace, filters: Mapping[str, Any]
) -> tuple[np.ndarray, VectorCoverage]:
    """Return the messages in scope that have a vector, newest first."""
    rows = connection.fetch_arrow("vectors_in_scope", **space.parameters(), **filters)
    ids = as_numpy(rows["discord_id"].combine_chunks())
    found = ids[as_flags(rows["has_vector"])]
    return found, VectorCoverage(len(ids), len(found))


def _bytes_of(vectors: pa.Array) -> np.ndarray:
    """Return the bytes of a column, one value after the other, where they lie."""
    bounds = np.frombuffer(vectors.buffers()[1], np.int32)[vectors.offset : vectors.offset + len(vectors) + 1]
    return np.frombuffer(vectors.buffers()[2], np.int8)[bounds[0] : bounds[-1]]
