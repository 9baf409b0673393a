"""Rows on their way from documents to the table, in chunks that are each merged in one transaction.

Documents are read to their end before the first row is merged, so a damaged one changes nothing. Few rows
wait in memory, many in a file that has no name and goes with the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import BinaryIO

import pyarrow as pa

from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """How many rows are merged in one transaction, which bounds memory.

    DuckDB keeps the rows of a transaction together, 122,880 at most, and at a commit joins groups that are
    not full, reading all of them again. Seen with DuckDB 2.0: of chunks of 65,000 rows every third was, and
    its commit took four times as long; of those of 95,000 and more none was.

    Attributes:
        block: Rows written to a file, and read from it, at a time.
        blocks: Blocks in a chunk.
        held: Blocks that may wait in memory; not more than a chunk.
    """

    block: int = 5_000
    blocks: int = 20
    held: int = 5


_SIZES = ChunkSizes()


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Rows in a file, read as often as asked, a block at a time."""

    reader: pa.RecordBatchFileReader
    numbers: range

    def __iter__(self) -> Iterator[pa.Table]:
        return (pa.Table.from_batches([self.reader.get_batch(number)]) for number in self.numbers)


@contextmanager
def read_in_chunks(
    tables: Iterable[pa.Table], sizes: ChunkSizes = _SIZES
) -> Iterator[tuple[Iterator[Iterable[pa.Table]], Iterable[pa.Table]]]:
    """Read tables of `STAGING_SCHEMA` to their end and offer their rows again.

    Args:
        tables: Read once.
        sizes: How many rows make a chunk.

    Yields:
        All chunks but the last, to be gone through once, and the last, which is empty when there are no rows.
        The rows of each can be read again until the next one is asked for.
    """
    source = blocks_of(tables, sizes)
    held = list(islice(source, min(sizes.held, sizes.blocks)))
    more = list(islice(source, 1))
    if not more:
        yield iter(()), held
        return
    with TemporaryFile(prefix="ingest-rows-") as file:
        write_rows(file, _consumed(held, more, source))
        file.seek(0)
        with pa.ipc.open_file(file) as reader:
            blocks = range(reader.num_record_batches)
            *earlier, last = (
                _Blocks(reader, blocks[at : at + sizes.blocks]) for at in blocks[:: sizes.blocks]
            )
            yield iter(earlier), last


def _consumed(*sources: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield what is in lists, which are emptied, and in iterators."""
    for source in sources:
        if isinstance(source, list):
            while source:
                yield source.pop(0)
        yield from source


def blocks_of(tables: Iterable[pa.Table], sizes: ChunkSizes = _SIZES) -> Iterator[pa.Table]:
    """Join and cut tables to blocks, each in one piece.

    Hundreds of small tables take several times the memory of one.
    """
    return (block.combine_chunks() for block in rebatch(tables, sizes.block))


def write_rows(file: BinaryIO, tables: Iterable[pa.Table]) -> None:
    """Write tables of `STAGING_SCHEMA` to a file in Arrow's format, a record batch for each."""
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_file(file, STAGING_SCHEMA, options=options) as writer:
        for table in tables:
            writer.write_table(table)


def rebatch(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join and cut tables to a number of rows each, so that each step is worth its cost."""
    pending: list[pa.RecordBatch] = []
    held = 0
    # Cutting a table goes through all chunks of all its columns, cutting a batch does not.
    for batch in chain.from_iterable(table.to_batches() for table in tables):
        rest = batch
        while held + len(rest) >= rows:
            pending.append(rest[: rows - held])
            rest = rest[rows - held :]
            yield pa.Table.from_batches(pending)
            pending, held = [], 0
        if len(rest):
            pending.append(rest)
            held += len(rest)
    if pending:
        yield pa.Table.from_batches(pending)
