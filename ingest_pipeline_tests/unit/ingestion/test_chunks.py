"""Rows wait in chunks between documents and table, whole and in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.ingestion.documents.chunks import ChunkSizes, read_in_chunks, rebatch
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA
from ingest_pipeline_tests.exports import START


def rows(first: int, count: int) -> pa.Table:
    """Return rows with ascending ids."""
    columns = {}
    for field in STAGING_SCHEMA:
        value = {"int64": 0, "int32": 0, "bool": False, "string": "x"}.get(str(field.type), START)
        columns[field.name] = pa.array([value] * count, field.type)
    columns["discord_id"] = pa.array(range(first, first + count), pa.int64())
    return pa.table(columns, schema=STAGING_SCHEMA)


def ids(tables: Iterable[pa.Table]) -> list[list[int]]:
    """Return the ids in each table."""
    return [table["discord_id"].to_pylist() for table in tables]


def in_order(sizes: list[int]) -> list[pa.Table]:
    """Return tables of so many rows each, with ascending ids throughout."""
    return [rows(sum(sizes[:index]), size) for index, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 11))
def test_tables_are_joined_and_cut(sizes: list[int], most: int) -> None:
    """To as many rows each as asked for, in their order."""
    total = sum(sizes)
    expected = [list(range(total))[start : start + most] for start in range(0, total, most)]
    assert ids(rebatch(in_order(sizes), most)) == expected


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 5), st.integers(1, 4))
def test_chunks_hold_the_rows_in_their_order(sizes: list[int], block: int, blocks: int) -> None:
    """Whether they waited in memory or in a file; and a chunk reads the same twice."""
    total, step = sum(sizes), block * blocks
    expected = [list(range(total))[start : start + step] for start in range(0, total, step)] or [[]]
    offered = []
    with read_in_chunks(in_order(sizes), ChunkSizes(block, blocks)) as (earlier, last):
        for chunk in chain(earlier, [last]):
            offered.append(list(chain(*ids(chunk))))
            assert list(chain(*ids(chunk))) == offered[-1]
    assert offered == expected


def test_no_chunk_is_offered_before_the_last_row_is_read() -> None:
    """A document that is damaged at its end has changed nothing by then."""

    def damaged() -> Iterator[pa.Table]:
        yield rows(0, 10)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"), read_in_chunks(damaged(), ChunkSizes(1, 3)):
        raise AssertionError("a chunk was offered")
