"""Rows on their way from documents to the table, in chunks that are each merged in one transaction.

Documents are read to their end before the first row is merged, so a damaged one changes nothing. Few
rows wait in memory, more in a file that has no name and goes with the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryFile
from typing import BinaryIO

import pyarrow as pa

from ingest_pipeline.storage.schema import STAGING_SCHEMA


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """How many rows are where, which bounds memory.

    DuckDB keeps the rows of a transaction together and joins such groups up to 122,880 rows, reading all of
    them again; groups of more than half as many are left as they are.

    Attributes:
        held: The most that wait in memory.
        block: Written to a file, and read from it, at a time.
        blocks: Blocks in a chunk.
    """

    held: int = 20_000
    block: int = 5_000
    blocks: int = 13


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
) -> Iterator[tuple[Iterable[Iterable[pa.Table]], list[pa.Table]]]:
    """Read tables of `STAGING_SCHEMA` to their end and offer their rows again.

    Args:
        tables: Read once, whatever is done with the chunks.
        sizes: How many rows are where.

    Yields:
        The chunks, when there are more rows than may be held, each of which can be read again; and the rows
        that are left for the last transaction, which are all of them when there are no chunks.
    """
    # Combined, as hundreds of small tables take several times the memory of one.
    source = (block.combine_chunks() for block in rebatch(tables, sizes.block))
    head: list[pa.Table] = []
    held = 0
    for table in source:
        head.append(table)
        held += len(table)
        if held > sizes.held:
            break
    else:
        yield (), head
        return
    with TemporaryFile(prefix="ingest-rows-") as file:
        _write(file, chain(head, source))
        head.clear()
        file.seek(0)
        with pa.ipc.open_file(file) as reader:
            blocks = range(reader.num_record_batches)
            firsts = blocks[:: sizes.blocks]
            yield [_Blocks(reader, blocks[first : first + sizes.blocks]) for first in firsts], []


def _write(file: BinaryIO, tables: Iterable[pa.Table]) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_file(file, STAGING_SCHEMA, options=options) as writer:
        for table in tables:
            writer.write_table(table)


def rebatch(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join and cut tables to a number of rows each, so that each step is worth its cost."""
    pending: list[pa.Table] = []
    held = 0
    for table in tables:
        rest = table
        while held + len(rest) >= rows:
            pending.append(rest[: rows - held])
            rest = rest[rows - held :]
            yield pa.concat_tables(pending)
            pending, held = [], 0
        if len(rest):
            pending.append(rest)
            held += len(rest)
    if pending:
        yield pa.concat_tables(pending)
