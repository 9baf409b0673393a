"""Rows on their way from documents to the table, in chunks that are each merged in one transaction.

Documents are read to their end before the first row is merged, so a damaged one changes nothing. Few
rows wait in memory, more in a file that has no name and goes with the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from tempfile import TemporaryFile
from typing import BinaryIO

import pyarrow as pa

from ingest_pipeline.storage.schema import STAGING_SCHEMA

CHUNK_ROWS = 20_000
_BLOCK_ROWS = 5_000


@contextmanager
def read_in_chunks(
    tables: Iterable[pa.Table], rows: int = CHUNK_ROWS
) -> Iterator[tuple[Iterator[pa.Table], list[pa.Table]]]:
    """Read tables of `STAGING_SCHEMA` to their end and offer their rows again.

    Args:
        tables: Read once, whatever is done with the chunks.
        rows: Rows in a chunk, which bounds memory.

    Yields:
        The chunks, one at a time, when there are more rows than in one; and the rows that are left for
        the last transaction, which are all of them when there are no chunks.
    """
    # Combined, as hundreds of small tables take several times the memory of one.
    source = (block.combine_chunks() for block in rebatch(tables, _BLOCK_ROWS))
    head: list[pa.Table] = []
    held = 0
    for table in source:
        head.append(table)
        held += len(table)
        if held > rows:
            break
    else:
        yield iter(()), head
        return
    with TemporaryFile(prefix="ingest-rows-") as file:
        _write(file, chain(head, source))
        head.clear()
        file.seek(0)
        with pa.ipc.open_stream(file) as reader:
            yield rebatch((pa.Table.from_batches([block]) for block in reader), rows), []


def _write(file: BinaryIO, tables: Iterable[pa.Table]) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(file, STAGING_SCHEMA, options=options) as writer:
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
